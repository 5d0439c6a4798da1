#include "elf_file.h"

#include <algorithm>
#include <cstring>
#include <elf.h>

namespace tool {

namespace {

template<typename T> T read_as(std::span<const std::uint8_t> bytes, std::size_t index = 0)
{
    T value;
    std::memcpy(&value, bytes.subspan(index * sizeof(T), sizeof(T)).data(), sizeof(T));
    return value;
}

std::string string_at(std::span<const std::uint8_t> table, std::size_t offset)
{
    if (offset >= table.size())
        return {};
    const auto rest = table.subspan(offset);
    const auto end = std::ranges::find(rest, std::uint8_t { 0 });
    return { rest.begin(), end };
}

constexpr std::uint32_t k_pvh_note = 18;

} // namespace

std::span<const std::uint8_t> Elf::range(std::uint64_t offset, std::uint64_t size, std::string_view what) const
{
    if (offset > m_bytes.size() || size > m_bytes.size() - offset)
        fail("{} is a truncated ELF file: its {} would end at byte {}, and it has {}", m_path.string(), what,
            offset + size, m_bytes.size());
    return std::span(m_bytes).subspan(offset, size);
}

Elf Elf::load(const Path& path)
{
    Elf elf;
    elf.m_path = path;
    elf.m_bytes = read_bytes(path);
    if (elf.m_bytes.size() < SELFMAG || std::memcmp(elf.m_bytes.data(), ELFMAG, SELFMAG) != 0)
        fail("{} is no ELF file", path.string());
    const auto header = read_as<Elf64_Ehdr>(elf.range(0, sizeof(Elf64_Ehdr), "header"));
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
        fail("{} is an ELF file of 32 bits or of the other byte order; an image is a little-endian ELF64",
            path.string());
    if (header.e_machine == EM_X86_64)
        elf.m_arch = Arch::x86_64;
    else if (header.e_machine == EM_AARCH64)
        elf.m_arch = Arch::aarch64;
    else
        fail("{} is built for another architecture (ELF machine {}); an image is x86_64 or aarch64", path.string(),
            header.e_machine);
    elf.m_type = header.e_type;
    elf.m_entry = header.e_entry;

    if (header.e_phnum && header.e_phentsize != sizeof(Elf64_Phdr))
        fail("{}: its program headers have a size of {} bytes instead of {}", path.string(), header.e_phentsize,
            sizeof(Elf64_Phdr));
    const auto table
        = elf.range(header.e_phoff, std::uint64_t(header.e_phnum) * sizeof(Elf64_Phdr), "program header table");
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        const auto raw = read_as<Elf64_Phdr>(table, i);
        if (raw.p_type == PT_LOAD)
            elf.range(raw.p_offset, raw.p_filesz, "loaded segment");
        elf.m_segments.push_back(
            { raw.p_type, raw.p_flags, raw.p_offset, raw.p_vaddr, raw.p_paddr, raw.p_filesz, raw.p_memsz });
    }
    if (header.e_shoff && header.e_shnum)
        elf.read_sections(header.e_shoff, header.e_shnum, header.e_shstrndx);
    return elf;
}

void Elf::read_sections(std::uint64_t offset, unsigned count, unsigned names)
{
    const auto table = range(offset, std::uint64_t(count) * sizeof(Elf64_Shdr), "section header table");
    m_section_table_end = offset + table.size();
    std::span<const std::uint8_t> strings;
    if (names < count) {
        const auto raw = read_as<Elf64_Shdr>(table, names);
        strings = range(raw.sh_offset, raw.sh_size, "section names");
    }
    for (unsigned i = 0; i < count; ++i) {
        const auto raw = read_as<Elf64_Shdr>(table, i);
        if (raw.sh_type != SHT_NOBITS && raw.sh_type != SHT_NULL)
            range(raw.sh_offset, raw.sh_size, "section");
        m_sections.push_back({ string_at(strings, raw.sh_name), raw.sh_type, raw.sh_flags, raw.sh_addr, raw.sh_offset,
            raw.sh_size, raw.sh_link, raw.sh_info });
    }
}

const ElfSection* Elf::section(std::string_view name) const
{
    const auto found = std::ranges::find(m_sections, name, &ElfSection::name);
    return found == m_sections.end() ? nullptr : &*found;
}

std::span<const std::uint8_t> Elf::content(const ElfSection& section) const
{
    if (section.type == SHT_NOBITS)
        return {};
    return range(section.offset, section.size, "section");
}

