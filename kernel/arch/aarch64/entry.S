// Where the machine begins: at the start of the image, with the MMU off, at EL2 or EL1. A Linux boot loader (and QEMU's
// -kernel with the raw Image) passes the device tree in x0; QEMU's -kernel with the ELF file passes nothing and leaves it
// at the start of memory (Documentation/arm64/booting.rst).
// From here to the jump behind early_start, everything runs at its physical address.

#include "arch/aarch64/registers.h"

    .macro mov_64 register, value
    movz \register, #((\value) & 0xffff)
    movk \register, #(((\value) >> 16) & 0xffff), lsl #16
    movk \register, #(((\value) >> 32) & 0xffff), lsl #32
    .endm

    .section .head.text, "ax", @progbits
    .globl __eremite_image_header
    .hidden __eremite_image_header
__eremite_image_header:
    b __eremite_entry
    .long 0
    .quad 0 // offset from a 2 MiB boundary
    // Size in memory, the first page tables behind the image included.
    .quad __eremite_image_end - __eremite_image_header + EARLY_MEMORY
    .quad 0xa // little-endian, pages of 4 KiB, anywhere in memory
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .long 0

    .section .note.Eremite, "a", @note
    .balign 4
    .long 8, 16, 0x45520001 // see boot/elf.h
    .asciz "Eremite"
    .long 1 // version of this agreement
    .long 0
    .quad __eremite_entry_offset // where the header's first instruction leads

    .section .text.__eremite_entry, "ax", @progbits
    .globl __eremite_entry
    .hidden __eremite_entry
    .type __eremite_entry, @function
__eremite_entry:
    .inst 0xd280001f | (0x4501 << 5) // marker 1 of the instruction counter (bench/programs/mark.h)
    msr daifset, #0xf
    mov x20, x0
    mrs x21, cntvct_el0
    adrp x22, __eremite_image_start
    bl leave_el2
    bl enable_processor

    // The identity mapping, in the memory behind the image: pages of 1 GiB. Normal memory where the image and the device
    // tree lie, registers elsewhere. This is the only mapping that is both writable and executable, and it is left for
    // good before anything of the application's runs.
    adrp x10, __eremite_image_end // root, 4 KiB
    add x11, x10, #4096 // the first 512 GiB
    mov x0, x10
    add x1, x10, #8192
