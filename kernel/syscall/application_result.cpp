// libc's way from a system call's result to errno, linked in place of its own as clock_gettime is
// (application_clock.cpp): most calls succeed, and all come through here.
#include "base/types.h"

extern "C" {
#pragma GCC visibility push(hidden)
int* __errno_location();
long __syscall_ret(unsigned long result);
#pragma GCC visibility pop
}

namespace {

[[gnu::noinline, gnu::cold, gnu::section(".application_text.result")]] long fail(unsigned long result)
{
    *__errno_location() = static_cast<int>(-result);
    return -1;
}

} // namespace

[[gnu::section(".application_text.result")]] long __syscall_ret(unsigned long result)
{
    constexpr auto least_error = static_cast<unsigned long>(-4095);
    return result < least_error ? static_cast<long>(result) : fail(result);
}
