// aarch64's part of the gates (syscall/gate.cpp).
#pragma once

/// Which of the table's numbers is ours.
#define NATIVE_SYSCALL_NUMBER(x86_64, aarch64) aarch64

/// The whole of a gate that changes the stack: the record goes to the common part, gate.S.
#define NATIVE_GATE_JUMP(name, target)                                                                                 \
    "adrp x16, __eremite_record_" #name "\n\tadd x16, x16, :lo12:__eremite_record_" #name "\n\tb " #target
/// A gate whose target is a C function of the record alone.
#define NATIVE_RECORD_JUMP(name, target)                                                                               \
    "adrp x0, __eremite_record_" #name "\n\tadd x0, x0, :lo12:__eremite_record_" #name "\n\tb " #target
/// Sets `record` to the record of a call.
#define NATIVE_LOAD_RECORD(name, record)                                                                               \
    asm("adrp %0, __eremite_record_" #name "\n\tadd %0, %0, :lo12:__eremite_record_" #name : "=r"(record))
/// Whether PerCpu::pending has one of `bits`. Moved to another processor in between, it sees that one's: whoever sets
/// the word for a thread sends an interrupt as well.
#define NATIVE_TEST_PENDING(result, bits)                                                                              \
    do {                                                                                                               \
        unsigned long word;                                                                                            \
        asm volatile("mrs %0, tpidr_el1\n\tldr %w0, [%0, #24]" : "=r"(word) : : "memory");                             \
        (result) = (word & (bits)) != 0;                                                                               \
    } while (false)
