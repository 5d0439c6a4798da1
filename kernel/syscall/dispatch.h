// From registers to typed arguments and back: `dispatch<sys_read>(a, b, c)` calls sys_read(int, UserPointer<u8>, usize)
// and turns its Result into Linux's convention (negative errno).
#pragma once

#include "syscall/user_pointer.h"
#include <array>
#include <span>
#include <tuple>
#include <utility>

namespace eremite {

/// How an argument of type T is made from the register.
template<typename T> struct FromRegister {
    static T convert(long value) { return static_cast<T>(value); }
};
template<typename T> struct FromRegister<UserPointer<T>> {
    static UserPointer<T> convert(long value) { return UserPointer<T>(static_cast<u64>(value)); }
};
template<> struct FromRegister<UserString> {
    static UserString convert(long value) { return UserString(static_cast<u64>(value)); }
};

inline long to_register(Result<long>&& result)
{
    return result.is_error() ? -static_cast<long>(result.error()) : result.release_value();
}
inline long to_register(Result<>&& result)
{
    return result.is_error() ? -static_cast<long>(result.error()) : 0;
}
inline long to_register(long result)
{
    return result;
}

/// Whether a call that a signal interrupted is made again when the handler says SA_RESTART (signal(7)); if not, EINTR
/// it is. Said next to the declaration: RESTARTS(sys_read);
template<auto Function> inline constexpr bool k_restarts = false;
#define RESTARTS(function) template<> inline constexpr bool k_restarts<function> = true

/// A call that only returns a constant, and so makes nothing pending. With isolation `none` it is that constant and no
/// more: no look for signals at its exit, and none for strace. Said next to the declaration: IS_TRIVIAL(sys_getppid);
template<auto Function> inline constexpr bool k_is_trivial = false;
#define IS_TRIVIAL(function) template<> inline constexpr bool k_is_trivial<function> = true

/// Keeps the arguments for the exit of the call. Defined by sched/thread.cpp.
void remember_interrupted_call(std::span<const u64> arguments);

/// Apart, so that a call that wasn't interrupted has no array to make.
template<typename... Registers>
[[gnu::noinline, gnu::cold]] long remember_interrupted(long result, Registers... registers)
{
    const std::array<u64, sizeof...(Registers)> arguments { static_cast<u64>(registers)... };
    remember_interrupted_call(arguments);
    return result;
}

template<auto Function> struct Dispatch;

template<typename R, typename... Parameters, R (*Function)(Parameters...)> struct Dispatch<Function> {
    static constexpr unsigned k_arity = sizeof...(Parameters);

    template<typename... Registers> static long call(Registers... registers)
    {
        static_assert(sizeof...(Registers) == sizeof...(Parameters), "the table's arity is not that of the function");
        long result = to_register(Function(FromRegister<Parameters>::convert(registers)...));
        if constexpr (k_restarts<Function>) {
            if (result == -static_cast<long>(Errno::EINTR)) [[unlikely]]
                return remember_interrupted(result, registers...);
        }
        return result;
    }
};

} // namespace eremite
