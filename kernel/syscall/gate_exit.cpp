// Where the gates' assembly enters portable code on the way out.
#include "arch/signal.h"
#include "arch/trap.h"
#include "syscall/gate.h"

extern "C" {
#pragma GCC visibility push(hidden)
void __eremite_system_call_exit(eremite::arch::TrapFrame* frame, const eremite::SyscallRecord* record);
void __eremite_signal_return(eremite::arch::TrapFrame* frame);
#pragma GCC visibility pop
}

void __eremite_system_call_exit(eremite::arch::TrapFrame* frame, const eremite::SyscallRecord* record)
{
    eremite::handle_system_call_exit(*frame, record->gate_address());
}

void __eremite_signal_return(eremite::arch::TrapFrame* frame)
{
    eremite::handle_signal_return(*frame);
}
