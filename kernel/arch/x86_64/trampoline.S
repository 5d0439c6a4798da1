// A processor begins here, in real mode, CS:IP = page:0. Copied to k_trampoline_page; TrampolineData is at the page's
// end (smp.cpp).
#define PAGE 0x8000
#define TEMPORARY_ROOT 4096 - 24
#define STACK_TOP 4096 - 16
#define ENTRY 4096 - 8

    .section .rodata.__eremite_trampoline, "a", @progbits
    .globl __eremite_trampoline_start
    .hidden __eremite_trampoline_start
    .code16
__eremite_trampoline_start:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl pointer - __eremite_trampoline_start
    // Straight to long mode: PAE, LME and NXE, PE and PG at once.
    mov $0x20, %eax
    mov %eax, %cr4
    mov TEMPORARY_ROOT, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x900, %eax
    wrmsr
    mov $0x80010033, %eax // PG, WP, NE, ET, MP, PE
    mov %eax, %cr0
    ljmpl $8, $(PAGE + long_mode - __eremite_trampoline_start)

    .code64
long_mode:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov PAGE + STACK_TOP, %rsp
    mov PAGE + ENTRY, %rax
    xor %ebp, %ebp
    push %rbp
    jmp *%rax

    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_end:
pointer:
    .short gdt_end - gdt - 1
    .long PAGE + gdt - __eremite_trampoline_start
    .globl __eremite_trampoline_end
    .hidden __eremite_trampoline_end
__eremite_trampoline_end:
