#include "boot/elf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

using namespace eremite;

namespace {

/// A small but whole application: headers, a note, a segment of code, one of data.
class File {
public:
    struct Header {
        u8 identification[16] { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
        u16 type { 3 }, machine { k_elf_x86_64 };
        u32 version { 1 };
        u64 entry { 0 }, program_headers { 64 }, section_headers { 0 };
        u32 flags { 0 };
        u16 header_size { 64 }, program_header_size { 56 }, program_header_count { 3 }, section_header_size { 64 },
            section_header_count { 0 }, section_names { 0 };
    } header;
    struct ProgramHeader {
        u32 type, flags;
        u64 offset, virtual_address, physical_address, file_size, memory_size, alignment;
    };
    ProgramHeader code { 1, 5, 0x1000, 0x1000, 0x201000, 0x800, 0x800, 0x1000 };
    ProgramHeader data { 1, 6, 0x1800, 0x2800, 0x202800, 0x100, 0x3000, 0x1000 };
    ProgramHeader notes { 4, 4, 0x200, 0x200, 0x200200, 36, 36, 4 };
    u32 agreement { k_loader_agreement };
    u64 entry { 0x1010 };
    usize size { 0x1900 };

    std::string_view parse(ElfImage& image, u16 machine = k_elf_x86_64) const
    {
        std::vector<u8> bytes(0x1900);
        std::memcpy(&bytes[0], &header, sizeof(header));
        std::memcpy(&bytes[64], &code, sizeof(code));
        std::memcpy(&bytes[120], &data, sizeof(data));
        std::memcpy(&bytes[176], &notes, sizeof(notes));
        u32 note[3] { 8, 16, k_loader_note_type };
        std::memcpy(&bytes[0x200], note, sizeof(note));
        std::memcpy(&bytes[0x20c], "Eremite", 8);
        std::memcpy(&bytes[0x214], &agreement, sizeof(agreement));
        std::memcpy(&bytes[0x21c], &entry, sizeof(entry));
        bytes.resize(size);
        return parse_elf(bytes, machine, image);
    }
    /// Whether it is refused with a message that holds `part`.
    bool is_refused(std::string_view part, u16 machine = k_elf_x86_64) const
    {
        ElfImage image;
        return parse(image, machine).find(part) != std::string_view::npos;
    }
};

template<typename Change> File changed(Change change)
{
    File file;
    change(file);
    return file;
}

} // namespace

TEST(Elf, ReadsAnApplication)
{
    ElfImage image;
    EXPECT_EQ(File().parse(image), "");
    EXPECT_EQ(image.count, 2u);
    EXPECT_EQ(image.physical_start, 0x201000u);
    EXPECT_EQ(image.physical_end, 0x205800u);
    EXPECT_EQ(image.entry, 0x201010u);
    EXPECT_EQ(image.file_end, 0x1900u);
}

TEST(Elf, SaysWhatAFileIsNot)
{
    EXPECT_TRUE(changed([](File& f) { f.header.identification[0] = '#'; }).is_refused("no ELF file"));
    EXPECT_TRUE(changed([](File& f) { f.size = 3; }).is_refused("no ELF file"));
    EXPECT_TRUE(changed([](File& f) { f.header.identification[4] = 1; }).is_refused("32-bit"));
    EXPECT_TRUE(File().is_refused("another architecture", k_elf_aarch64));
    EXPECT_TRUE(changed([](File& f) { f.header.type = 2; }).is_refused("static-PIE"));
    EXPECT_TRUE(changed([](File& f) { f.notes.type = 0; }).is_refused("no Eremite kernel"));
    EXPECT_TRUE(changed([](File& f) { f.agreement = 0; }).is_refused("older than this loader"));
    EXPECT_TRUE(changed([](File& f) { f.agreement = 2; }).is_refused("newer than this loader"));
}

TEST(Elf, NoticesEachTruncation)
{
    for (usize size = 4; size < 0x1900; ++size) {
        File file;
        file.size = size;
        ElfImage image;
        EXPECT_NE(file.parse(image), "") << size;
    }
}

TEST(Elf, NoticesDamage)
{
    EXPECT_TRUE(changed([](File& f) { f.code.file_size = 0x801; }).is_refused("impossible"));
    EXPECT_TRUE(changed([](File& f) { f.data.physical_address = ~u64 { 0 } - 16; }).is_refused("impossible"));
    EXPECT_TRUE(changed([](File& f) { f.data.offset = ~u64 { 0 } - 16; }).is_refused("impossible"));
    EXPECT_TRUE(changed([](File& f) { f.data.physical_address = 0x201000; }).is_refused("overlap"));
    EXPECT_TRUE(changed([](File& f) { f.entry = 0x2800; }).is_refused("entry"));
    EXPECT_TRUE(changed([](File& f) { f.header.program_header_count = 0; }).is_refused("program headers"));
    EXPECT_TRUE(changed([](File& f) { f.header.program_headers = ~u64 { 0 }; }).is_refused("program headers"));
    EXPECT_TRUE(changed([](File& f) { f.header.section_header_count = 1000; }).is_refused("section headers"));
    EXPECT_TRUE(changed([](File& f) { f.code.type = f.data.type = 0; }).is_refused("nothing to load"));
}