std::vector<ElfSymbol> Elf::symbols() const
{
    auto table = std::ranges::find(m_sections, std::uint32_t { SHT_SYMTAB }, &ElfSection::type);
    if (table == m_sections.end())
        table = std::ranges::find(m_sections, std::uint32_t { SHT_DYNSYM }, &ElfSection::type);
    if (table == m_sections.end() || table->link >= m_sections.size())
        return {};
    const auto strings = content(m_sections[table->link]);
    const auto bytes = content(*table);
    std::vector<ElfSymbol> symbols;
    for (std::size_t i = 0; i < bytes.size() / sizeof(Elf64_Sym); ++i) {
        const auto raw = read_as<Elf64_Sym>(bytes, i);
        symbols.push_back({ string_at(strings, raw.st_name), std::uint8_t(ELF64_ST_TYPE(raw.st_info)),
            std::uint8_t(ELF64_ST_BIND(raw.st_info)), std::uint8_t(ELF64_ST_VISIBILITY(raw.st_other)), raw.st_shndx,
            raw.st_value, raw.st_size });
    }
    return symbols;
}

std::vector<ElfRelocation> Elf::relocations(const ElfSection& section) const
{
    const auto bytes = content(section);
    std::vector<ElfRelocation> relocations;
    for (std::size_t i = 0; i < bytes.size() / sizeof(Elf64_Rela); ++i) {
        const auto raw = read_as<Elf64_Rela>(bytes, i);
        relocations.push_back({ raw.r_offset, std::uint32_t(ELF64_R_TYPE(raw.r_info)),
            std::uint32_t(ELF64_R_SYM(raw.r_info)), raw.r_addend });
    }
    return relocations;
}

bool Elf::has_note(std::string_view owner, std::uint32_t type) const
{
    for (const auto& segment : m_segments) {
        if (segment.type != PT_NOTE)
            continue;
        const auto notes = range(segment.offset, segment.file_size, "note segment");
        std::size_t at = 0;
        while (at + sizeof(Elf64_Nhdr) <= notes.size()) {
            const auto header = read_as<Elf64_Nhdr>(notes.subspan(at));
            const auto padded = [](std::uint64_t size) { return (size + 3) & ~std::uint64_t { 3 }; };
            if (padded(header.n_namesz) + padded(header.n_descsz) > notes.size() - at - sizeof header)
                break;
            if (header.n_type == type && string_at(notes.subspan(at + sizeof header, header.n_namesz), 0) == owner)
                return true;
            at += sizeof header + padded(header.n_namesz) + padded(header.n_descsz);
        }
    }
    return false;
}

Bytes Elf::flat_image() const
{
    std::uint64_t begin = UINT64_MAX;
    std::uint64_t end = 0;
    for (const auto& segment : m_segments) {
        if (segment.type != PT_LOAD || segment.file_size == 0)
            continue;
        begin = std::min(begin, segment.physical_address);
        end = std::max(end, segment.physical_address + segment.file_size);
    }
    if (end <= begin || end - begin > 1u << 30)
        fail("{}: its segments do not make an image (from {:#x} to {:#x})", m_path.string(), begin, end);
    Bytes image(end - begin);
    for (const auto& segment : m_segments) {
        if (segment.type == PT_LOAD && segment.file_size)
            std::ranges::copy(range(segment.offset, segment.file_size, "segment"),
                image.begin() + static_cast<std::ptrdiff_t>(segment.physical_address - begin));
    }
    return image;
}

std::uint64_t Elf::file_end() const
{
    std::uint64_t end = m_section_table_end;
    for (const auto& segment : m_segments)
        end = std::max(end, segment.offset + segment.file_size);
    for (const auto& section : m_sections) {
        if (section.type != SHT_NOBITS)
            end = std::max(end, section.offset + section.size);
    }
    return end;
}

void check_bootable(const Elf& elf)
{
    if (elf.arch() == Arch::x86_64) {
        if (!elf.has_note("Xen", k_pvh_note))
            fail("{} cannot boot: it has no PVH note, so it was not linked by eremite-clang (is it a program for "
                 "Linux?)",
                elf.path().string());
        return;
    }
    // Linux's boot protocol for arm64: "ARM\x64" at byte 56 of the image.
    const auto image = elf.flat_image();
    if (image.size() < 64 || std::memcmp(&image[56], "ARM\x64", 4) != 0)
        fail("{} cannot boot: it has no arm64 Image header, so it was not linked by eremite-clang (is it a program for "
             "Linux?)",
            elf.path().string());
}

} // namespace tool
