// Runs on the application's stack and with its rights, and goes through the gates like any call. The kernel's canary is
// none of the application's to read.
#include "syscall/thread_calls.h"

extern "C" {
#pragma GCC visibility push(hidden)
long __eremite_sys_clone_thread(long arguments);
long __eremite_sys_unmapself(long base, long length);
long __eremite_clone(
    int (*function)(void*), void* stack, long flags, void* argument, int* parent_tid, void* tls, int* child_tid);
void __eremite_unmapself(void* base, unsigned long length);
#pragma GCC visibility pop
}

#if EREMITE_ISOLATION == 2
[[gnu::no_stack_protector]]
#endif
long __eremite_clone(
    int (*function)(void*), void* stack, long flags, void* argument, int* parent_tid, void* tls, int* child_tid)
{
    eremite::CloneArguments arguments {
        .function = reinterpret_cast<eremite::u64>(function),
        .stack = reinterpret_cast<eremite::u64>(stack),
        .flags = static_cast<eremite::u64>(flags),
        .argument = reinterpret_cast<eremite::u64>(argument),
        .parent_tid = reinterpret_cast<eremite::u64>(parent_tid),
        .tls = reinterpret_cast<eremite::u64>(tls),
        .child_tid = reinterpret_cast<eremite::u64>(child_tid),
    };
    // The compiler must not drop what only the kernel reads.
    asm volatile("" : : "r"(&arguments) : "memory");
    return __eremite_sys_clone_thread(reinterpret_cast<long>(&arguments));
}

void __eremite_unmapself(void* base, unsigned long length)
{
    __eremite_sys_unmapself(reinterpret_cast<long>(base), static_cast<long>(length));
}
