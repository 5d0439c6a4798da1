// memcpy and its like against a byte loop, over sizes, alignments and overlaps. They are not musl's.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHECK(condition)                                                                                               \
    ((condition)                                                                                                       \
            ? (void)0                                                                                                  \
            : (printf("%s:%d: size %zu, offsets %zu and %zu: %s\n", __FILE__, __LINE__, size, to, from, #condition),   \
                  abort()))

enum { k_room = 5000 };
static unsigned char expected[k_room], got[k_room], original[k_room];

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

int main(void)
{
    // Through pointers, or the compiler would put its own code in place of the calls.
    void* (*volatile copy)(void*, const void*, size_t) = memcpy;
    void* (*volatile move)(void*, const void*, size_t) = memmove;
    void* (*volatile set)(void*, int, size_t) = memset;
    int (*volatile compare)(const void*, const void*, size_t) = memcmp;
    int (*volatile differ)(const void*, const void*, size_t) = bcmp;

    for (size_t i = 0; i < k_room; i++)
        original[i] = (unsigned char)(i * 131 + i / 256);
    for (size_t size = 0; size < 2000; size += size < 300 ? 1 : 61) {
        for (size_t step = 0; step < 40; step++) {
            size_t to = step * 7 % 67, from = step * 13 % 71;
            memcpy(got, original, k_room);
            for (size_t i = 0; i < k_room; i++)
                expected[i] = original[i];
            for (size_t i = 0; i < size; i++)
                expected[to + i] = original[from + i];
            CHECK(move(got + to, got + from, size) == got + to);
            for (size_t i = 0; i < k_room; i++)
                CHECK(got[i] == expected[i]);

            CHECK(copy(got + 2500 + to, original + from, size) == got + 2500 + to);
            for (size_t i = 0; i < size; i++)
                CHECK(got[2500 + to + i] == original[from + i]);
            CHECK(got[2500 + to + size] == original[2500 + to + size]);

            CHECK(compare(got + 2500 + to, original + from, size) == 0
                && differ(got + 2500 + to, original + from, size) == 0);
            if (size != 0) {
                size_t at = step * 37 % size;
                got[2500 + to + at] ^= 0x80;
                CHECK(sign(compare(got + 2500 + to, original + from, size))
                    == sign(got[2500 + to + at] - original[from + at]));
                CHECK(differ(got + 2500 + to, original + from, size) != 0);
            }

            set(got + to, 0xa5, size);
            for (size_t i = 0; i < size; i++)
                CHECK(got[to + i] == 0xa5);
            CHECK(got[to + size] == expected[to + size]);
        }
    }
    return 0;
}
