#include "random/chacha20.h"

#include <bit>

namespace eremite {

std::array<u32, 16> chacha20_block(const ChaChaKey& key, u32 counter, const std::array<u32, 3>& nonce)
{
    const std::array<u32, 16> initial { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, // "expand 32-byte k"
        key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7], //
        counter, nonce[0], nonce[1], nonce[2] };
    std::array<u32, 16> x = initial;
    auto quarter = [&](unsigned a, unsigned b, unsigned c, unsigned d) __attribute__((always_inline)) {
        x[a] += x[b];
        x[d] = std::rotl(x[d] ^ x[a], 16);
        x[c] += x[d];
        x[b] = std::rotl(x[b] ^ x[c], 12);
        x[a] += x[b];
        x[d] = std::rotl(x[d] ^ x[a], 8);
        x[c] += x[d];
        x[b] = std::rotl(x[b] ^ x[c], 7);
    };
    for (unsigned round = 0; round < 20; ++round) {
        // Columns, then diagonals: each row a place further to the left.
        const unsigned shift = round % 2;
        for (unsigned i = 0; i < 4; ++i)
            quarter(i, 4 + (i + shift) % 4, 8 + (i + 2 * shift) % 4, 12 + (i + 3 * shift) % 4);
    }
    for (unsigned i = 0; i < 16; ++i)
        x[i] += initial[i];
    return x;
}

} // namespace eremite
