#include "random/chacha20.h"

#include <bit>

namespace eremite {

std::array<u32, 16> chacha20_block(const ChaChaKey& key, u32 counter, const std::array<u32, 3>& nonce)
{
    const std::array<u32, 16> initial { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, // "expand 32-byte k"
        key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7], //
        counter, nonce[0], nonce[1], nonce[2] };
    std::array<u32, 16> x = initial;
    // Written out, or each index is computed at run time: the first numbers are drawn while the machine boots.
    auto quarter = [](u32& a, u32& b, u32& c, u32& d) __attribute__((always_inline)) {
        a += b;
        d = std::rotl(d ^ a, 16);
        c += d;
        b = std::rotl(b ^ c, 12);
        a += b;
        d = std::rotl(d ^ a, 8);
        c += d;
        b = std::rotl(b ^ c, 7);
    };
    auto& [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15] = x;
    for (unsigned round = 0; round < 20; round += 2) {
        quarter(x0, x4, x8, x12);
        quarter(x1, x5, x9, x13);
        quarter(x2, x6, x10, x14);
        quarter(x3, x7, x11, x15);
        quarter(x0, x5, x10, x15);
        quarter(x1, x6, x11, x12);
        quarter(x2, x7, x8, x13);
        quarter(x3, x4, x9, x14);
    }
    for (unsigned i = 0; i < 16; ++i)
        x[i] += initial[i];
    return x;
}

} // namespace eremite
