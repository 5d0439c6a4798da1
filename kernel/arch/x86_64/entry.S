// Where the machine begins: a PVH monitor (Xen's docs/misc/pvh.pandoc) enters in 32-bit protected mode, paging off, at
// the physical address in the note, with EBX pointing to hvm_start_info. The separate loader enters at the 64-bit
// address in the note of ours, with the first GiB mapped one to one and RDI pointing to hvm_start_info.
// From here to the call of early_start, everything runs at its physical address.

#include "arch/x86_64/key_sites.inc"

#define IDENTITY_PAGES 512

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18 // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long __eremite_low_physical
    .balign 4
    .long 8, 16, 0x45520001 // see boot/elf.h
    .asciz "Eremite"
    .long 1 // version of this agreement
    .long __eremite_entry_physical
    .quad __eremite_entry_offset64

    // Whether all of the image has memory behind it must be looked at from elsewhere.
    .section .low, "ax", @progbits
    .code32
low_entry:
    mov $__eremite_entry_physical, %eax
    cmpl $0x01801f0f, (%eax) // the first bytes there
    jne too_little
    mov $__eremite_image_end_physical - 4, %ecx
    movl $0x4d455245, (%ecx)
    cmpl $0x4d455245, (%ecx)
    jne too_little
    movl $0, (%ecx)
    jmp *%eax
too_little:
    mov $__eremite_low_physical + (too_little_text - low_entry), %esi
    mov $0x3f8, %edx
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  // As power_off() does, with status 134 (docs/boot.md).
    mov $0xe9, %edx
    in %dx, %al
    cmp $0xe9, %al
    jne 4f
3:  lodsb
    test %al, %al
    jz 4f
    out %al, %dx
    jmp 3b
4:  mov $134 & 0x7f, %eax
    mov $0xf4, %edx
    out %eax, %dx
    mov $0x604, %edx
    mov $0x2000, %eax
    out %ax, %dx
5:  cli
    hlt
    jmp 5b
too_little_text:
    .asciz "eremite: error: too little memory: it ends before the image does\r\n"
    .asciz "exit 134\n"

    .section .text.__eremite_entry, "ax", @progbits
    .code32
    .globl __eremite_entry
    .hidden __eremite_entry
    .type __eremite_entry, @function
__eremite_entry:
    .byte 0x0f, 0x1f, 0x80, 1, 0x45, 0x52, 0x45 // marker 1 of the instruction counter (bench/programs/mark.h)
    cli
    cld
    mov $__eremite_entry_physical, %ebp
    mov %ebx, %edi
    rdtsc
    mov %eax, (__eremite_entry_cycles - __eremite_entry)(%ebp)
    mov %edx, (__eremite_entry_cycles - __eremite_entry + 4)(%ebp)
    lea (s_boot_stack_top - __eremite_entry)(%ebp), %esp

    // Long mode?
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx
    jnc no_long_mode

    // The first GiB, one to one, by pages of 2 MiB.
    lea (s_identity_directory - __eremite_entry)(%ebp), %esi
    mov $0x83, %eax
    xor %ecx, %ecx
1:  mov %eax, (%esi, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $IDENTITY_PAGES, %ecx
    jb 1b
    lea (s_identity_pointers - __eremite_entry)(%ebp), %ecx
    lea 3(%esi), %eax
    mov %eax, (%ecx)
    lea (s_identity_root - __eremite_entry)(%ebp), %esi
    lea 3(%ecx), %eax
    mov %eax, (%esi)
    key_site erased
    mov %esi, %cr3

    mov %cr4, %eax
    or $0x20, %eax // PAE
    key_site erased
    mov %eax, %cr4
    mov $0xc0000080, %ecx // EFER
    rdmsr
    or $0x900, %eax // LME, NXE
    key_site erased
    wrmsr
    mov %cr0, %eax
    and $~0x0000000c, %eax // EM, TS off
    or $0x80010022, %eax // PG, WP, NE, MP
    key_site erased
    mov %eax, %cr0

    lea (boot_gdt - __eremite_entry)(%ebp), %eax
    push $0
    push %eax
    pushw $(boot_gdt_end - boot_gdt - 1)
    key_site erased
    lgdt (%esp)
    lea (__eremite_entry64 - __eremite_entry)(%ebp), %eax
    push $8
    push %eax
    lret

no_long_mode:
    lea (no_long_mode_text - __eremite_entry)(%ebp), %esi
2:  lodsb
    test %al, %al
    jz 3f
    mov $0x3f8, %dx
    outb %al, %dx
    jmp 2b
3:  mov $134 & 0x7f, %eax
    mov $0xf4, %dx
    outl %eax, %dx
    hlt
    jmp 3b
no_long_mode_text:
    .asciz "eremite: error: this processor has no 64-bit mode\r\n"

    .code64
    .globl __eremite_entry64
    .hidden __eremite_entry64
__eremite_entry64:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov %edi, %edi
    // By the loader: the clock starts here.
    cmpq $0, __eremite_entry_cycles(%rip)
    jne 5f
    rdtsc
    mov %eax, __eremite_entry_cycles(%rip)
    mov %edx, 4+__eremite_entry_cycles(%rip)
5:
    lea s_boot_stack_top(%rip), %rsp
    xor %ebp, %ebp
    push %rbp
    push %rbp
    mov %rsp, %rbp
    lea __eremite_entry(%rip), %rsi
    sub $__eremite_entry_offset, %rsi // the physical address of offset 0
    // early_start(start_info, load address) returns how far the virtual image is from the physical one, tables loaded.
    call __eremite_early_start
    add %rax, %rsp
    add %rax, %rbp
    lea 4f(%rip), %rcx
    add %rax, %rcx
    jmp *%rcx
4:  call __eremite_early_main
    ud2

    .globl __eremite_entry_end
    .hidden __eremite_entry_end
__eremite_entry_end:
    .size __eremite_entry, . - __eremite_entry

    .section .rodata.boot_gdt, "a"
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff // 64-bit code
    .quad 0x00cf93000000ffff // data
boot_gdt_end:

    .section .bss.boot_stack, "aw", @nobits
    .balign 4096
    .globl __eremite_boot_stack
    .hidden __eremite_boot_stack
__eremite_boot_stack:
    .skip 4096 // the guard page, once there are tables
    .skip 16384
s_boot_stack_top:
s_identity_root:
    .skip 4096
s_identity_pointers:
    .skip 4096
s_identity_directory:
    .skip 4096

    .section .bss.entry_cycles, "aw", @nobits
    .balign 8
    .globl __eremite_entry_cycles
    .hidden __eremite_entry_cycles
__eremite_entry_cycles:
    .skip 8
