#include "net/siphash.h"

#include <bit>

namespace eremite::net {

u64 siphash(const HashKey& key, std::span<const u64> words)
{
    u64 v0 = key[0] ^ 0x736f6d6570736575;
    u64 v1 = key[1] ^ 0x646f72616e646f6d;
    u64 v2 = key[0] ^ 0x6c7967656e657261;
    u64 v3 = key[1] ^ 0x7465646279746573;
    auto rounds = [&](int count) {
        for (int i = 0; i < count; ++i) {
            v0 += v1;
            v1 = std::rotl(v1, 13) ^ v0;
            v0 = std::rotl(v0, 32);
            v2 += v3;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3;
            v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1;
            v1 = std::rotl(v1, 17) ^ v2;
            v2 = std::rotl(v2, 32);
        }
    };
    for (u64 word : words) {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    }
    u64 last = static_cast<u64>(words.size() * 8) << 56;
    v3 ^= last;
    rounds(2);
    v0 ^= last;
    v2 ^= 0xff;
    rounds(4);
    return v0 ^ v1 ^ v2 ^ v3;
}

} // namespace eremite::net
