#include "fs/packed_name.h"

#include <bit>

namespace eremite {

namespace {

constinit u64 s_secret = 0;

/// At most eight bytes of `text` from `at` on, as a little-endian word.
u64 word_at(std::string_view text, usize at)
{
    const std::string_view rest = text.substr(at);
    const usize length = rest.size();
    u64 word = 0;
    if (length >= 8) {
        __builtin_memcpy(&word, rest.data(), 8);
    } else if (length >= 4) {
        // Two halves that may overlap.
        u32 low;
        u32 high;
        __builtin_memcpy(&low, rest.data(), 4);
        __builtin_memcpy(&high, rest.substr(length - 4).data(), 4);
        word = low | static_cast<u64>(high) << ((length - 4) * 8);
    } else if (length != 0) {
        // The first, the middle and the last byte are all there are.
        word = static_cast<u8>(rest[0]) | static_cast<u64>(static_cast<u8>(rest[length / 2])) << (length / 2 * 8)
            | static_cast<u64>(static_cast<u8>(rest[length - 1])) << ((length - 1) * 8);
    }
    return word;
}

constexpr u64 mix(u64 state, u64 word)
{
    return (state ^ word) * 0x9fb2'1c65'1e98'df25;
}

u32 hash_of(const std::array<u64, PackedName::k_words>& words)
{
    u64 state = s_secret;
    for (const u64 word : words)
        state = mix(state, word);
    return static_cast<u32>(state >> 32);
}

/// A bit set at the top of each byte that is a slash, up to the first one exactly.
constexpr u64 slashes_in(u64 word)
{
    constexpr u64 ones = 0x0101'0101'0101'0101;
    const u64 zero_if_slash = word ^ (ones * '/');
    return (zero_if_slash - ones) & ~zero_if_slash & (ones * 0x80);
}

} // namespace

void PackedName::set_secret(u64 secret)
{
    s_secret = secret;
}

PackedName::PackedName(std::string_view name)
    : size(static_cast<u16>(name.size()))
    , fits(name.size() <= k_max_length)
{
    if (fits) [[likely]] {
        for (usize at = 0; at < name.size(); at += 8)
            words[at / 8] = word_at(name, at);
        hash = hash_of(words);
        return;
    }
    u64 state = s_secret + name.size();
    for (usize at = 0; at < name.size(); at += 8)
        state = mix(state ^ (state >> 32), word_at(name, at));
    hash = static_cast<u32>(state >> 32);
}

PackedName PackedName::take(std::string_view& path, usize& length)
{
    PackedName result;
    usize at = 0;
    for (; at < path.size() && at < k_max_length; at += 8) {
        const u64 word = word_at(path, at);
        if (const u64 slashes = slashes_in(word)) {
            const auto bits = static_cast<usize>(std::countr_zero(slashes)) & ~usize { 7 };
            result.words[at / 8] = word & ((u64 { 1 } << bits) - 1);
            at += bits / 8;
            length = at;
            path.remove_prefix(at);
            result.hash = hash_of(result.words);
            result.size = static_cast<u16>(at);
            return result;
        }
        result.words[at / 8] = word;
    }
    at = at < path.size() ? at : path.size();
    result.size = static_cast<u16>(at);
    result.fits = at == path.size() || path[at] == '/';
    result.hash = hash_of(result.words);
    length = at;
    path.remove_prefix(at);
    return result;
}

} // namespace eremite
