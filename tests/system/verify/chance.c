// Code that holds the bytes of key-changing instructions by chance, one kind in each function. What they compute is the
// same before and after the tool has mended them.
#include <stdio.h>

#define FUNCTION(name)                                                                                                 \
    ".pushsection .text." #name ",\"ax\",@progbits\n.globl " #name "\n.type " #name ",@function\n" #name ":\nendbr64"  \
    "\n"
#define END(name) ".size " #name ", . - " #name "\n.popsection\n"

__asm__(
    // WRPKRU in a constant.
    FUNCTION(constant) "mov $0x00ef010f, %eax\nret\n" END(constant)
    // WRPKRU in a wide constant.
    FUNCTION(wide) "movabs $0x1122ef010f334455, %rax\nret\n" END(wide)
    // MOV to DR made up of two instructions: b9 ff ff ff 0f | 23 ...
    FUNCTION(two) "mov $0x0fffffff, %ecx\nand -8(%rsp), %ecx\nmov %edi, %eax\nand %ecx, %eax\nmov %edi, -8(%rsp)\n"
                  "mov $0x0fffffff, %ecx\nand -8(%rsp), %ecx\nmov %ecx, %eax\nret\n" END(two)
    // LMSW made up of a comparison and a jump that stays short: 80 7f 0f 01 | 75 ...
    FUNCTION(compare) "xor %eax, %eax\ncmpb $1, 15(%rdi)\njne 1f\ninc %eax\n1: ret\n" END(compare)
    // MOV to CR in the distance of a call, a jump and an address.
    FUNCTION(distances) "push %rbp\nmov %rsp, %rbp\n"
                        "call .Lfirst\n2: .if 0\n.endif\n"
                        "lea .Ldata_far(%rip), %rcx\n3:\n"
                        "movzbl (%rcx), %ecx\nadd %ecx, %eax\ntest %eax, %eax\njne .Lsecond\n4:\n"
                        "ud2\n"
                        ".org 2b - distances + 0x220f, 0x90\n.Lfirst: mov $40, %eax\nret\n"
                        ".org 3b - distances + 0x230f, 0x90\n.Ldata_far: .byte 2\n"
                        ".org 4b - distances + 0x300f, 0x90\n.Lsecond: pop %rbp\nret\n" END(distances)
    // WRMSR in an operand of two registers and a constant: 80 3c 0f 30.
    FUNCTION(exchanged) "mov $1, %ecx\nxor %eax, %eax\ncmpb $0x30, (%rdi,%rcx)\nsete %al\nret\n" END(exchanged)
    // WRMSR in an operand of one register and a constant: 83 0f 30.
    FUNCTION(displaced) "orl $0x30, (%rdi)\nmov (%rdi), %eax\nret\n" END(displaced)
    // WRPKRU in the constants of other instructions than MOV: a comparison's flags, a sum, what is stored, with RCX and
    // RAX in use, and below the stack pointer something that must stay.
    FUNCTION(constants) "movl $77, -8(%rsp)\nxor %eax, %eax\nxor %ecx, %ecx\ncmp $0x00ef010f, %edi\nsete %al\n"
                        "add $0x00ef010f, %edi\nmovl $0x00ef010f, (%rsi,%rcx,4)\ntest $0x30ef010f, %edi\nsetne %cl\n"
                        "add %ecx, %eax\nadd -8(%rsp), %eax\nadd %edi, %eax\nsub (%rsi), %eax\nret\n" END(constants)
    // LMSW made up of a comparison and a jump that others jump to: the comparison moves without it.
    FUNCTION(target) "xor %eax, %eax\ntest %esi, %esi\njne 2f\ncmpb $1, 15(%rdi)\n2: jne 1f\ninc %eax\n1: ret\n" END(
        target)
    // MOV to CR made up of a call by memory and what it returns to: ff 90 00 00 00 0f | 22 c0.
    FUNCTION(
        by_memory) "push %rbp\nlea .Lpointer(%rip), %rax\nsub $0x0f000000, %rax\ncall *0x0f000000(%rax)\n"
                   ".byte 0x22, 0xc0\npop %rbp\nret\n.Lseven: mov $7, %eax\nret\n"
                   ".pushsection .data.rel.ro.by_memory,\"aw\"\n.balign 8\n.Lpointer: .quad .Lseven\n.popsection\n" END(
                       by_memory)
    // XRSTOR in what a jump table leads to: the labels behind it must stay where they are.
    FUNCTION(
        table) "lea .Ltable(%rip), %rax\nmovslq (%rax,%rdi,4), %rcx\nadd %rax, %rcx\nnotrack jmp *%rcx\n"
               ".Lzero: mov $0x002fae0f, %eax\nret\n.Lone: mov $1, %eax\nret\n"
               ".pushsection .rodata.table,\"a\"\n.Ltable: .long .Lzero - .Ltable, .Lone - .Ltable\n.popsection\n" END(
                   table));

int constant(void);
long wide(void);
int two(int);
int compare(const char*);
int distances(void);
int table(long);
int exchanged(const char*);
int displaced(int*);
int constants(int, int*);
int target(const char*, int);
int by_memory(void);

int main(void)
{
    char bytes[16] = { 0 };
    int before = compare(bytes);
    bytes[15] = 1;
    printf("%x %lx %x %d%d %d %x %d\n", constant(), wide(), two(0x7abcdef1), before, compare(bytes), distances(),
        table(0), table(1));
    int stored = 0;
    const int same = constants(0x00ef010f, &stored);
    int word = 5;
    printf("%d %x %x %x %d%d%d %d\n", exchanged("-0"), displaced(&word), same, stored, target(bytes, 0),
        target("abcdefghijklmno\1", 0), target(bytes, 1), by_memory());
    return 0;
}
