// An application's ELF file, as the separate loader reads it: every field is checked before it is used.
#pragma once

#include "base/types.h"
#include <array>
#include <span>
#include <string_view>

namespace eremite {

/// What direct boot and the loader agree on; entry.S writes it into the note "Eremite" of each image:
/// u32 version, u32 physical 32-bit entry, u64 offset of the 64-bit entry in the image.
inline constexpr u32 k_loader_note_type = 0x45520001;
inline constexpr u32 k_loader_agreement = 1;

inline constexpr u16 k_elf_x86_64 = 62;
inline constexpr u16 k_elf_aarch64 = 183;

struct ElfSegment {
    u64 file_offset { 0 };
    u64 file_size { 0 };
    u64 physical { 0 };
    u64 memory_size { 0 };
};

struct ElfImage {
    static constexpr usize k_max_segments = 16;

    std::array<ElfSegment, k_max_segments> list {};
    usize count { 0 };
    u64 physical_start { 0 }; // of the lowest segment
    u64 physical_end { 0 };
    u64 entry { 0 }; // physical, of the 64-bit entry
    u64 file_end { 0 }; // what may follow in the same file begins at the next page

    std::span<const ElfSegment> segments() const { return std::span(list).first(count); }
};

/// Reads `file`, an application for `machine`, into `image`. Returns what is wrong with it, or an empty text.
std::string_view parse_elf(std::span<const u8> file, u16 machine, ElfImage& image);

} // namespace eremite
