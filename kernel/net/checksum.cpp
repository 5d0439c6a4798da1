#include "net/checksum.h"

namespace eremite::net {

u64 Checksum::sum_of(std::span<const u8> bytes)
{
    // Eight bytes a step with end-around carry: the word size doesn't matter to a ones'-complement sum.
    u64 sum = 0;
    const u8* data = bytes.data();
    usize length = bytes.size();
    auto add = [&](u64 word) {
        u64 next;
        sum = __builtin_add_overflow(sum, word, &next) ? next + 1 : next;
    };
#pragma clang unsafe_buffer_usage begin // the hot loop over a span, bounded by its size
    for (; length >= 8; length -= 8, data += 8) {
        u64 word;
        __builtin_memcpy(&word, data, 8);
        add(word);
    }
    if (length > 0) {
        u64 word = 0;
        for (usize i = 0; i < length; ++i)
            word |= u64 { data[i] } << (8 * i);
        add(word);
    }
#pragma clang unsafe_buffer_usage end
    static_assert(std::endian::native == std::endian::little);
    return sum;
}

void Checksum::add(Packet& packet, u32 offset, u32 length)
{
    bool odd = false;
    for (u32 i = 0; i < packet.fragment_count() && length > 0; ++i) {
        Fragment& fragment = packet.fragment(i);
        if (offset >= fragment.length) {
            offset -= fragment.length;
            continue;
        }
        u32 step = fragment.length - offset < length ? fragment.length - offset : length;
        u64 sum = sum_of(fragment.bytes().subspan(offset, step));
        // After an odd number of bytes the words are shifted by one byte; so is their sum.
        add_wide(odd ? std::rotl(sum, 8) : sum);
        odd ^= (step & 1) != 0;
        length -= step;
        offset = 0;
    }
}

} // namespace eremite::net
