// What the compiler calls by itself, under the names that the build gives it (kernel/CMakeLists.txt): general registers
// only, so that exception and interrupt handlers may use them.

    .macro function name
    .section .text.\name, "ax", @progbits
    .globl \name
    .hidden \name
    .type \name, @function
\name:
    hint #34 // bti c
    .endm

    // memmove's forward half is memcpy.
    function __eremite_memmove
    sub x3, x0, x1
    cmp x3, x2
    b.hs __eremite_memcpy
    // They overlap, destination above source: backwards.
    add x3, x0, x2
    add x1, x1, x2
1:  cmp x2, #16
    b.lo 2f
    ldp x4, x5, [x1, #-16]!
    stp x4, x5, [x3, #-16]!
    sub x2, x2, #16
    b 1b
2:  cbz x2, 3f
    ldrb w4, [x1, #-1]!
    strb w4, [x3, #-1]!
    sub x2, x2, #1
    b 2b
3:  ret
    .size __eremite_memmove, . - __eremite_memmove

    function __eremite_memcpy
    mov x3, x0
    cmp x2, #64
    b.lo 2f
1:  ldp x4, x5, [x1]
    ldp x6, x7, [x1, #16]
    ldp x8, x9, [x1, #32]
    ldp x10, x11, [x1, #48]
    stp x4, x5, [x3]
    stp x6, x7, [x3, #16]
    stp x8, x9, [x3, #32]
    stp x10, x11, [x3, #48]
    add x1, x1, #64
    add x3, x3, #64
    sub x2, x2, #64
    cmp x2, #64
    b.hs 1b
2:  cmp x2, #16
    b.lo 3f
    ldp x4, x5, [x1], #16
    stp x4, x5, [x3], #16
    sub x2, x2, #16
    b 2b
3:  tbz x2, #3, 4f
    ldr x4, [x1], #8
    str x4, [x3], #8
4:  tbz x2, #2, 5f
    ldr w4, [x1], #4
    str w4, [x3], #4
5:  tbz x2, #1, 6f
    ldrh w4, [x1], #2
    strh w4, [x3], #2
6:  tbz x2, #0, 7f
    ldrb w4, [x1]
    strb w4, [x3]
7:  ret
    .size __eremite_memcpy, . - __eremite_memcpy

    function __eremite_memset
    mov x3, x0
    and x1, x1, #0xff
    orr x1, x1, x1, lsl #8
    orr x1, x1, x1, lsl #16
    orr x1, x1, x1, lsl #32
    cmp x2, #64
    b.lo 2f
    cbnz x1, 1f
    cmp x2, #512
    b.hs 5f
1:  stp x1, x1, [x3]
    stp x1, x1, [x3, #16]
    stp x1, x1, [x3, #32]
    stp x1, x1, [x3, #48]
    add x3, x3, #64
    sub x2, x2, #64
    cmp x2, #64
    b.hs 1b
2:  cmp x2, #8
    b.lo 3f
    str x1, [x3], #8
    sub x2, x2, #8
    b 2b
3:  cbz x2, 4f
    strb w1, [x3], #1
    sub x2, x2, #1
    b 3b
4:  ret
    // Much to clear: by blocks of 64 bytes, where the processor clears such at once.
5:  mrs x4, dczid_el0
    cmp x4, #4
    b.ne 1b
    stp xzr, xzr, [x3]
    stp xzr, xzr, [x3, #16]
    stp xzr, xzr, [x3, #32]
    stp xzr, xzr, [x3, #48]
    add x4, x3, #64
    and x4, x4, #~63
    sub x5, x4, x3
    sub x2, x2, x5
    mov x3, x4
6:  dc zva, x3
    add x3, x3, #64
    dc zva, x3
    add x3, x3, #64
    sub x2, x2, #128
    cmp x2, #128
    b.hs 6b
    cmp x2, #64
    b.hs 1b
    b 2b
    .size __eremite_memset, . - __eremite_memset

    .globl __eremite_bcmp
    .hidden __eremite_bcmp
    function __eremite_memcmp
__eremite_bcmp:
    mov x5, x0
1:  cmp x2, #8
    b.lo 2f
    ldr x3, [x5], #8
    ldr x4, [x1], #8
    sub x2, x2, #8
    cmp x3, x4
    b.eq 1b
    rev x3, x3
    rev x4, x4
    cmp x3, x4
    cset w0, hi
    csinv w0, w0, wzr, hs // lower: -1
    ret
2:  cbz x2, 3f
    ldrb w3, [x5], #1
    ldrb w4, [x1], #1
    sub x2, x2, #1
    subs w0, w3, w4
    b.eq 2b
    ret
3:  mov w0, #0
    ret
    .size __eremite_memcmp, . - __eremite_memcmp

    function __eremite_strlen
    mov x1, x0
1:  ldrb w2, [x1], #1
    cbnz w2, 1b
    sub x0, x1, x0
    sub x0, x0, #1
    ret
    .size __eremite_strlen, . - __eremite_strlen

    function __eremite_memchr
    and w1, w1, #0xff
    mov x4, #0x0101010101010101
    mul x5, x1, x4
1:  cmp x2, #8
    b.lo 2f
    ldr x3, [x0]
    // Which bytes are the wanted one: those that are zero now.
    eor x3, x3, x5
    sub x6, x3, x4
    bic x6, x6, x3
    ands x6, x6, #0x8080808080808080
    b.ne 4f
    add x0, x0, #8
    sub x2, x2, #8
    b 1b
4:  rev x6, x6
    clz x6, x6
    add x0, x0, x6, lsr #3
    ret
2:  cbz x2, 3f
    ldrb w3, [x0], #1
    sub x2, x2, #1
    cmp w3, w1
    b.ne 2b
    sub x0, x0, #1
    ret
3:  mov x0, #0
    ret
    .size __eremite_memchr, . - __eremite_memchr
