// Makes the gates from the table.
#include "syscall/gate.h"

#include "arch/gate.h"
#include "base/log.h"
#include "syscall/hot_calls.h"
#include "syscall/sys.h"
#include "syscall/thread_calls.h"

#include <array>
#include <atomic>

/// Gates are only ever called directly: they need no landing pad.
#if __has_cpp_attribute(gnu::nocf_check)
#define GATE_DIRECT [[gnu::nocf_check]]
#else
#define GATE_DIRECT
#endif

#define GATE_PARAMETERS0 void
#define GATE_PARAMETERS1 long a
#define GATE_PARAMETERS2 long a, long b
#define GATE_PARAMETERS3 long a, long b, long c
#define GATE_PARAMETERS4 long a, long b, long c, long d
#define GATE_PARAMETERS5 long a, long b, long c, long d, long e
#define GATE_PARAMETERS6 long a, long b, long c, long d, long e, long f
#define GATE_ARGUMENTS0
#define GATE_ARGUMENTS1 a
#define GATE_ARGUMENTS2 a, b
#define GATE_ARGUMENTS3 a, b, c
#define GATE_ARGUMENTS4 a, b, c, d
#define GATE_ARGUMENTS5 a, b, c, d, e
#define GATE_ARGUMENTS6 a, b, c, d, e, f

#define GATE_TYPES0
#define GATE_TYPES1 long
#define GATE_TYPES2 long, long
#define GATE_TYPES3 long, long, long
#define GATE_TYPES4 long, long, long, long
#define GATE_TYPES5 long, long, long, long, long
#define GATE_TYPES6 long, long, long, long, long, long

#define GATE_MORE0
#define GATE_MORE1 , a
#define GATE_MORE2 , a, b
#define GATE_MORE3 , a, b, c
#define GATE_MORE4 , a, b, c, d
#define GATE_MORE5 , a, b, c, d, e
#define GATE_MORE6 , a, b, c, d, e, f

/// A SyscallRecord, in a section of its own so that it goes with the gate. `number` is text: the assembler's.
#define GATE_RECORD(name, number, arity, format, body)                                                                 \
    asm(".pushsection .rodata.__eremite_record_" #name ", \"a\", %progbits\n\t.balign 4\n"                             \
        "__eremite_record_" #name ":\n\t.long " body "\n\t.long __eremite_sys_" #name " - .\n\t"                       \
        ".short (" number ") & 0xffff\n\t.short " #arity "\n\t.asciz \"" #name "\"\n\t.asciz \"" format "\"\n\t"       \
        ".popsection");
#define GATE_TEXT(x) GATE_TEXT2(x)
#define GATE_TEXT2(x) #x
#define GATE_NUMBER(x86_64, aarch64) GATE_TEXT(NATIVE_SYSCALL_NUMBER(x86_64, aarch64))

#if EREMITE_ISOLATION == 0

