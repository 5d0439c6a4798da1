// What the suite takes from this header of its own C library.
#pragma once
#ifdef __cplusplus
#define __BEGIN_DECLS extern "C" {
#define __END_DECLS }
#define __THROW noexcept
#else
#define __BEGIN_DECLS
#define __END_DECLS
#define __THROW
#endif
#define __nonnull(x)
#define __attribute_warn_unused_result__
#define __attribute_malloc__
#define __attribute_alloc_size__(x)
#define __attribute_alloc_align__(x)
#define __attr_dealloc(...)
#define __attr_dealloc_free
#define __returns_nonnull
#define __attribute_noinline__ __attribute__((noinline))
#define __attribute_returns_twice__ __attribute__((returns_twice))
#define __glibc_likely(x) __builtin_expect(!!(x), 1)
#define __glibc_unlikely(x) __builtin_expect(!!(x), 0)
#define __REDIRECT(name, prototype, alias) name prototype
#define __REDIRECT_NTH(name, prototype, alias) name prototype
