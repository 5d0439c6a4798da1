#include "syscall/sys_pkey.h"

#include "arch/paging.h"
#include "mm/address_space.h"
#include "syscall/sys_memory.h"

#include <atomic>

extern "C" {
#pragma GCC visibility push(hidden)
long __eremite_sys_pkey_set(long key, long access);
long __eremite_sys_pkey_get(long key);
#pragma GCC visibility pop
/// glibc's names; they run with the application's rights.
int __eremite_pkey_set(int key, unsigned access);
int __eremite_pkey_get(int key);
}

namespace eremite {

namespace {

/// A bit per key that is the application's; 0 always is.
constinit std::atomic<u32> s_allocated { 1u << k_application_key };

constexpr u32 k_access_bits = 3; // PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE

bool is_allocated(int key)
{
    return key >= 0 && key < k_key_count && (s_allocated.load(std::memory_order_relaxed) >> key & 1) != 0;
}

} // namespace

Result<long> sys_pkey_alloc(u32 flags, u32 access)
{
    if (flags != 0 || (access & ~k_access_bits) != 0)
        return Errno::EINVAL;
    if (!arch::keys_are_on())
        return Errno::ENOSPC;
    for (u32 key = k_first_free_key; key < k_key_count; ++key) {
        if ((s_allocated.fetch_or(1u << key, std::memory_order_relaxed) >> key & 1) == 0) {
            arch::set_key_access(key, access);
            return key;
        }
    }
    return Errno::ENOSPC;
}

Result<long> sys_pkey_free(int key)
{
    if (key < k_first_free_key || !is_allocated(key))
        return Errno::EINVAL;
    s_allocated.fetch_and(~(1u << key), std::memory_order_relaxed);
    return 0;
}

Result<long> sys_pkey_mprotect(u64 address, u64 length, u32 protection, int key)
{
    if (key == -1)
        return sys_mprotect(address, length, protection);
    if (!is_allocated(key))
        return Errno::EINVAL;
    TRY(sys_mprotect(address, length, protection));
    u64 rounded = align_up(length, k_page_size);
    if (rounded == 0)
        return 0;
    constexpr u32 access = abi::k_prot_read | abi::k_prot_write | abi::k_prot_execute;
    TRY(address_space().protect({ VirtualAddress(address), rounded }, static_cast<u8>(protection & access), key));
    return 0;
}

Result<long> sys_pkey_set(int key, u32 access)
{
    // Key 0 stays open: the kernel's constants have it as well.
    if (key < k_first_free_key || !is_allocated(key) || (access & ~k_access_bits) != 0 || !arch::keys_are_on())
        return Errno::EINVAL;
    arch::set_key_access(static_cast<u32>(key), access);
    return 0;
}

Result<long> sys_pkey_get(int key)
{
    if (!is_allocated(key) || !arch::keys_are_on())
        return Errno::EINVAL;
    return arch::key_access(static_cast<u32>(key));
}

} // namespace eremite

int __eremite_pkey_set(int key, unsigned access)
{
    return static_cast<int>(__eremite_sys_pkey_set(key, static_cast<long>(access)));
}

int __eremite_pkey_get(int key)
{
    return static_cast<int>(__eremite_sys_pkey_get(key));
}
