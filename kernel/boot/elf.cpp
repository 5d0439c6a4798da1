#include "boot/elf.h"

#include <algorithm>

namespace eremite {

namespace {

/// ELF gABI, chapter 4.
struct Header {
    std::array<u8, 16> identification;
    u16 type;
    u16 machine;
    u32 version;
    u64 entry;
    u64 program_headers;
    u64 section_headers;
    u32 flags;
    u16 header_size;
    u16 program_header_size;
    u16 program_header_count;
    u16 section_header_size;
    u16 section_header_count;
    u16 section_names;
};
static_assert(sizeof(Header) == 64);

struct ProgramHeader {
    u32 type;
    u32 flags;
    u64 offset;
    u64 virtual_address;
    u64 physical_address;
    u64 file_size;
    u64 memory_size;
    u64 alignment;
};
static_assert(sizeof(ProgramHeader) == 56);

struct NoteHeader {
    u32 name_size;
    u32 description_size;
    u32 type;
};

struct LoaderNote {
    u32 version;
    u32 entry32;
    u64 entry64;
};

constexpr u64 k_lowest_image = 2_MiB;
constexpr u32 k_load = 1;
constexpr u32 k_note = 4;
constexpr u32 k_executable = 1;
constexpr u16 k_dynamic = 3;

template<typename T> bool read(std::span<const u8> file, u64 offset, T& value)
{
    if (offset > file.size() || file.size() - offset < sizeof(T))
        return false;
    __builtin_memcpy(&value, file.subspan(offset, sizeof(T)).data(), sizeof(T));
    return true;
}

std::string_view check_header(std::span<const u8> file, u16 machine, Header& header)
{
    constexpr std::array<u8, 4> magic { 0x7f, 'E', 'L', 'F' };
    if (file.size() < magic.size() || !std::ranges::equal(file.first(magic.size()), magic))
        return "the application is no ELF file";
    if (!read(file, 0, header))
        return "the application's ELF file is truncated: it ends within its header";
    if (header.identification[4] != 2)
        return "the application is a 32-bit ELF file";
    if (header.machine != machine || header.identification[5] != 1)
        return "the application is for another architecture";
    if (header.identification[6] != 1 || header.version != 1)
        return "the application's ELF file is of an unknown version";
    if (header.type != k_dynamic)
        return "the application is no static-PIE program: it was not linked for Eremite";
    if (header.program_header_size != sizeof(ProgramHeader) || header.program_header_count == 0)
        return "the application's ELF file has no usable program headers";
    u64 size = u64 { header.program_header_count } * sizeof(ProgramHeader);
    if (header.program_headers > file.size() || file.size() - header.program_headers < size)
        return "the application's ELF file is truncated: it ends before its program headers do";
    return {};
}

ProgramHeader program_header(std::span<const u8> file, const Header& header, usize index)
{
    ProgramHeader result {};
    read(file, header.program_headers + index * sizeof(ProgramHeader), result);
    return result;
}

std::string_view add_segment(std::span<const u8> file, const ProgramHeader& header, ElfImage& image)
{
    u64 end;
    if (__builtin_add_overflow(header.offset, header.file_size, &end) || header.file_size > header.memory_size
        || __builtin_add_overflow(header.physical_address, header.memory_size, &end))
        return "the application's ELF file is damaged: a segment's size is impossible";
    if (header.offset > file.size() || file.size() - header.offset < header.file_size)
        return "the application's ELF file is truncated: it ends before its segments do";
    // What lies below the image is for direct boot alone.
    if (header.memory_size == 0 || header.physical_address < k_lowest_image)
        return {};
    for (const ElfSegment& other : image.segments()) {
        if (header.physical_address < other.physical + other.memory_size && other.physical < end)
            return "the application's ELF file is damaged: its segments overlap";
    }
    if (image.count == ElfImage::k_max_segments)
        return "the application's ELF file has too many segments";
    image.list[image.count++] = { header.offset, header.file_size, header.physical_address, header.memory_size };
    image.physical_start
        = image.count == 1 ? header.physical_address : std::min(image.physical_start, header.physical_address);
    image.physical_end = std::max(image.physical_end, end);
    image.file_end = std::max(image.file_end, header.offset + header.file_size);
    return {};
}

/// Looks for our note in a note segment that lies in the file.
bool find_note(std::span<const u8> notes, LoaderNote& note)
{
    constexpr std::string_view name = "Eremite";
    u64 offset = 0;
    NoteHeader header;
    while (read(notes, offset, header)) {
        u64 name_at = offset + sizeof(header);
        u64 description_at = name_at + align_up(header.name_size, 4);
        auto is_name = [&] {
            return header.name_size == name.size() + 1 && notes.size() - name_at >= name.size()
                && std::ranges::equal(
                    notes.subspan(name_at, name.size()), name, {}, {}, [](char c) { return static_cast<u8>(c); });
        };
        if (header.type == k_loader_note_type && is_name() && header.description_size >= sizeof(LoaderNote)
            && read(notes, description_at, note))
            return true;
        offset = description_at + align_up(header.description_size, 4);
    }
    return false;
}

std::string_view find_entry(std::span<const u8> file, const Header& header, const LoaderNote& note, ElfImage& image)
{
    for (usize i = 0; i < header.program_header_count; ++i) {
        ProgramHeader segment = program_header(file, header, i);
        if (segment.type == k_load && (segment.flags & k_executable) != 0 && note.entry64 >= segment.virtual_address
            && note.entry64 - segment.virtual_address < segment.file_size) {
            image.entry = segment.physical_address + (note.entry64 - segment.virtual_address);
            return {};
        }
    }
    return "the application's ELF file is damaged: its entry is not in its code";
}

} // namespace

std::string_view parse_elf(std::span<const u8> file, u16 machine, ElfImage& image)
{
    image = {};
    Header header;
    std::string_view problem = check_header(file, machine, header);
    if (!problem.empty())
        return problem;
    image.file_end = header.program_headers + u64 { header.program_header_count } * sizeof(ProgramHeader);
    if (header.section_header_count != 0) {
        u64 size = u64 { header.section_header_count } * header.section_header_size;
        if (header.section_headers > file.size() || file.size() - header.section_headers < size)
            return "the application's ELF file is truncated: it ends before its section headers do";
        image.file_end = std::max(image.file_end, header.section_headers + size);
    }

    bool have_note = false;
    LoaderNote note {};
    for (usize i = 0; i < header.program_header_count; ++i) {
        ProgramHeader segment = program_header(file, header, i);
        if (segment.type == k_load) {
            problem = add_segment(file, segment, image);
            if (!problem.empty())
                return problem;
        }
        if (segment.type == k_note && !have_note && segment.offset <= file.size()
            && file.size() - segment.offset >= segment.file_size)
            have_note = find_note(file.subspan(segment.offset, segment.file_size), note);
    }
    if (!have_note)
        return "the program holds no Eremite kernel";
    if (image.count == 0)
        return "the application's ELF file has nothing to load";
    if (note.version < k_loader_agreement)
        return "the application's kernel is older than this loader: build the application again";
    if (note.version > k_loader_agreement)
        return "the application's kernel is newer than this loader: use the loader that came with it";
    return find_entry(file, header, note, image);
}

} // namespace eremite
