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

int main(void)
{
    char bytes[16] = { 0 };
    int before = compare(bytes);
    bytes[15] = 1;
    printf("%x %lx %x %d%d %d %x %d\n", constant(), wide(), two(0x7abcdef1), before, compare(bytes), distances(),
        table(0), table(1));
    return 0;
}
