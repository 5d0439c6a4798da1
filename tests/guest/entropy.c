// Random numbers look random: bytes evenly spread, neighbours unrelated; the canary and AT_RANDOM are none that a
// program could be built with.
// oracle: native
#include "check.h"

#include <stdint.h>
#include <sys/auxv.h>
#include <sys/random.h>

enum { SIZE = 256 * 1024 };
static unsigned char bytes[SIZE];

static double chi_square(int shift, int step)
{
    unsigned counts[256] = { 0 };
    unsigned total = 0;
    for (int i = 0; i + 1 < SIZE; i += step, total++)
        counts[(bytes[i] ^ (shift ? bytes[i + 1] : 0)) & 0xff]++;
    double sum = 0;
    double expected = total / 256.0;
    for (int i = 0; i < 256; i++)
        sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    return sum;
}

int main(void)
{
    for (int done = 0; done < SIZE;) {
        ssize_t got = getrandom(bytes + done, SIZE - done, 0);
        if (!CHECK(got > 0))
            return check_result();
        done += (int)got;
    }
    /* 255 degrees of freedom: beyond 150 to 390 in less than one of ten million runs. */
    double plain = chi_square(0, 1);
    double pairs = chi_square(1, 2);
    printf("chi-square %.1f, of neighbours %.1f\n", plain, pairs);
    CHECK(plain > 150 && plain < 390);
    CHECK(pairs > 150 && pairs < 390);
    unsigned ones = 0;
    for (int i = 0; i < SIZE; i++)
        ones += (unsigned)__builtin_popcount(bytes[i]);
    CHECK(ones > SIZE * 4 - 5000 && ones < SIZE * 4 + 5000);

    const uint64_t* seed = (const uint64_t*)getauxval(AT_RANDOM);
    if (CHECK(seed != NULL)) {
        CHECK(seed[0] != 0 && seed[1] != 0 && seed[0] != seed[1]);
        CHECK(__builtin_popcountll(seed[0]) + __builtin_popcountll(seed[1]) > 30);
    }
#if defined(__x86_64__)
    uint64_t canary;
    __asm__("mov %%fs:40, %0" : "=r"(canary));
    CHECK(__builtin_popcountll(canary) > 8);
#endif
    return check_result();
}
