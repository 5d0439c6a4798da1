// x86_64's part of the gates (syscall/gate.cpp).
#pragma once

/// Which of the table's numbers is ours.
#define NATIVE_SYSCALL_NUMBER(x86_64, aarch64) x86_64

#if EREMITE_ISOLATION == 2
/// The whole of a gate: the call's entry goes to the common part, gate.S, which looks whether it is one. The entries
/// are an array that the link script bounds, each kept with its gate.
#define NATIVE_GATE_JUMP(name, target)                                                                                 \
    "lea __eremite_call_" #name "(%rip), %rax\n\tjmp " #target "\n\t"                                                  \
    ".pushsection eremite_calls, \"ao\", @progbits, __eremite_sys_" #name "\n\t.balign 8\n"                            \
    "__eremite_call_" #name ":\n\t.long __eremite_body_" #name " - ., __eremite_record_" #name " - .\n\t.popsection"
#else
/// The whole of a gate that changes the stack: record and body go to the common part, gate.S.
#define NATIVE_GATE_JUMP(name, target)                                                                                 \
    "lea __eremite_record_" #name "(%rip), %rax\n\tlea __eremite_body_" #name "(%rip), %r10\n\tjmp " #target
#endif
/// A gate whose target is a C function of the record alone.
#define NATIVE_RECORD_JUMP(name, target) "lea __eremite_record_" #name "(%rip), %rdi\n\tjmp " #target
/// Sets `record` to the record of a call.
#define NATIVE_LOAD_RECORD(name, record) asm("lea __eremite_record_" #name "(%%rip), %0" : "=r"(record))
/// Whether PerCpu::pending has one of `bits`.
#define NATIVE_TEST_PENDING(result, bits) asm volatile("testl %1, %%gs:24" : "=@ccnz"(result) : "i"(bits) : "memory")
