// Where the function of a thread returns to. A member of its own: only programs that make threads have it.
    .section .text.__eremite_thread_end, "ax", @progbits
    .globl __eremite_thread_end
    .hidden __eremite_thread_end
    .type __eremite_thread_end, @function
    nop // unwinders look up the instruction before a return address
__eremite_thread_end:
    bl __eremite_sys_exit
    brk #1
    .size __eremite_thread_end, . - __eremite_thread_end
