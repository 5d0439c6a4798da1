// The scanner for key-changing instructions against another that knows only whole bit patterns: neither finds what the
// other doesn't.
#include "base/key_instructions.h"

#include <array>
#include <cstdlib>

namespace {

struct Pattern {
    std::array<uint8_t, 5> value;
    std::array<uint8_t, 5> mask;
    size_t length;
};

// ModRM: mod 7:6, extension 5:3. Memory forms are three patterns each, for mod 0, 1 and 2.
constexpr Pattern modrm(uint8_t opcode, uint8_t mod, uint8_t extension, uint8_t mod_mask = 0xc0)
{
    return { { 0x0f, opcode, static_cast<uint8_t>(mod << 6 | extension << 3) },
        { 0xff, 0xff, static_cast<uint8_t>(mod_mask | 0x38) }, 3 };
}
constexpr Pattern bytes(uint8_t second, uint8_t third)
{
    return { { 0x0f, second, third }, { 0xff, 0xff, 0xff }, 3 };
}
constexpr Pattern two(uint8_t second)
{
    return { { 0x0f, second }, { 0xff, 0xff }, 2 };
}

constexpr std::array k_patterns { two(0x22), two(0x23), two(0x30), bytes(0x01, 0xef), bytes(0x01, 0xf8),
    bytes(0x01, 0xd1), bytes(0x01, 0xc6), modrm(0x00, 0, 2, 0), modrm(0x00, 0, 3, 0), modrm(0x01, 0, 6, 0),
    modrm(0x01, 0, 2), modrm(0x01, 1, 2), modrm(0x01, 2, 2), modrm(0x01, 0, 3), modrm(0x01, 1, 3), modrm(0x01, 2, 3),
    modrm(0xae, 0, 5), modrm(0xae, 1, 5), modrm(0xae, 2, 5), modrm(0xae, 3, 3), modrm(0xc7, 0, 3), modrm(0xc7, 1, 3),
    modrm(0xc7, 2, 3), Pattern { { 0xc4, 0x07, 0, 0xf6, 0xc0 }, { 0xff, 0x1f, 0, 0xff, 0xf8 }, 5 } };

bool matches(const Pattern& pattern, const uint8_t* data, size_t size)
{
    if (size < pattern.length)
        return false;
    for (size_t i = 0; i < pattern.length; ++i) {
        if ((data[i] & pattern.mask[i]) != pattern.value[i])
            return false;
    }
    return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    size_t at = 0;
    for (size_t offset = 0; offset < size; ++offset) {
        bool expected = false;
        for (const Pattern& pattern : k_patterns)
            expected = expected || matches(pattern, data + offset, size - offset);
        auto found = eremite::find_key_instruction({ data, size }, at);
        bool got = found && found->offset == offset;
        if (got != expected || (found && found->offset < offset) || (got && found->offset + found->length > size))
            std::abort();
        if (got)
            at = offset + 1;
    }
    return 0;
}