#define SYSCALL(name, x86_64, aarch64, arity, format)                                                                  \
    GATE_RECORD(name, GATE_NUMBER(x86_64, aarch64), arity, format, "0")                                                \
    extern "C" GATE_DIRECT long __eremite_sys_##name(GATE_PARAMETERS##arity)                                           \
    {                                                                                                                  \
        constexpr auto body                                                                                            \
            = &eremite::Dispatch<eremite::k_gate_function<&eremite::sys_##name>>::call<GATE_TYPES##arity>;             \
        if constexpr (eremite::never_returns(#name)) {                                                                 \
            const eremite::SyscallRecord* record;                                                                      \
            NATIVE_LOAD_RECORD(name, record);                                                                          \
            const std::array<long, 6> arguments { GATE_ARGUMENTS##arity };                                             \
            if (__eremite_trace_enter && eremite::gate_is_pending())                                                   \
                __eremite_trace_enter(record, arguments.data());                                                       \
            return __eremite_call_on_kernel_stack(reinterpret_cast<void*>(body), arguments[0], arguments[1]);          \
        }                                                                                                              \
        if constexpr (eremite::k_is_trivial<&eremite::sys_##name>)                                                     \
            return body(GATE_ARGUMENTS##arity);                                                                        \
        __eremite_touch_stack();                                                                                       \
        long result = body(GATE_ARGUMENTS##arity);                                                                     \
        if (eremite::gate_is_pending()) [[unlikely]] {                                                                 \
            const eremite::SyscallRecord* record;                                                                      \
            NATIVE_LOAD_RECORD(name, record);                                                                          \
            return eremite::finish_pending(record, result GATE_MORE##arity);                                           \
        }                                                                                                              \
        return result;                                                                                                 \
    }

#else

#define SYSCALL(name, x86_64, aarch64, arity, format)                                                                  \
    GATE_RECORD(name, GATE_NUMBER(x86_64, aarch64), arity, format, "__eremite_body_" #name " - .")                     \
    extern "C" [[gnu::visibility("hidden")]] long __eremite_body_##name(GATE_PARAMETERS##arity)                        \
    {                                                                                                                  \
        [[clang::always_inline]] return eremite::Dispatch<eremite::k_gate_function<&eremite::sys_##name>>::call(       \
            GATE_ARGUMENTS##arity);                                                                                    \
    }                                                                                                                  \
    extern "C" GATE_DIRECT [[gnu::naked]] long __eremite_sys_##name(GATE_PARAMETERS##arity)                            \
    {                                                                                                                  \
        asm(NATIVE_GATE_JUMP(name, __eremite_gate));                                                                   \
    }

#endif

#if EREMITE_ISOLATION == 2

// To note it in the log is the kernel's to do.
#define UNIMPLEMENTED(name, x86_64, aarch64, arity, format)                                                            \
    GATE_RECORD(name, GATE_NUMBER(x86_64, aarch64), arity, format, "0")                                                \
    extern "C" [[gnu::visibility("hidden")]] long __eremite_body_##name(GATE_PARAMETERS##arity)                        \
    {                                                                                                                  \
        const eremite::SyscallRecord* record;                                                                          \
        NATIVE_LOAD_RECORD(name, record);                                                                              \
        return __eremite_unimplemented(record);                                                                        \
    }                                                                                                                  \
    extern "C" GATE_DIRECT [[gnu::naked]] long __eremite_sys_##name(GATE_PARAMETERS##arity)                            \
    {                                                                                                                  \
        asm(NATIVE_GATE_JUMP(name, __eremite_gate));                                                                   \
    }

#else

#define UNIMPLEMENTED(name, x86_64, aarch64, arity, format)                                                            \
    GATE_RECORD(name, GATE_NUMBER(x86_64, aarch64), arity, format, "0")                                                \
    extern "C" GATE_DIRECT [[gnu::naked]] long __eremite_sys_##name(GATE_PARAMETERS##arity)                            \
    {                                                                                                                  \
        asm(NATIVE_RECORD_JUMP(name, __eremite_unimplemented));                                                        \
    }

#endif

#pragma clang diagnostic ignored "-Wunused-parameter"

#if EREMITE_ISOLATION == 0
// Not there unless strace is in the image.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpointer-bool-conversion"
extern "C" [[gnu::weak]] void __eremite_trace_enter(const eremite::SyscallRecord*, const long*);
extern "C" [[gnu::weak]] void __eremite_trace_exit(const eremite::SyscallRecord*, const long*, long);
#endif

namespace eremite {
#if EREMITE_ISOLATION == 0
[[gnu::always_inline]] static inline bool gate_is_pending()
{
    bool pending;
    NATIVE_TEST_PENDING(pending, arch::k_pending_signal | arch::k_pending_trace);
    return pending;
}

template<typename... Arguments>
[[gnu::noinline]] static long finish_pending(const SyscallRecord* record, long result, Arguments... registers)
{
    const std::array<long, 6> arguments { registers... };
    if (__eremite_trace_exit)
        __eremite_trace_exit(record, arguments.data(), result);
    return __eremite_finish_call(record, result);
}
#endif

/// These run on the kernel stack at every level: the stack that they were called on may go before they end.
constexpr bool never_returns(std::string_view name)
{
    return name == "exit" || name == "exit_group" || name == "unmapself";
}
} // namespace eremite

#include "syscall/table.inc"
// Not Linux's: what musl's overlay calls where Linux has an instruction sequence (syscall/thread_calls.cpp).
SYSCALL(clone_thread, 56, 220, 1, "p")
SYSCALL(unmapself, 11, 215, 2, "pu")
SYSCALL(pkey_set, -1, -1, 2, "dx")
SYSCALL(pkey_get, -1, -1, 1, "d")
#if EREMITE_ISOLATION == 2
SYSCALL(unknown_number, -1, -1, 1, "d")
#endif
#undef SYSCALL
#undef UNIMPLEMENTED

long __eremite_unimplemented(const eremite::SyscallRecord* record)
{
    // A bit per number; the greatest is far below.
    static constinit std::array<std::atomic<eremite::u64>, 8> s_seen {};
    eremite::u64 bit = eremite::u64 { 1 } << (record->number & 63);
    if ((s_seen[(record->number >> 6) & 7].fetch_or(bit, std::memory_order_relaxed) & bit) == 0)
        eremite::log_warning("system call {} is not implemented: it returns ENOSYS", record->name());
    return -static_cast<long>(eremite::Errno::ENOSYS);
}
