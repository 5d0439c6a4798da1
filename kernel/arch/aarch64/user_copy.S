// Copies that survive a fault (arch/user_copy.h). Each instruction that may fault has a line in eremite_fixups: itself,
// and where to go on, both relative to the field. A line is kept with the function it belongs to.

    .macro function name
    .section .text.\name, "ax", @progbits
    .globl \name
    .hidden \name
    .type \name, @function
\name:
    hint #34 // bti c
    .endm
    .macro fixup section, from, to
    .pushsection eremite_fixups, "ao", @progbits, \section
    .word \from - ., \to - .
    .popsection
    .endm

    // usize copy_user(void* destination, const void* source, usize length): bytes not copied.
    function __eremite_copy_user
    cmp x2, #64
    b.lo .Lcopy_words
.Lcopy_load0:
    ldp x3, x4, [x1]
.Lcopy_load1:
    ldp x5, x6, [x1, #16]
.Lcopy_load2:
    ldp x7, x8, [x1, #32]
.Lcopy_load3:
    ldp x9, x10, [x1, #48]
.Lcopy_store0:
    stp x3, x4, [x0]
.Lcopy_store1:
    stp x5, x6, [x0, #16]
.Lcopy_store2:
    stp x7, x8, [x0, #32]
.Lcopy_store3:
    stp x9, x10, [x0, #48]
    add x1, x1, #64
    add x0, x0, #64
    sub x2, x2, #64
    cmp x2, #64
    b.hs .Lcopy_load0
.Lcopy_words: // after a fault above, too: what is left finds the very place
    cmp x2, #8
    b.lo .Lcopy_tail
.Lcopy_word_load:
    ldr x3, [x1]
.Lcopy_word_store:
    str x3, [x0]
    add x1, x1, #8
    add x0, x0, #8
    sub x2, x2, #8
    b .Lcopy_words
.Lcopy_tail:
    cbz x2, .Lcopy_done
.Lcopy_byte_load:
    ldrb w3, [x1]
.Lcopy_byte_store:
    strb w3, [x0]
    add x1, x1, #1
    add x0, x0, #1
    subs x2, x2, #1
    b.ne .Lcopy_byte_load
.Lcopy_done:
    mov x0, x2
    ret
    .size __eremite_copy_user, . - __eremite_copy_user
    .irp place, load0, load1, load2, load3, store0, store1, store2, store3
    fixup .text.__eremite_copy_user, .Lcopy_\place, .Lcopy_words
    .endr
    fixup .text.__eremite_copy_user, .Lcopy_word_load, .Lcopy_tail
    fixup .text.__eremite_copy_user, .Lcopy_word_store, .Lcopy_tail
    fixup .text.__eremite_copy_user, .Lcopy_byte_load, .Lcopy_done
    fixup .text.__eremite_copy_user, .Lcopy_byte_store, .Lcopy_done

    // usize clear_user(void* destination, usize length): bytes not cleared.
    function __eremite_clear_user
    cmp x1, #16
    b.lo .Lclear_tail
.Lclear_pair:
    stp xzr, xzr, [x0]
    add x0, x0, #16
    sub x1, x1, #16
    cmp x1, #16
    b.hs .Lclear_pair
.Lclear_tail:
    cbz x1, .Lclear_done
.Lclear_byte:
    strb wzr, [x0]
    add x0, x0, #1
    subs x1, x1, #1
    b.ne .Lclear_byte
.Lclear_done:
    mov x0, x1
    ret
    .size __eremite_clear_user, . - __eremite_clear_user
    fixup .text.__eremite_clear_user, .Lclear_pair, .Lclear_tail
    fixup .text.__eremite_clear_user, .Lclear_byte, .Lclear_done

    // isize user_string_length(const char* source, usize limit)
    function __eremite_user_string_length
    mov x2, #0
.Lstring_next:
    cmp x2, x1
    b.hs .Lstring_end
.Lstring_load:
    ldrb w3, [x0, x2]
    cbz w3, .Lstring_end
    add x2, x2, #1
    b .Lstring_next
.Lstring_fault:
    mov x2, #-1
.Lstring_end:
    mov x0, x2
    ret
    .size __eremite_user_string_length, . - __eremite_user_string_length
    fixup .text.__eremite_user_string_length, .Lstring_load, .Lstring_fault

    // bool compare_exchange_user(u32* target, u32* expected, u32 desired)
    function __eremite_compare_exchange_user
    ldr w3, [x1]
.Lexchange_load:
    ldaxr w4, [x0]
    cmp w4, w3
    b.ne .Lexchange_differs
.Lexchange_store:
    stlxr w5, w2, [x0]
    cbnz w5, .Lexchange_load
    dmb ish
.Lexchange_end:
    str w4, [x1]
    mov w0, #1
    ret
.Lexchange_differs:
    clrex
    b .Lexchange_end
.Lexchange_fault:
    clrex
    mov w0, #0
    ret
    .size __eremite_compare_exchange_user, . - __eremite_compare_exchange_user
    fixup .text.__eremite_compare_exchange_user, .Lexchange_load, .Lexchange_fault
    fixup .text.__eremite_compare_exchange_user, .Lexchange_store, .Lexchange_fault

    // bool load_user(const u32* source, u32* value)
    function __eremite_load_user
.Lload_place:
    ldar w2, [x0]
    str w2, [x1]
    mov w0, #1
    ret
.Lload_fault:
    mov w0, #0
    ret
    .size __eremite_load_user, . - __eremite_load_user
    fixup .text.__eremite_load_user, .Lload_place, .Lload_fault

    // void touch_stack(): has the pages below the stack pointer that a system call may need brought in, those that exist.
    // Nothing is changed: beyond the end of a small stack lies somebody else's memory.
    function __eremite_touch_stack
    .irp page, 1, 2, 3, 4
    sub x16, sp, #4096 * \page
.Ltouch_stack_\page:
    ldrb w17, [x16]
    .endr
.Ltouch_stack_end:
    ret
    .size __eremite_touch_stack, . - __eremite_touch_stack
    fixup .text.__eremite_touch_stack, .Ltouch_stack_1, .Ltouch_stack_end
    fixup .text.__eremite_touch_stack, .Ltouch_stack_2, .Ltouch_stack_end
    fixup .text.__eremite_touch_stack, .Ltouch_stack_3, .Ltouch_stack_end
    fixup .text.__eremite_touch_stack, .Ltouch_stack_4, .Ltouch_stack_end
