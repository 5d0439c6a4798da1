// Applies a static-PIE image's relocations (ELF gABI: RELA and RELR; psABI: the relative type). Shared by direct boot
// on every architecture; runs before anything is relocated, so it refers to nothing that needs to be.
#pragma once

#include "base/types.h"
#include <span>

namespace eremite {

struct ElfRela {
    u64 offset;
    u64 info;
    i64 addend;
};

/// The image lies at `image` now and will run at `base`; it was linked at 0. False for a type other than
/// `relative_type`, or a target outside of the image.
[[gnu::always_inline]] inline bool relocate_image(
    std::span<u8> image, u64 base, std::span<const ElfRela> rela, std::span<const u64> relr, u32 relative_type)
{
    auto add = [&](u64 offset, u64 value, bool replace) {
        if (offset > image.size() - sizeof(u64))
            return false;
        u64 word = 0;
        void* place = image.subspan(offset, sizeof(u64)).data();
        if (!replace)
            __builtin_memcpy(&word, place, sizeof(u64));
        word += value;
        __builtin_memcpy(place, &word, sizeof(u64));
        return true;
    };
    for (const ElfRela& entry : rela) {
        if (static_cast<u32>(entry.info) == 0)
            continue;
        if (static_cast<u32>(entry.info) != relative_type
            || !add(entry.offset, base + static_cast<u64>(entry.addend), true))
            return false;
    }
    u64 next = 0;
    for (u64 entry : relr) {
        if ((entry & 1) == 0) {
            if (!add(entry, base, false))
                return false;
            next = entry + sizeof(u64);
            continue;
        }
        for (u64 bits = entry >> 1, place = next; bits != 0; bits >>= 1, place += sizeof(u64)) {
            if ((bits & 1) != 0 && !add(place, base, false))
                return false;
        }
        next += 63 * sizeof(u64);
    }
    return true;
}

} // namespace eremite
