// System calls whose number is known only at run time: refers to every one of them. The linker leaves it out of
// programs that never do that.
#include "arch/gate.h"
#include "base/errno.h"
#include "base/log.h"
#include "syscall/thread_calls.h"

#define PARAMETERS0 void
#define PARAMETERS1 long
#define PARAMETERS2 long, long
#define PARAMETERS3 long, long, long
#define PARAMETERS4 long, long, long, long
#define PARAMETERS5 long, long, long, long, long
#define PARAMETERS6 long, long, long, long, long, long
#define ARGUMENTS0
#define ARGUMENTS1 a
#define ARGUMENTS2 a, b
#define ARGUMENTS3 a, b, c
#define ARGUMENTS4 a, b, c, d
#define ARGUMENTS5 a, b, c, d, e
#define ARGUMENTS6 a, b, c, d, e, f

extern "C" {
#pragma GCC visibility push(hidden)
#define SYSCALL(name, x86_64, aarch64, arity, format) long __eremite_sys_##name(PARAMETERS##arity);
#define UNIMPLEMENTED SYSCALL
#include "syscall/table.inc"
#undef SYSCALL
long __eremite_syscall(long number, long a, long b, long c, long d, long e, long f);
long __eremite_sys_unknown_number(long number);
#pragma GCC visibility pop
}

namespace {

/// A number that this architecture doesn't have gets one that nobody asks for.
constexpr long case_of(long number, long line)
{
    return number >= 0 ? number : 1'000'000 + line;
}

} // namespace

long __eremite_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    switch (number) {
#define SYSCALL(name, x86_64, aarch64, arity, format)                                                                  \
    case case_of(NATIVE_SYSCALL_NUMBER(x86_64, aarch64), x86_64):                                                      \
        return __eremite_sys_##name(ARGUMENTS##arity);
#include "syscall/table.inc"
#undef SYSCALL
#undef UNIMPLEMENTED
    default:
#if EREMITE_ISOLATION == 2
        // This function runs with the application's rights.
        return __eremite_sys_unknown_number(number);
#else
        return eremite::to_register(eremite::sys_unknown_number(number));
#endif
    }
}

eremite::Result<long> eremite::sys_unknown_number(long number)
{
    log_warning("system call number {} is unknown: it returns ENOSYS", number);
    return Errno::ENOSYS;
}
