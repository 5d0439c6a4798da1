// Assertions for guest tests, in C and in C++. A test is a program: it checks, and ends with `return check_result();`.
// A failed check prints one line and the program goes on, so that one run shows all failures.
//
// The runner reads these comments in the first 40 lines of a test:
//   // machines: pc q35 microvm loader virt kvm   where it runs; default q35 and virt. `loader` is the default machine
//   by
//                                              way of the loader; `kvm` the default machine under KVM, if there is one
//   // arch: x86_64                            only there; default both
//   // isolation: stack mpk                    the levels it can run at, on all machines; otherwise the default
//                                              level on all and, on x86_64 and unless the timeout is longer than 60,
//                                              the two others on the first
//   // options: --smp 4                        options of `eremite run`
//   // arguments: one "two three"              argv[1] onwards
//   // cflags: -O3 -mavx2                      for the compiler; default -O2
//   // stdin: text                             one line for standard input
//   // exit: 3                                 the status it must end with; default 0; several as 134|139
//   // exit-mpk: 139                           at that level (or `native`); so may `expect` and `reject` be
//   // expect: REGEX                           must be found in the output (ECMAScript; repeatable)
//   // reject: REGEX                           must not be found
//   // timeout: 60                             seconds; default 60
//   // oracle: native                          also compiled for the host, and run on Linux
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#if defined(__eremite__)
#define ON_EREMITE 1
#else
#define ON_EREMITE 0
#endif

static int check_failures;
static int check_count;

__attribute__((unused, format(printf, 4, 5))) static int check_report(
    int good, const char* file, int line, const char* format, ...)
{
    __atomic_add_fetch(&check_count, 1, __ATOMIC_RELAXED);
    if (good)
        return 1;
    __atomic_add_fetch(&check_failures, 1, __ATOMIC_RELAXED);
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("%s:%d: check failed: %s\n", file, line, text);
    fflush(stdout);
    return 0;
}

/// What main returns: 0 when all checks passed and there was at least one, otherwise 1.
__attribute__((unused)) static int check_result(void)
{
    printf("checks: %d, failed: %d\n", check_count, check_failures);
    fflush(stdout);
    return check_failures != 0 || check_count == 0;
}

/// Each yields whether it held, so that `if (!CHECK(p)) return check_result();` ends a test that cannot go on.
#define CHECK(condition) check_report(!!(condition), __FILE__, __LINE__, "%s (errno %d)", #condition, errno)

/// Compares integers (or what converts to long long), and prints both.
#define CHECK_EQ(actual, expected)                                                                                     \
    check_equal((long long)(actual), (long long)(expected), __FILE__, __LINE__, #actual, #expected)
#define CHECK_STR(actual, expected) check_strings((actual), (expected), __FILE__, __LINE__, #actual)

/// The call must return -1 and leave `error` in errno.
#define CHECK_ERRNO(call, error) (errno = 0, check_errno((long long)(call), (error), __FILE__, __LINE__, #call, #error))

__attribute__((unused)) static int check_equal(long long actual, long long expected, const char* file, int line,
    const char* actual_text, const char* expected_text)
{
    return check_report(actual == expected, file, line, "%s is %lld (0x%llx), not %s = %lld (errno %d)", actual_text,
        actual, (unsigned long long)actual, expected_text, expected, errno);
}

__attribute__((unused)) static int check_strings(
    const char* actual, const char* expected, const char* file, int line, const char* text)
{
    return check_report(actual && strcmp(actual, expected) == 0, file, line, "%s is \"%s\", not \"%s\"", text,
        actual ? actual : "(null)", expected);
}

__attribute__((unused)) static int check_errno(
    long long result, int error, const char* file, int line, const char* call, const char* error_name)
{
    int got = errno;
    return check_report(result == -1 && got == error, file, line, "%s gave %lld, errno %d (%s), not -1 with %s", call,
        result, got, strerror(got), error_name);
}
