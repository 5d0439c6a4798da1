// A kernel that is Linux: liberemite.a's interface to libc, each system call made for real. An image linked with it
// runs as a process on the build machine (aarch64: under qemu-user), which tests libc, libc++, the link script and the
// compilers without our kernel. It relocates the image and makes its program headers as our kernel does.
#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#define HIDDEN extern "C" __attribute__((visibility("hidden")))

namespace {

#if defined(__x86_64__)
long linux_call(long n, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
{
    long result;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    asm volatile("syscall"
        : "=a"(result)
        : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
        : "rcx", "r11", "memory");
    return result;
}
constexpr int k_relative = R_X86_64_RELATIVE;
constexpr long k_nr_munmap = 11;
constexpr long k_nr_exit = 60;
#define NUMBER(x86_64, aarch64) x86_64
#else
long linux_call(long n, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
{
    register long x8 asm("x8") = n;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = e;
    register long x5 asm("x5") = f;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}
constexpr int k_relative = R_AARCH64_RELATIVE;
#define NUMBER(x86_64, aarch64) aarch64
#endif

} // namespace

#define PARAMETERS0
#define PARAMETERS1 long a
#define PARAMETERS2 PARAMETERS1, long b
#define PARAMETERS3 PARAMETERS2, long c
#define PARAMETERS4 PARAMETERS3, long d
#define PARAMETERS5 PARAMETERS4, long e
#define PARAMETERS6 PARAMETERS5, long f
#define ARGUMENTS0
#define ARGUMENTS1 , a
#define ARGUMENTS2 ARGUMENTS1, b
#define ARGUMENTS3 ARGUMENTS2, c
#define ARGUMENTS4 ARGUMENTS3, d
#define ARGUMENTS5 ARGUMENTS4, e
#define ARGUMENTS6 ARGUMENTS5, f
#define SYSCALL(name, x86_64, aarch64, arity, format)                                                                  \
    HIDDEN long __eremite_sys_##name(PARAMETERS##arity)                                                                \
    {                                                                                                                  \
        return linux_call(NUMBER(x86_64, aarch64) ARGUMENTS##arity);                                                   \
    }
#define UNIMPLEMENTED SYSCALL
#include "syscall/table.inc"

HIDDEN long __eremite_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    return linux_call(n, a, b, c, d, e, f);
}

HIDDEN int __eremite_set_thread_area(void* pointer)
{
#if defined(__x86_64__)
    return static_cast<int>(linux_call(158, 0x1002, reinterpret_cast<long>(pointer)));
#else
    asm volatile("msr tpidr_el0, %0" ::"r"(pointer));
    return 0;
#endif
}

#if defined(__x86_64__)
asm(R"(
.section .text.primitives, "ax"
.globl __eremite_clone, __eremite_unmapself, __eremite_restore_rt, __eremite_entry
.hidden __eremite_clone, __eremite_unmapself, __eremite_restore_rt
__eremite_clone:
    mov %rdi, %r11
    mov %rdx, %rdi
    mov %r8, %rdx
    mov %r9, %r8
    mov 8(%rsp), %r10
    and $-16, %rsi
    sub $16, %rsi
    mov %rcx, (%rsi)
    mov %r11, 8(%rsi)
    mov $56, %eax
    syscall
    test %eax, %eax
    jnz 1f
    xor %ebp, %ebp
    pop %rdi
    pop %rax
    call *%rax
    mov %eax, %edi
    mov $60, %eax
    syscall
1:  ret
__eremite_unmapself:
    mov $11, %eax
    syscall
    xor %edi, %edi
    mov $60, %eax
    syscall
__eremite_restore_rt:
    mov $15, %eax
    syscall
__eremite_entry:
    xor %ebp, %ebp
    mov %rsp, %rdi
    and $-16, %rsp
    call native_start
    mov %rax, %rsp
    jmp _start
)");
#else
asm(R"(
.section .text.primitives, "ax"
.globl __eremite_clone, __eremite_unmapself, __eremite_restore_rt, __eremite_entry
.hidden __eremite_clone, __eremite_unmapself, __eremite_restore_rt
__eremite_clone:
    and x1, x1, #-16
    stp x0, x3, [x1, #-16]!
    mov x0, x2
    mov x2, x4
    mov x3, x5
    mov x4, x6
    mov x8, #220
    svc #0
    cbz x0, 1f
    ret
1:  ldp x1, x0, [sp], #16
    blr x1
    mov x8, #93
    svc #0
__eremite_unmapself:
    mov x8, #215
    svc #0
    mov x8, #93
    svc #0
__eremite_restore_rt:
    mov x8, #139
    svc #0
__eremite_entry:
    mov x29, #0
    mov x0, sp
    bl native_start
    mov sp, x0
    b _start
)");
#endif

#define SYMBOL(name) HIDDEN char name[]
SYMBOL(__eremite_image_start);
SYMBOL(__eremite_image_end);
SYMBOL(__eremite_rela_start);
SYMBOL(__eremite_rela_end);
SYMBOL(__eremite_relr_start);
SYMBOL(__eremite_relr_end);
SYMBOL(__eremite_eh_frame_hdr_start);
SYMBOL(__eremite_eh_frame_hdr_end);
SYMBOL(__eremite_tls_start);
SYMBOL(__eremite_tls_file_end);
SYMBOL(__eremite_tls_end);
HIDDEN const uintptr_t __eremite_layout[];

// Takes the stack as Linux made it; relocates the image; makes the program headers. Returns the stack.
HIDDEN long* native_start(long* stack)
{
    static Elf64_Phdr headers[4];
    auto base = reinterpret_cast<uintptr_t>(__eremite_image_start);
    auto word = [&](uintptr_t offset) { return reinterpret_cast<uintptr_t*>(base + offset); };
    for (auto* rela = reinterpret_cast<Elf64_Rela*>(__eremite_rela_start);
        rela != reinterpret_cast<Elf64_Rela*>(__eremite_rela_end); rela++) {
        if (ELF64_R_TYPE(rela->r_info) == k_relative)
            *word(rela->r_offset) = base + rela->r_addend;
        else
            __builtin_trap();
    }
    uintptr_t* where = nullptr;
    for (auto* relr = reinterpret_cast<uintptr_t*>(__eremite_relr_start);
        relr != reinterpret_cast<uintptr_t*>(__eremite_relr_end); relr++) {
        if ((*relr & 1) == 0) {
            where = word(*relr);
            *where++ += base;
        } else {
            for (size_t i = 0; i < 63; i++) {
                if (*relr >> (i + 1) & 1)
                    where[i] += base;
            }
            where += 63;
        }
    }

    auto offset = [&](char* symbol) { return reinterpret_cast<uintptr_t>(symbol) - base; };
    Elf64_Phdr* end = headers;
    *end++ = { PT_PHDR, PF_R, 0, reinterpret_cast<uintptr_t>(headers) - base, 0, 0, 0, 8 };
    *end++ = { PT_LOAD, PF_R | PF_X, 0, 0, 0, offset(__eremite_image_end), offset(__eremite_image_end), 4096 };
    uintptr_t eh_frame_size = __eremite_eh_frame_hdr_end - __eremite_eh_frame_hdr_start;
    *end++ = { PT_GNU_EH_FRAME, PF_R, 0, offset(__eremite_eh_frame_hdr_start), 0, eh_frame_size, eh_frame_size, 4 };
    if (offset(__eremite_tls_end) != offset(__eremite_tls_start))
        *end++ = { PT_TLS, PF_R, 0, offset(__eremite_tls_start), 0,
            static_cast<uintptr_t>(__eremite_tls_file_end - __eremite_tls_start),
            static_cast<uintptr_t>(__eremite_tls_end - __eremite_tls_start), __eremite_layout[0] };

    long* auxiliary = stack + 1 + stack[0] + 1;
    while (*auxiliary++ != 0) { }
    for (; *auxiliary != AT_NULL; auxiliary += 2) {
        if (*auxiliary == AT_PHDR)
            auxiliary[1] = reinterpret_cast<long>(headers);
        else if (*auxiliary == AT_PHNUM)
            auxiliary[1] = end - headers;
        else if (*auxiliary == AT_SYSINFO_EHDR)
            *auxiliary = AT_IGNORE;
    }
    return stack;
}
