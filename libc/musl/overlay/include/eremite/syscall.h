/* A system call is a function call: __eremite_sys_NAME(...), of the call's true arity, returns what Linux's would have
 * left in the result register. A call whose number is a constant becomes a call of that function and refers to nothing
 * else, so that the linker keeps only the calls that a program makes. A number known only at run time goes to
 * __eremite_syscall, which refers to all of them. Included by <sys/syscall.h>. */
#ifndef __EREMITE_SYSCALL_H
#define __EREMITE_SYSCALL_H

#include <eremite/syscalls.h>

#ifdef __cplusplus
extern "C" {
#endif

#define __EREMITE_PROTOTYPE0 void
#define __EREMITE_PROTOTYPE1 long
#define __EREMITE_PROTOTYPE2 long, long
#define __EREMITE_PROTOTYPE3 long, long, long
#define __EREMITE_PROTOTYPE4 long, long, long, long
#define __EREMITE_PROTOTYPE5 long, long, long, long, long
#define __EREMITE_PROTOTYPE6 long, long, long, long, long, long
#define __EREMITE_PROTOTYPE(name, number, arity) \
	__attribute__((__visibility__("hidden"))) long __eremite_sys_##name(__EREMITE_PROTOTYPE##arity);
__EREMITE_SYSCALLS(__EREMITE_PROTOTYPE)

__attribute__((__visibility__("hidden"))) long __eremite_syscall(long, long, long, long, long, long, long);
__attribute__((__visibility__("hidden"))) long __syscall_ret(unsigned long);

#define __EREMITE_ARGUMENTS0
#define __EREMITE_ARGUMENTS1 __a
#define __EREMITE_ARGUMENTS2 __a, __b
#define __EREMITE_ARGUMENTS3 __a, __b, __c
#define __EREMITE_ARGUMENTS4 __a, __b, __c, __d
#define __EREMITE_ARGUMENTS5 __a, __b, __c, __d, __e
#define __EREMITE_ARGUMENTS6 __a, __b, __c, __d, __e, __f
#define __EREMITE_CASE(name, number, arity) \
	case number: return __eremite_sys_##name(__EREMITE_ARGUMENTS##arity);

/* The result as Linux returns it: -4095 to -1 is an error. */
static __inline __attribute__((__always_inline__, __unused__))
long __eremite_dispatch(long __n, long __a, long __b, long __c, long __d, long __e, long __f)
{
	if (__builtin_constant_p(__n)) {
		switch (__n) {
		__EREMITE_SYSCALLS(__EREMITE_CASE)
		default: return -38; /* ENOSYS */
		}
	}
	return __eremite_syscall(__n, __a, __b, __c, __d, __e, __f);
}

/* The result as syscall(2) returns it: errors in errno. */
static __inline __attribute__((__always_inline__, __unused__))
long __eremite_dispatch_errno(long __n, long __a, long __b, long __c, long __d, long __e, long __f)
{
	return __syscall_ret(__eremite_dispatch(__n, __a, __b, __c, __d, __e, __f));
}

#ifdef __cplusplus
}
#endif

#define __EREMITE_SYSCALL(n, a, b, c, d, e, f, ...) \
	__eremite_dispatch_errno((long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* A program that uses the name `syscall` for something of its own may define this before it includes anything. */
#if !defined(__EREMITE_NO_SYSCALL_MACRO) && !defined(_INTERNAL_SYSCALL_H)
#define syscall(...) __EREMITE_SYSCALL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#endif

#endif
