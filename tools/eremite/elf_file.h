// Reads ELF64 files: headers, sections, symbols, relocations. Every offset and size is checked against the file, so
// that a truncated or mangled file gives a Failure that says so.
#pragma once

#include "project.h"

namespace tool {

struct ElfSegment {
    std::uint32_t type, flags;
    std::uint64_t offset, virtual_address, physical_address, file_size, memory_size;
};

struct ElfSection {
    std::string name;
    std::uint32_t type;
    std::uint64_t flags, address, offset, size;
    std::uint32_t link, info;
};

struct ElfSymbol {
    std::string name;
    std::uint8_t type, binding, visibility;
    std::uint16_t section;
    std::uint64_t value, size;
};

struct ElfRelocation {
    std::uint64_t offset;
    std::uint32_t type, symbol;
    std::int64_t addend;
};

class Elf {
public:
    /// Reads and checks the file's structure.
    static Elf load(const Path& path);

    const Path& path() const { return m_path; }
    Arch arch() const { return m_arch; }
    std::uint16_t type() const { return m_type; }
    std::uint64_t entry() const { return m_entry; }
    std::span<const std::uint8_t> bytes() const { return m_bytes; }
    const std::vector<ElfSegment>& segments() const { return m_segments; }
    const std::vector<ElfSection>& sections() const { return m_sections; }
    const ElfSection* section(std::string_view name) const;
    std::span<const std::uint8_t> content(const ElfSection& section) const;

    /// Of .symtab (or .dynsym where there is no other).
    std::vector<ElfSymbol> symbols() const;
    /// Of one SHT_RELA section.
    std::vector<ElfRelocation> relocations(const ElfSection& section) const;

    /// A note of `owner` and `type` among the PT_NOTE segments.
    bool has_note(std::string_view owner, std::uint32_t type) const;

    /// What a boot protocol for raw images loads: the segments at their physical addresses, from the lowest on.
    Bytes flat_image() const;

    /// Where the ELF file proper ends: the greatest end of segments, sections and the section header table.
    std::uint64_t file_end() const;

private:
    std::span<const std::uint8_t> range(std::uint64_t offset, std::uint64_t size, std::string_view what) const;
    void read_sections(std::uint64_t offset, unsigned count, unsigned names);

    Path m_path;
    Bytes m_bytes;
    Arch m_arch {};
    std::uint16_t m_type {};
    std::uint64_t m_entry {};
    std::uint64_t m_section_table_end {};
    std::vector<ElfSegment> m_segments;
    std::vector<ElfSection> m_sections;
};

/// Fails, in a sentence, unless the file is an image that `./eremite run` can boot.
void check_bootable(const Elf& elf);

} // namespace tool
