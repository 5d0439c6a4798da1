// Copies that survive a fault (arch/user_copy.h). Each instruction that may fault has a line in eremite_fixups: itself,
// and where to go on, both relative to the field. A line is kept with the function it belongs to.
//
// Bulk goes by 16-byte registers, which are saved and restored: the application's are live in exceptions.

    .macro function name
    .section .text.\name, "ax", @progbits
    .globl \name
    .hidden \name
    .type \name, @function
\name:
    .endm
    .macro fixup section, from, to
    .pushsection eremite_fixups, "ao", @progbits, \section
    .long \from - ., \to - .
    .popsection
    .endm

    // usize copy_user(void* destination, const void* source, usize length): bytes not copied.
    function __eremite_copy_user
    cmp $64, %rdx
    jae copy_bulk
copy_words:
    cmp $8, %rdx
    jb copy_tail
copy_word_load:
    mov (%rsi), %rax
copy_word_store:
    mov %rax, (%rdi)
    add $8, %rsi
    add $8, %rdi
    sub $8, %rdx
    jmp copy_words
copy_tail:
    test %rdx, %rdx
    jz copy_done
copy_bytes:
    movzbl (%rsi), %eax
copy_byte_store:
    mov %al, (%rdi)
    inc %rsi
    inc %rdi
    dec %rdx
    jnz copy_bytes
copy_done:
copy_byte_fault:
    mov %rdx, %rax
    ret
copy_bulk:
    sub $64, %rsp
    movups %xmm0, (%rsp)
    movups %xmm1, 16(%rsp)
    movups %xmm2, 32(%rsp)
    movups %xmm3, 48(%rsp)
copy_bulk_load0:
    movups (%rsi), %xmm0
copy_bulk_load1:
    movups 16(%rsi), %xmm1
copy_bulk_load2:
    movups 32(%rsi), %xmm2
copy_bulk_load3:
    movups 48(%rsi), %xmm3
copy_bulk_store0:
    movups %xmm0, (%rdi)
copy_bulk_store1:
    movups %xmm1, 16(%rdi)
copy_bulk_store2:
    movups %xmm2, 32(%rdi)
copy_bulk_store3:
    movups %xmm3, 48(%rdi)
    add $64, %rsi
    add $64, %rdi
    sub $64, %rdx
    cmp $64, %rdx
    jae copy_bulk_load0
copy_bulk_fault: // the bytes that are left find the very place
    movups (%rsp), %xmm0
    movups 16(%rsp), %xmm1
    movups 32(%rsp), %xmm2
    movups 48(%rsp), %xmm3
    add $64, %rsp
    jmp copy_words
    .size __eremite_copy_user, . - __eremite_copy_user
    .irp place, copy_bulk_load0, copy_bulk_load1, copy_bulk_load2, copy_bulk_load3, copy_bulk_store0, copy_bulk_store1, copy_bulk_store2, copy_bulk_store3
    fixup .text.__eremite_copy_user, \place, copy_bulk_fault
    .endr
    fixup .text.__eremite_copy_user, copy_word_load, copy_bytes
    fixup .text.__eremite_copy_user, copy_word_store, copy_bytes
    fixup .text.__eremite_copy_user, copy_bytes, copy_byte_fault
    fixup .text.__eremite_copy_user, copy_byte_store, copy_byte_fault

    // usize clear_user(void* destination, usize length): bytes not cleared.
    function __eremite_clear_user
    mov %rsi, %rcx
    xor %eax, %eax
    shr $3, %rcx
clear_words:
    rep stosq
    mov %esi, %ecx
    and $7, %ecx
clear_bytes:
    rep stosb
    xor %eax, %eax
    ret
clear_words_fault:
    and $7, %esi
    lea (%rsi, %rcx, 8), %rcx
    jmp clear_bytes
clear_bytes_fault:
    mov %rcx, %rax
    ret
    .size __eremite_clear_user, . - __eremite_clear_user
    fixup .text.__eremite_clear_user, clear_words, clear_words_fault
    fixup .text.__eremite_clear_user, clear_bytes, clear_bytes_fault

    // isize user_string_length(const char* source, usize limit)
    function __eremite_user_string_length
    xor %eax, %eax
string_next:
    cmp %rsi, %rax
    jae string_end
string_load:
    cmpb $0, (%rdi, %rax)
    je string_end
    inc %rax
    jmp string_next
string_end:
    ret
string_fault:
    mov $-1, %rax
    ret
    .size __eremite_user_string_length, . - __eremite_user_string_length
    fixup .text.__eremite_user_string_length, string_load, string_fault

    // bool compare_exchange_user(u32* target, u32* expected, u32 desired)
    function __eremite_compare_exchange_user
    mov (%rsi), %eax
exchange_place:
    lock cmpxchg %edx, (%rdi)
    mov %eax, (%rsi)
    mov $1, %eax
    ret
exchange_fault:
    xor %eax, %eax
    ret
    .size __eremite_compare_exchange_user, . - __eremite_compare_exchange_user
    fixup .text.__eremite_compare_exchange_user, exchange_place, exchange_fault

    // bool load_user(const u32* source, u32* value)
    function __eremite_load_user
load_place:
    mov (%rdi), %eax
    mov %eax, (%rsi)
    mov $1, %eax
    ret
load_fault:
    xor %eax, %eax
    ret
    .size __eremite_load_user, . - __eremite_load_user
    fixup .text.__eremite_load_user, load_place, load_fault

    // bool save_vectors_user(void* area, bool xsave): of the registers as they are; restore_ likewise.
    .macro vectors name, save, save_legacy
    function __eremite_\name\()_vectors_user
    mov %esi, %ecx
    mov $-1, %eax
    mov $-1, %edx
    test %ecx, %ecx
    jz \name\()_vectors_legacy
\name\()_vectors_place:
    \save (%rdi)
    mov $1, %eax
    ret
\name\()_vectors_legacy:
    \save_legacy (%rdi)
    mov $1, %eax
    ret
\name\()_vectors_fault:
    xor %eax, %eax
    ret
    .size __eremite_\name\()_vectors_user, . - __eremite_\name\()_vectors_user
    fixup .text.__eremite_\name\()_vectors_user, \name\()_vectors_place, \name\()_vectors_fault
    fixup .text.__eremite_\name\()_vectors_user, \name\()_vectors_legacy, \name\()_vectors_fault
    .endm
    // Not XSAVEOPT: it may leave out what it wrote to the same address before.
    vectors save, xsave64, fxsave64
#if EREMITE_ISOLATION != 2
    // Faults on what the application has made of the area, too. (Where there are keys, the kernel restores from a copy.)
    vectors restore, xrstor64, fxrstor64
#endif

    // void touch_stack(): has the pages below the stack pointer that a system call may need brought in, those that exist.
    // Nothing is changed: beyond the end of a small stack lies somebody else's memory. All registers but flags are kept.
    function __eremite_touch_stack
    .irp page, 1, 2, 3, 4
touch_stack_\page:
    testb $0, -4096 * \page(%rsp)
    .endr
touch_stack_end:
    ret
    .size __eremite_touch_stack, . - __eremite_touch_stack
    fixup .text.__eremite_touch_stack, touch_stack_1, touch_stack_end
    fixup .text.__eremite_touch_stack, touch_stack_2, touch_stack_end
    fixup .text.__eremite_touch_stack, touch_stack_3, touch_stack_end
    fixup .text.__eremite_touch_stack, touch_stack_4, touch_stack_end
