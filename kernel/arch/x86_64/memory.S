// What the compiler calls by itself in kernel code (renamed by the build). General registers only: they also serve
// interrupt handlers.

    .macro function name
    .section .text.\name, "ax", @progbits
    .globl \name
    .hidden \name
    .type \name, @function
\name:
    .endm

    function __eremite_memcpy
    mov %rdi, %rax
    mov %rdx, %rcx
    cmp $128, %rdx
    jae 1f
    // Short: words, then bytes. The string instructions cost some dozens of cycles to start.
    shr $3, %rcx
    jz 3f
2:  mov (%rsi), %r8
    mov %r8, (%rdi)
    add $8, %rsi
    add $8, %rdi
    dec %rcx
    jnz 2b
3:  and $7, %edx
    jz 5f
4:  movzbl (%rsi), %r8d
    mov %r8b, (%rdi)
    inc %rsi
    inc %rdi
    dec %edx
    jnz 4b
5:  ret
1:  shr $3, %rcx
    rep movsq
    mov %edx, %ecx
    and $7, %ecx
    rep movsb
    ret

    function __eremite_memmove
    mov %rdi, %rax
    sub %rsi, %rax
    cmp %rdx, %rax
    jae __eremite_memcpy // destination below the source, or clear of it: forwards is right
    mov %rdi, %rax
    mov %rdx, %rcx
    std
    lea -8(%rdi, %rcx), %rdi
    lea -8(%rsi, %rcx), %rsi
    shr $3, %rcx
    rep movsq
    mov %edx, %ecx
    and $7, %ecx
    add $7, %rdi
    add $7, %rsi
    rep movsb
    cld
    ret

    function __eremite_memset
    mov %rdi, %r9
    movzbl %sil, %eax
    mov $0x0101010101010101, %r8
    imul %r8, %rax
    mov %rdx, %rcx
    shr $3, %rcx
    cmp $16, %rcx
    jae 1f
    test %rcx, %rcx
    jz 3f
2:  mov %rax, (%rdi)
    add $8, %rdi
    dec %rcx
    jnz 2b
3:  and $7, %edx
    jz 5f
4:  mov %al, (%rdi)
    inc %rdi
    dec %edx
    jnz 4b
5:  mov %r9, %rax
    ret
1:  rep stosq
    mov %edx, %ecx
    and $7, %ecx
    rep stosb
    mov %r9, %rax
    ret

    function __eremite_memcmp
1:  cmp $8, %rdx
    jb 2f
    mov (%rdi), %rax
    mov (%rsi), %rcx
    cmp %rcx, %rax
    jne 4f
    add $8, %rdi
    add $8, %rsi
    sub $8, %rdx
    jmp 1b
2:  test %rdx, %rdx
    jz 3f
    movzbl (%rdi), %eax
    movzbl (%rsi), %ecx
    inc %rdi
    inc %rsi
    dec %rdx
    sub %ecx, %eax
    jz 2b
    ret
3:  xor %eax, %eax
    ret
4:  bswap %rax // the first byte that differs is the one that counts
    bswap %rcx
    cmp %rcx, %rax
    sbb %eax, %eax
    or $1, %eax
    ret

    function __eremite_bcmp
    jmp __eremite_memcmp

    function __eremite_strlen
    mov %rdi, %rax
1:  cmpb $0, (%rax)
    je 2f
    inc %rax
    jmp 1b
2:  sub %rdi, %rax
    ret

    function __eremite_memchr
1:  test %rdx, %rdx
    jz 2f
    cmp %sil, (%rdi)
    je 3f
    inc %rdi
    dec %rdx
    jmp 1b
2:  xor %eax, %eax
    ret
3:  mov %rdi, %rax
    ret