1:  stp xzr, xzr, [x0]
    stp xzr, xzr, [x0, #16]
    stp xzr, xzr, [x0, #32]
    stp xzr, xzr, [x0, #48]
    add x0, x0, #64
    cmp x0, x1
    b.lo 1b
    orr x0, x11, #3
    str x0, [x10]
    mov x0, #0x405 // block, device, accessed
    movk x0, #0x0060, lsl #48 // never executed
    mov x1, #0
    mov x2, #0x40000000
2:  str x0, [x11, x1, lsl #3]
    add x0, x0, x2
    add x1, x1, #1
    cmp x1, #8
    b.lo 2b
    mov x0, x22
    bl map_gigabyte
    add x0, x10, #(EARLY_MEMORY >> 12), lsl #12 // it may cross into the next
    bl map_gigabyte
    cbz x20, 1f
    mov x0, x20
    bl map_gigabyte
1:  dsb sy
    mov_64 x1, TCR_VALUE
    mrs x2, id_aa64mmfr0_el1
    and x2, x2, #7
    cmp x2, #5 // physical addresses of no more than 48 bits: larger ones need another format
    mov x3, #5
    csel x2, x2, x3, ls
    bfi x1, x2, #32, #3
    mov x0, x10
    bl enable_mmu

    // A raw Image leaves .bss as it was; ELF loaders zero it.
    cbz x20, 4f
    adrp x0, __eremite_kernel_bss_start
    add x0, x0, :lo12:__eremite_kernel_bss_start
    adrp x1, __eremite_image_end
    // By blocks of 64 bytes where the processor clears such at once.
    mrs x2, dczid_el0
    cmp x2, #4
    b.ne 6f
3:  tst x0, #63
    b.eq 5f
    stp xzr, xzr, [x0], #16
    b 3b
2:  dc zva, x0
    add x0, x0, #64
    dc zva, x0
    add x0, x0, #64
    dc zva, x0
    add x0, x0, #64
    dc zva, x0
    add x0, x0, #64
5:  sub x2, x1, x0
    cmp x2, #256
    b.hs 2b
6:  cmp x0, x1
    b.hs 4f
    stp xzr, xzr, [x0], #16
    b 6b
4:
    adrp x0, s_boot_stack_top
    add x0, x0, :lo12:s_boot_stack_top
    mov sp, x0
    adrp x0, __eremite_boot_cpu
    add x0, x0, :lo12:__eremite_boot_cpu
    msr tpidr_el1, x0
    mov x29, #0
    mov x30, #0
    mov x0, x20
    mov x1, x22
    mov x2, x21
    sub sp, sp, #32
    mov x3, sp
    // Returns how far the virtual image is from the physical one, and puts the final TTBR0, which still maps the code
    // that runs one to one, TTBR1 and TCR to x3.
    bl __eremite_early_start
    ldp x1, x2, [sp]
    ldr x3, [sp, #16]
    add sp, sp, #32
    // The size of the halves may change with the tables: without MMU for a moment. What follows touches no memory.
    mrs x4, sctlr_el1
    bic x5, x4, #SCTLR_MMU
    msr sctlr_el1, x5
    isb
    msr ttbr0_el1, x1
    msr ttbr1_el1, x2
    msr tcr_el1, x3
    isb
    tlbi vmalle1
    dsb sy
    isb
    msr sctlr_el1, x4
    isb
    mov x4, sp
    add x4, x4, x0
    mov sp, x4
    adr x5, 7f
    add x5, x5, x0
    br x5
7:  hint #36 // bti j
    bl __eremite_early_main
    brk #1
    .size __eremite_entry, . - __eremite_entry

// Called with the MMU off on every processor. If at EL2, goes on at EL1. Clobbers x0, x1.
leave_el2:
    mrs x0, CurrentEL
    cmp x0, #(2 << 2)
    b.ne 9f
    mov x0, #(1 << 31) // EL1 is 64-bit
    orr x0, x0, #(3 << 40) // pointer authentication doesn't trap
    msr hcr_el2, x0
    isb
    mov x0, #3 // the timer and its counter don't trap
    msr cnthctl_el2, x0
    msr cntvoff_el2, xzr
    mrs x0, midr_el1
    msr vpidr_el2, x0
    mrs x0, mpidr_el1
    msr vmpidr_el2, x0
    mov x0, #0x32ff // floating point doesn't trap
    msr cptr_el2, x0
    msr hstr_el2, xzr
    mrs x0, id_aa64pfr0_el1
    ubfx x0, x0, #24, #4
    cbz x0, 1f
    mrs x0, S3_4_C12_C9_5 // ICC_SRE_EL2: EL1 uses GICv3 by system registers
    mov x1, #9
    orr x0, x0, x1
    msr S3_4_C12_C9_5, x0
    isb
    mrs x0, S3_4_C12_C9_5
    tbz x0, #0, 1f
    msr S3_4_C12_C11_0, xzr // ICH_HCR_EL2
1:  mov_64 x0, SCTLR_RESET
    msr sctlr_el1, x0
    mov x0, #0x3c5 // EL1h, all masked
    msr spsr_el2, x0
    msr elr_el2, x30
    eret
9:  ret

// Floating point on, stack pointer SP_EL0 for all that is not an exception's entry.
enable_processor:
    msr SPSel, #0
    mov x0, #(3 << 20)
    msr cpacr_el1, x0
    msr mdscr_el1, xzr
    msr contextidr_el1, xzr
    isb
    ret

// x0: an address; makes its GiB normal memory in the identity mapping at x11. Clobbers x1 to x3.
map_gigabyte:
    lsr x1, x0, #30
    cmp x1, #512
    b.hs 1f
    lsl x2, x1, #30
    mov x3, #0x701 // block, normal, inner shareable, accessed
    orr x2, x2, x3
    str x2, [x11, x1, lsl #3]
1:  ret

// x0: the root of the lower half; x1: TCR. Clobbers x1.
enable_mmu:
    msr ttbr0_el1, x0
    msr tcr_el1, x1
    mov_64 x1, MAIR_VALUE
    msr mair_el1, x1
    isb
    tlbi vmalle1
    dsb sy
    mov_64 x1, SCTLR_EARLY
    msr sctlr_el1, x1
    isb
    ret

// Another processor, started by PSCI, with the physical address of a StartBlock (smp.cpp) in x0.
    .globl __eremite_secondary_entry
    .hidden __eremite_secondary_entry
__eremite_secondary_entry:
    msr daifset, #0xf
    mov x20, x0
    bl leave_el2
    bl enable_processor
    ldr x0, [x20] // identity root, which maps the image too
    ldr x1, [x20, #8]
    msr ttbr1_el1, x1
    ldr x1, [x20, #40]
    bl enable_mmu
    ldr x0, [x20, #16] // virtual minus physical
    add x20, x20, x0
    adr x5, 1f
    add x5, x5, x0
    br x5
1:  hint #36
    ldr x1, [x20, #24] // the stack's end
    mov sp, x1
    ldr x2, [x20, #32] // final TTBR0
    msr ttbr0_el1, x2
    isb
    tlbi vmalle1
    dsb sy
    isb
    mov x0, x20
    mov x29, #0
    mov x30, #0
    bl __eremite_secondary_main
    brk #1

    .section .bss.boot_stack, "aw", @nobits
    .balign 4096
    .globl __eremite_boot_stack
    .hidden __eremite_boot_stack
__eremite_boot_stack:
    .skip 4096 // the guard page
    .skip 16384
s_boot_stack_top:
    .skip 4096 // the guard page of the entry stack
    .globl __eremite_boot_entry_stack
    .hidden __eremite_boot_entry_stack
__eremite_boot_entry_stack:
    .skip 16384
