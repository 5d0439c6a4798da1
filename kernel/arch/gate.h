// What the gates of system calls (syscall/gate.cpp) need of an architecture, as macros, for a gate is assembly that is
// made from the table of calls.
//
// native/gate.h defines:
//     NATIVE_SYSCALL_NUMBER(x86_64, aarch64)   which of the table's numbers is ours
//     NATIVE_GATE_JUMP(name, target)           assembly: the whole of a gate that changes the stack; hands the call's
//                                              record, and what else gate.S asks for, to `target`
//     NATIVE_RECORD_JUMP(name, target)         assembly: a gate whose target is a C function of the record alone
//     NATIVE_LOAD_RECORD(name, record)         sets the pointer `record` to the record of a call
//     NATIVE_TEST_PENDING(result, bits)        sets `result` to whether PerCpu::pending has one of `bits`
// Records are the symbols __eremite_record_NAME.
#pragma once

#include "native/gate.h"
