// A machine of a few instructions that keeps to docs/boot.md: prints TEXT, then ends with STATUS (or never, if HANG).
// With it the tool is tested without a kernel.
    .section .note.pvh, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .code32
    .text
    .globl start
    .type start, @function
start:
    mov $text, %esi
    mov $0x3f8, %dx
    call print
#ifdef HANG
    cli
1:  hlt
    jmp 1b
#else
#ifndef MUTE
    mov $status, %esi
    mov $0xe9, %dx
    call print
#endif
    mov $0xf4, %dx
    mov $(STATUS & 0x7f), %eax
    out %eax, %dx
#endif

print:
    lodsb
    test %al, %al
    jz 1f
    out %al, %dx
    jmp print
1:  ret

    .data
text:
    .asciz TEXT
status:
    .ascii "exit "
    .byte '0' + STATUS / 100, '0' + STATUS / 10 % 10, '0' + STATUS % 10
    .asciz "\n"
