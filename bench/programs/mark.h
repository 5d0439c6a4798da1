/* Marks an instant for the instruction counter (bench/plugin): a no-op that carries a number, 0 to 255. It costs one
 * instruction and does nothing without the plugin. Works in programs for Linux and for Eremite alike, and in the
 * kernel. */
#pragma once

#if defined(__x86_64__)
/* nopl 0x455245NN(%rax) */
#define MARK(n) __asm__ volatile(".byte 0x0f,0x1f,0x80,%c0,0x45,0x52,0x45" ::"i"(n) : "memory")
#elif defined(__aarch64__)
/* movz xzr, #0x45NN */
#define MARK(n) __asm__ volatile(".inst 0xd280001f | ((0x4500 | %c0) << 5)" ::"i"(n) : "memory")
#else
#define MARK(n) ((void)0)
#endif
