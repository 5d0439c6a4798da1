// raise(), linked in place of libc's as clock_gettime is (application_clock.cpp). Upstream blocks all signals around
// the call, lest a handler fork and the thread's number be another's afterwards. There is no fork.
#include "base/types.h"

extern "C" {
#pragma GCC visibility push(hidden)
long __eremite_sys_gettid();
long __eremite_sys_tkill(long thread, long number);
long __syscall_ret(unsigned long result); // libc's: sets errno
int raise(int number);
#pragma GCC visibility pop
}

[[gnu::section(".application_text.raise")]] int raise(int number)
{
    return static_cast<int>(
        __syscall_ret(static_cast<unsigned long>(__eremite_sys_tkill(__eremite_sys_gettid(), number))));
}
