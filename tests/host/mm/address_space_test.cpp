#include <gtest/gtest.h>

#include "arch/host/machine.h"
#include "mm/address_space.h"
#include "mm/page_cache.h"

#include <algorithm>
#include <map>
#include <random>

using namespace eremite;

namespace {

constexpr u8 k_read = eremite::abi::k_prot_read;
constexpr u8 k_write = eremite::abi::k_prot_read | eremite::abi::k_prot_write;

class MemoryFile final : public File {
public:
    MemoryFile()
        : File(eremite::abi::k_o_rdwr)
    {
    }
    Result<> stat(eremite::abi::Stat&) override { return {}; }
    Result<MemoryObject*> memory_object() override { return static_cast<MemoryObject*>(&pages); }
    PageCache pages;
};

class AddressSpaceTest : public testing::Test {
protected:
    AddressSpaceTest()
        : machine(host_machine())
        , space(address_space())
    {
        m_free_before = frame_statistics().free;
        m_before = space.statistics();
    }
    ~AddressSpaceTest() override
    {
        // The application ends: all of it goes, except a guard, which can't.
        std::vector<VirtualRange> rest;
        u64 guards = 0;
        space.for_each_mapping([&](const Mapping& mapping) {
            if (mapping.is_fixed())
                guards += mapping.range.length;
            else
                rest.push_back(mapping.range);
        });
        for (VirtualRange range : rest)
            EXPECT_TRUE(space.unmap(range).has_value());
        machine.check_tlb();
        EXPECT_EQ(space.statistics().mapped, guards);
        EXPECT_EQ(space.statistics().resident, 0u);
        EXPECT_EQ(space.statistics().locked, 0u);
        EXPECT_EQ(frame_statistics().free + m_kept_tables, m_free_before);
    }

    VirtualAddress map(u64 pages, u8 protection = k_write)
    {
        MapRequest request;
        request.length = pages * k_page_size;
        request.protection = protection;
        return space.map(std::move(request)).value();
    }
    Result<VirtualAddress> map_at(VirtualAddress address, u64 pages, MapRequest::Place place, u8 protection = k_write)
    {
        MapRequest request;
        request.address = address;
        request.length = pages * k_page_size;
        request.protection = protection;
        request.place = place;
        return space.map(std::move(request));
    }
    VirtualAddress map_file(MemoryFile& file, u64 pages, u64 offset, bool shared, u8 protection = k_write)
    {
        MapRequest request;
        request.length = pages * k_page_size;
        request.protection = protection;
        request.kind = MappingKind::File;
        request.shared = shared;
        request.file = RefPtr<File>(&file);
        request.object = &file.pages;
        request.offset = offset;
        return space.map(std::move(request)).value();
    }
    void write(VirtualAddress address, u8 value)
    {
        u8* byte = machine.access(address, true);
        ASSERT_NE(byte, nullptr) << std::hex << address.value();
        *byte = value;
    }
    int read(VirtualAddress address)
    {
        u8* byte = machine.access(address, false);
        return byte ? *byte : -1;
    }
    u8 file_byte(MemoryFile& file, u64 offset)
    {
        std::array<u8, 1> byte { 0xee };
        EXPECT_EQ(file.pages.read(offset, IoBuffer(std::span<u8>(byte))).value(), 1u);
        return byte[0];
    }
    void fill(MemoryFile& file, u64 pages)
    {
        std::vector<u8> bytes(pages * k_page_size);
        for (usize i = 0; i < bytes.size(); ++i)
            bytes[i] = static_cast<u8>(i / k_page_size + 1);
        ASSERT_EQ(file.pages.write(0, IoBuffer(std::span(bytes))).value(), bytes.size());
    }

    u64 mappings_before() const { return m_before.mappings; }

    HostMachine& machine;
    AddressSpace& space;

    usize m_kept_tables { 0 };

private:
    usize m_free_before { 0 };
    AddressSpace::Statistics m_before;
};

} // namespace

TEST_F(AddressSpaceTest, PagesComeOnDemandAndAreZero)
{
    VirtualAddress start = map(10);
    EXPECT_EQ(space.statistics().resident, 0u);
    EXPECT_EQ(read(start + 5 * k_page_size + 7), 0);
    EXPECT_EQ(space.statistics().resident, 1u);
    write(start, 42);
    EXPECT_EQ(read(start), 42);
    EXPECT_EQ(read(start - 1), -1);
    EXPECT_EQ(read(start + 10 * k_page_size), -1);
    EXPECT_EQ(space.fault(start - k_page_size, arch::Access::Read), PageFaultResult::NotMapped);
    EXPECT_EQ(space.fault(start, arch::Access::Execute), PageFaultResult::NotAllowed);
}

TEST_F(AddressSpaceTest, MappingsDoNotTouchOneAnother)
{
    std::vector<VirtualAddress> starts;
    for (unsigned i = 0; i < 20; ++i)
        starts.push_back(map(3));
    std::ranges::sort(starts);
    for (usize i = 1; i < starts.size(); ++i)
        EXPECT_GE(starts[i] - starts[i - 1], 4 * k_page_size);
    // What became free is found again.
    ASSERT_TRUE(space.unmap({ starts[19], 3 * k_page_size }).has_value());
    EXPECT_EQ(map(3), starts[19]);
}

TEST_F(AddressSpaceTest, FixedPlacesReplaceOrRefuse)
{
    VirtualAddress start = map(4);
    write(start + k_page_size, 1);
    write(start + 3 * k_page_size, 3);
    EXPECT_EQ(map_at(start + k_page_size, 2, MapRequest::Place::FixedNoReplace).error(), Errno::EEXIST);
    EXPECT_EQ(map_at(start + k_page_size, 2, MapRequest::Place::Fixed).value(), start + k_page_size);
    EXPECT_EQ(read(start + k_page_size), 0);
    EXPECT_EQ(read(start + 3 * k_page_size), 3);
    EXPECT_EQ(
        map_at(start + 100 * k_page_size, 1, MapRequest::Place::FixedNoReplace).value(), start + 100 * k_page_size);
    EXPECT_EQ(map_at(VirtualAddress(), 1, MapRequest::Place::Fixed).error(), Errno::EPERM);
    EXPECT_EQ(map_at(VirtualAddress(arch::k_application_end), 1, MapRequest::Place::Fixed).error(), Errno::ENOMEM);
}

TEST_F(AddressSpaceTest, ProtectionChangesRights)
{
    VirtualAddress start = map(4);
    write(start + k_page_size, 9);
    ASSERT_TRUE(space.protect({ start + k_page_size, k_page_size }, k_read).has_value());
    machine.check_tlb();
    EXPECT_EQ(read(start + k_page_size), 9);
    EXPECT_EQ(machine.access(start + k_page_size, true), nullptr);
    ASSERT_TRUE(space.protect({ start + k_page_size, k_page_size }, 0).has_value());
    machine.check_tlb();
    EXPECT_EQ(read(start + k_page_size), -1);
    ASSERT_TRUE(space.protect({ start + k_page_size, k_page_size }, k_write).has_value());
    EXPECT_EQ(read(start + k_page_size), 9); // kept while nobody could see it
    write(start + k_page_size, 10);
    EXPECT_EQ(space.statistics().mappings - mappings_before(), 1u); // merged again
    EXPECT_EQ(space.protect({ start, 5 * k_page_size }, k_read).error(), Errno::ENOMEM);
}

TEST_F(AddressSpaceTest, RunsOfFaultsTakeLargePages)
{
    VirtualAddress start = map(2048); // 8 MiB
    EXPECT_EQ(start.value() % k_large_page_size, 0u);
    u64 faults = space.statistics().faults;
    for (unsigned page = 0; page < 2048; ++page)
        write(start + page * k_page_size, static_cast<u8>(page));
    EXPECT_LT(space.statistics().faults - faults, 40u);
    EXPECT_EQ(space.page_table().find(start + 4_MiB).level, 1u);
    for (unsigned page = 0; page < 2048; ++page)
        EXPECT_EQ(read(start + page * k_page_size), static_cast<u8>(page));
    // A hole in the midst of a large page.
    ASSERT_TRUE(space.unmap({ start + 4_MiB + 5 * k_page_size, 3 * k_page_size }).has_value());
    machine.check_tlb();
    EXPECT_EQ(space.statistics().resident, 2045u);
    EXPECT_EQ(read(start + 4_MiB + 4 * k_page_size), static_cast<u8>(1028));
    EXPECT_EQ(read(start + 4_MiB + 5 * k_page_size), -1);
    EXPECT_EQ(read(start + 4_MiB + 8 * k_page_size), static_cast<u8>(1032));
}

TEST_F(AddressSpaceTest, OnePageOfALongMappingCostsOneFrame)
{
    VirtualAddress start = map(4096);
    write(start + 8_MiB, 1);
    EXPECT_EQ(space.statistics().resident, 1u);
    ASSERT_TRUE(space.advise({ start, 16_MiB }, eremite::abi::Advice::HugePage).has_value());
    write(start + 4_MiB, 1);
    EXPECT_EQ(space.statistics().resident, 513u);
}

TEST_F(AddressSpaceTest, AdviceDiscards)
{
    VirtualAddress start = map(1024);
    ASSERT_TRUE(space.advise({ start, 4_MiB }, eremite::abi::Advice::PopulateWrite).has_value());
    EXPECT_EQ(space.statistics().resident, 1024u);
    write(start + 3 * k_page_size, 1);
    write(start + 4 * k_page_size, 2);
    ASSERT_TRUE(space.advise({ start + 3 * k_page_size, k_page_size }, eremite::abi::Advice::DontNeed).has_value());
    machine.check_tlb();
    EXPECT_EQ(space.statistics().resident, 1023u);
    EXPECT_EQ(read(start + 3 * k_page_size), 0);
    EXPECT_EQ(read(start + 4 * k_page_size), 2);
    EXPECT_EQ(space.advise({ start, 5_MiB }, eremite::abi::Advice::DontNeed).error(), Errno::ENOMEM);
    EXPECT_EQ(space.statistics().resident, 0u);
}

TEST_F(AddressSpaceTest, RemapGrowsInPlaceOrMovesPages)
{
    VirtualAddress start = map(600);
    for (unsigned page : { 0u, 5u, 599u })
        write(start + page * k_page_size, static_cast<u8>(page + 1));
    VirtualRange range { start, 600 * k_page_size };
    // Something right above it, so that it can't grow.
    ASSERT_TRUE(map_at(range.end(), 1, MapRequest::Place::Fixed, k_read).has_value());
    EXPECT_EQ(space.remap(range, 700 * k_page_size, false, {}).error(), Errno::ENOMEM);
    VirtualAddress moved = space.remap(range, 700 * k_page_size, true, {}).value();
    machine.check_tlb();
    EXPECT_NE(moved, start);
    EXPECT_EQ(read(start), -1);
    for (unsigned page : { 0u, 5u, 599u })
        EXPECT_EQ(read(moved + page * k_page_size), static_cast<u8>(page + 1));
    EXPECT_EQ(read(moved + 650 * k_page_size), 0);
    // Shrinks in place, to a given place moves, and large pages survive it in pieces.
    EXPECT_EQ(space.remap({ moved, 700 * k_page_size }, 600 * k_page_size, false, {}).value(), moved);
    EXPECT_EQ(read(moved + 600 * k_page_size), -1);
    VirtualAddress target(0x1234'5000);
    EXPECT_EQ(space.remap({ moved, 600 * k_page_size }, 600 * k_page_size, true, target).value(), target);
    machine.check_tlb();
    EXPECT_EQ(read(target + 599 * k_page_size), static_cast<u8>(600));
    EXPECT_EQ(space.remap({ moved, k_page_size }, 2 * k_page_size, true, {}).error(), Errno::EFAULT);
}

TEST_F(AddressSpaceTest, RemapOfLargePages)
{
    VirtualAddress start = map(1024);
    ASSERT_TRUE(space.advise({ start, 4_MiB }, eremite::abi::Advice::PopulateWrite).has_value());
    EXPECT_EQ(space.page_table().find(start).level, 1u);
    for (unsigned page = 0; page < 1024; ++page)
        write(start + page * k_page_size, static_cast<u8>(page * 7));
    VirtualAddress aligned(0x4000'0000);
    ASSERT_EQ(space.remap({ start, 4_MiB }, 4_MiB, true, aligned).value(), aligned);
    EXPECT_EQ(space.page_table().find(aligned).level, 1u);
    VirtualAddress odd(0x5000'3000);
    ASSERT_EQ(space.remap({ aligned, 4_MiB }, 4_MiB, true, odd).value(), odd);
    machine.check_tlb();
    for (unsigned page = 0; page < 1024; ++page)
        ASSERT_EQ(read(odd + page * k_page_size), static_cast<u8>(page * 7));
    EXPECT_EQ(space.statistics().resident, 1024u);
}

TEST_F(AddressSpaceTest, BreakGrowsAndShrinks)
{
    VirtualAddress start = space.set_break({});
    EXPECT_EQ(space.set_break(start + 10'000), start + 10'000);
    write(start + 9'999, 5);
    EXPECT_EQ(space.set_break(start + 50'000), start + 50'000);
    EXPECT_EQ(read(start + 9'999), 5);
    EXPECT_EQ(space.statistics().mappings - mappings_before(), 1u);
    EXPECT_EQ(space.set_break(start + 100), start + 100);
    machine.check_tlb();
    EXPECT_EQ(read(start + 9'999), -1);
    EXPECT_EQ(space.set_break(start + 10'000), start + 10'000);
    EXPECT_EQ(read(start + 9'999), 0);
    // Not over another mapping.
    ASSERT_TRUE(
        map_at(VirtualAddress(align_up(start.value() + 20'000, k_page_size)), 1, MapRequest::Place::Fixed).has_value());
    EXPECT_EQ(space.set_break(start + 60'000), start + 10'000);
    EXPECT_EQ(space.set_break(start), start);
}

TEST_F(AddressSpaceTest, PrivateFilePagesAreCopiedOnWrite)
{
    auto file = make_ref<MemoryFile>().release_value();
    fill(*file, 4);
    VirtualAddress start = map_file(*file, 6, 0, false);
    EXPECT_EQ(read(start + k_page_size), 2);
    EXPECT_EQ(space.statistics().resident, 0u); // the file's own frame
    write(start + k_page_size + 1, 77); // was read before
    write(start + 2 * k_page_size + 1, 78); // was not
    machine.check_tlb();
    EXPECT_EQ(read(start + k_page_size), 2);
    EXPECT_EQ(read(start + k_page_size + 1), 77);
    EXPECT_EQ(file_byte(*file, k_page_size + 1), 2);
    EXPECT_EQ(file_byte(*file, 2 * k_page_size + 1), 3);
    EXPECT_EQ(space.fault(start + 4 * k_page_size, arch::Access::Read), PageFaultResult::BeyondEnd);
    // Rights that go and come don't make the file's page writable.
    ASSERT_TRUE(space.protect({ start, 6 * k_page_size }, 0).has_value());
    ASSERT_TRUE(space.protect({ start, 6 * k_page_size }, k_write).has_value());
    EXPECT_EQ(read(start + k_page_size + 1), 77);
    write(start, 99);
    EXPECT_EQ(file_byte(*file, 0), 1);
    ASSERT_TRUE(space.advise({ start, 2 * k_page_size }, eremite::abi::Advice::DontNeed).has_value());
    EXPECT_EQ(read(start), 1);
    EXPECT_EQ(read(start + k_page_size + 1), 2);
    ASSERT_TRUE(space.unmap({ start, 6 * k_page_size }).has_value());
}

TEST_F(AddressSpaceTest, SharedFilePagesAreTheFiles)
{
    auto file = make_ref<MemoryFile>().release_value();
    fill(*file, 4);
    VirtualAddress one = map_file(*file, 4, 0, true);
    VirtualAddress two = map_file(*file, 2, k_page_size, true);
    EXPECT_EQ(read(one + k_page_size), 2);
    write(two, 55);
    EXPECT_EQ(read(one + k_page_size), 55);
    EXPECT_EQ(file_byte(*file, k_page_size), 55);
    space.write_protect_object(file->pages, 0, 10);
    machine.check_tlb();
    write(two, 56);
    EXPECT_EQ(file_byte(*file, k_page_size), 56);
    // Truncation takes pages away from mappings, and zeroes the rest of the last one.
    write(one + k_page_size + 3000, 1);
    ASSERT_TRUE(file->pages.resize(k_page_size + 2000).has_value());
    machine.check_tlb();
    EXPECT_EQ(read(one + k_page_size + 3000), 0);
    EXPECT_EQ(space.fault(one + 2 * k_page_size, arch::Access::Read), PageFaultResult::BeyondEnd);
    ASSERT_TRUE(file->pages.resize(4 * k_page_size).has_value());
    EXPECT_EQ(read(one + 2 * k_page_size), 0);
    ASSERT_TRUE(space.unmap({ one, 4 * k_page_size }).has_value());
    EXPECT_TRUE(file->pages.is_mapped());
    ASSERT_TRUE(space.unmap({ two, 2 * k_page_size }).has_value());
    EXPECT_FALSE(file->pages.is_mapped());
}

TEST_F(AddressSpaceTest, AMappingKeepsItsFile)
{
    VirtualAddress start;
    {
        auto file = make_ref<MemoryFile>().release_value();
        fill(*file, 2);
        start = map_file(*file, 2, 0, true);
    }
    EXPECT_EQ(read(start + k_page_size), 2);
}

TEST_F(AddressSpaceTest, LimitsAndMemoryAreRefusedCleanly)
{
    space.set_limit(space.statistics().mapped + 10 * k_page_size);
    VirtualAddress start = map(8);
    MapRequest request;
    request.length = 3 * k_page_size;
    request.protection = k_write;
    EXPECT_EQ(space.map(std::move(request)).error(), Errno::ENOMEM);
    EXPECT_EQ(space.remap({ start, 8 * k_page_size }, 11 * k_page_size, true, {}).error(), Errno::ENOMEM);
    space.set_limit(~u64 { 0 });
    MapRequest huge;
    huge.length = 1_GiB; // more than the machine has
    huge.protection = k_write;
    EXPECT_EQ(space.map(std::move(huge)).error(), Errno::ENOMEM);
    MapRequest reserved;
    reserved.length = 1_GiB;
    reserved.protection = k_write;
    reserved.reserve = false;
    VirtualAddress wide = space.map(std::move(reserved)).value();
    // Touched until no frame is left: an error each time, and no more.
    u64 touched = 0;
    while (machine.access(wide + touched, true))
        touched += k_page_size;
    EXPECT_GT(touched, 200_MiB);
    EXPECT_EQ(space.fault(wide + touched, arch::Access::Write), PageFaultResult::OutOfMemory);
    EXPECT_EQ(space.advise({ wide, 1_GiB }, eremite::abi::Advice::PopulateWrite).error(), Errno::ENOMEM);
    ASSERT_TRUE(space.unmap({ wide, 1_GiB }).has_value());
    machine.check_tlb();
}

TEST_F(AddressSpaceTest, LockingPopulates)
{
    VirtualAddress start = map(10);
    ASSERT_TRUE(space.set_locked({ start + k_page_size, 4 * k_page_size }, true, true).has_value());
    EXPECT_EQ(space.statistics().resident, 4u);
    EXPECT_EQ(space.statistics().locked, 4 * k_page_size);
    EXPECT_EQ(space.advise({ start, 10 * k_page_size }, eremite::abi::Advice::DontNeed).error(), Errno::EINVAL);
    std::array<u8, 10> pages {};
    ASSERT_TRUE(space.residency({ start, 10 * k_page_size }, pages).has_value());
    EXPECT_EQ(pages, (std::array<u8, 10> { 0, 1, 1, 1, 1, 0, 0, 0, 0, 0 }));
    ASSERT_TRUE(space.set_locked({ start, 10 * k_page_size }, false, false).has_value());
    EXPECT_EQ(space.statistics().mappings - mappings_before(), 1u);
}

TEST_F(AddressSpaceTest, MainStackHasAGuard)
{
    VirtualRange stack = space.map_main_stack(8_MiB).value();
    write(stack.end() - 8, 1);
    EXPECT_EQ(space.statistics().resident, 1u);
    EXPECT_EQ(space.fault(stack.start - 8, arch::Access::Write), PageFaultResult::NotAllowed);
    EXPECT_STREQ(describe_address(stack.start - 8), "a guard page");
    EXPECT_STREQ(describe_address(stack.start), "the main stack");
    EXPECT_EQ(map_at(stack.start - k_page_size, 1, MapRequest::Place::Fixed).error(), Errno::EPERM);
    EXPECT_EQ(space.unmap({ stack.start - k_page_size, stack.length }).error(), Errno::EPERM);
    m_kept_tables = 2; // the guard, which stays, lies under the same ones
}

TEST_F(AddressSpaceTest, RandomCallsAgreeWithAModel)
{
    struct Page {
        u8 protection { 0 };
        std::map<u64, u8> bytes;
    };
    std::map<u64, Page> model; // by page number
    u64 mapped_before = space.statistics().mapped;
    std::mt19937 random(12);
    constexpr u64 base = 0x6000'0000'0000 >> k_page_shift;
    constexpr u64 area = 1600; // pages, a bit more than three large ones
    auto run = [&](u64 limit) {
        u64 first = random() % limit;
        u64 length = 1 + (random() % 3 == 0 ? random() % 700 : random() % 8);
        return std::pair { base + first, std::min(length, limit - first) };
    };
    auto address = [](u64 page) { return VirtualAddress(page << k_page_shift); };
    for (unsigned step = 0; step < 6000; ++step) {
        auto [first, count] = run(area);
        VirtualRange range { address(first), count * k_page_size };
        bool whole = true;
        for (u64 page = first; page < first + count; ++page)
            whole = whole && model.contains(page);
        switch (random() % 9) {
        case 0:
        case 1: {
            u8 protection = random() % 4 == 0 ? k_read : k_write;
            ASSERT_EQ(map_at(range.start, count, MapRequest::Place::Fixed, protection).value(), range.start);
            for (u64 page = first; page < first + count; ++page)
                model[page] = { .protection = protection, .bytes = {} };
            break;
        }
        case 2:
            ASSERT_TRUE(space.unmap(range).has_value());
            model.erase(model.lower_bound(first), model.lower_bound(first + count));
            break;
        case 3: {
            u8 protection = std::array<u8, 3> { 0, k_read, k_write }[random() % 3];
            ASSERT_EQ(space.protect(range, protection).has_value(), whole);
            for (u64 page = first; whole && page < first + count; ++page)
                model[page].protection = protection;
            break;
        }
        case 4: {
            auto result = space.advise(range, eremite::abi::Advice::DontNeed);
            ASSERT_EQ(result.has_value(), whole);
            for (auto it = model.lower_bound(first); it != model.lower_bound(first + count); ++it)
                it->second.bytes.clear();
            break;
        }
        case 5: {
            auto [target, unused] = run(area - count + 1);
            bool apart = target + count <= first || first + count <= target;
            bool one_mapping = false;
            space.for_each_mapping([&](const Mapping& mapping) {
                one_mapping = one_mapping || (mapping.range.start <= range.start && mapping.range.end() >= range.end());
            });
            if (!apart || !one_mapping)
                break;
            ASSERT_EQ(space.remap(range, range.length, true, address(target)).value(), address(target));
            std::map<u64, Page> moved;
            for (u64 page = 0; page < count; ++page)
                moved[page] = std::move(model[first + page]);
            model.erase(model.lower_bound(first), model.lower_bound(first + count));
            for (u64 page = 0; page < count; ++page)
                model[target + page] = std::move(moved[page]);
            break;
        }
        case 6: {
            // A run of touches, which makes large pages.
            for (u64 page = first; page < first + count; ++page) {
                auto found = model.find(page);
                bool allowed = found != model.end() && (found->second.protection & eremite::abi::k_prot_write) != 0;
                u8* byte = machine.access(address(page) + 9, true);
                ASSERT_EQ(byte != nullptr, allowed);
                if (byte)
                    found->second.bytes[9] = *byte = static_cast<u8>(random());
            }
            break;
        }
        default:
            for (unsigned i = 0; i < 20; ++i) {
                u64 page = base + random() % area;
                u64 offset = random() % k_page_size;
                auto found = model.find(page);
                bool write = random() % 2 == 0;
                bool allowed = found != model.end()
                    && (found->second.protection & (write ? eremite::abi::k_prot_write : eremite::abi::k_prot_read))
                        != 0;
                u8* byte = machine.access(address(page) + offset, write);
                ASSERT_EQ(byte != nullptr, allowed);
                if (!byte)
                    continue;
                auto& bytes = found->second.bytes;
                ASSERT_EQ(*byte, bytes.contains(offset) ? bytes[offset] : 0);
                if (write)
                    bytes[offset] = *byte = static_cast<u8>(random());
            }
            break;
        }
        machine.check_tlb();
        ASSERT_EQ(space.statistics().mapped - mapped_before, model.size() * k_page_size);
        ASSERT_FALSE(testing::Test::HasFailure()) << "step " << step;
    }
}

namespace {

constexpr u8 k_execute = eremite::abi::k_prot_read | eremite::abi::k_prot_execute;

/// Memory that becomes executable is looked through, as with isolation by keys.
class ExecutablePagesTest : public AddressSpaceTest {
protected:
    ExecutablePagesTest() { space.set_scans_code(true); }
    ~ExecutablePagesTest() override { space.set_scans_code(false); }

    void put(VirtualAddress address, std::initializer_list<u8> bytes)
    {
        for (u8 byte : bytes) {
            write(address, byte);
            address += 1;
        }
    }
    Errno protect(VirtualAddress start, u64 pages, u8 protection)
    {
        auto result = space.protect({ start, pages * k_page_size }, protection);
        return result.has_value() ? Errno {} : result.error();
    }
};

} // namespace

TEST_F(ExecutablePagesTest, HarmlessCodeBecomesExecutable)
{
    VirtualAddress start = map(3);
    put(start + 100, { 0x0f, 0x01, 0xee, 0xc3 }); // rdpkru, ret
    EXPECT_EQ(protect(start, 3, k_execute), Errno {});
    EXPECT_EQ(space.fault(start, arch::Access::Execute), PageFaultResult::Resolved);
    EXPECT_EQ(space.fault(start, arch::Access::Write), PageFaultResult::NotAllowed);
}

TEST_F(ExecutablePagesTest, KeyInstructionsDoNot)
{
    VirtualAddress start = map(3);
    for (u64 offset : { u64 { 0 }, u64 { 77 }, 2 * k_page_size - 2, 3 * k_page_size - 3 }) {
        put(start + offset, { 0x0f, 0x01, 0xef });
        EXPECT_EQ(protect(start, 3, k_execute), Errno::EACCES) << offset;
        // It is as it was: writable, and not executable.
        EXPECT_EQ(space.fault(start, arch::Access::Execute), PageFaultResult::NotAllowed);
        put(start + offset, { 0, 0, 0 });
    }
    EXPECT_EQ(protect(start, 3, k_execute), Errno {});
}

TEST_F(ExecutablePagesTest, AcrossBordersOfWhatIsExecutableAlready)
{
    VirtualAddress start = map(2);
    put(start + k_page_size - 1, { 0x0f, 0x30 }); // wrmsr
    EXPECT_EQ(protect(start, 1, k_execute), Errno {});
    EXPECT_EQ(protect(start + k_page_size, 1, k_execute), Errno::EACCES);
    // And the other way round.
    EXPECT_EQ(protect(start, 1, k_write), Errno {});
    EXPECT_EQ(protect(start + k_page_size, 1, k_execute), Errno {});
    EXPECT_EQ(protect(start, 1, k_execute), Errno::EACCES);
}

TEST_F(ExecutablePagesTest, PagesThatNobodyMayTouchAreLookedAtToo)
{
    VirtualAddress start = map(1);
    put(start + 5, { 0x0f, 0x22, 0xd8 });
    EXPECT_EQ(protect(start, 1, 0), Errno {});
    EXPECT_EQ(protect(start, 1, k_execute), Errno::EACCES);
    EXPECT_EQ(read(start + 5), -1);
    EXPECT_EQ(protect(start, 1, k_write), Errno {});
    EXPECT_EQ(read(start + 5), 0x0f);
}

TEST_F(ExecutablePagesTest, FilesAndMovesAreRefused)
{
    MemoryFile file;
    fill(file, 1);
    VirtualAddress pages = map_file(file, 1, 0, true);
    EXPECT_EQ(protect(pages, 1, k_execute), Errno::EACCES);
    MapRequest request;
    request.length = k_page_size;
    request.protection = k_execute;
    request.kind = MappingKind::File;
    request.file = RefPtr<File>(&file);
    request.object = &file.pages;
    EXPECT_EQ(space.map(std::move(request)).error(), Errno::EACCES);

    VirtualAddress code = map(1);
    EXPECT_EQ(protect(code, 1, k_execute), Errno {});
    VirtualAddress target = map(4);
    EXPECT_EQ(space.remap({ code, k_page_size }, k_page_size, true, target).error(), Errno::EPERM);
    EXPECT_EQ(space.remap({ code, k_page_size }, 2 * k_page_size, true, VirtualAddress()).error(), Errno::EPERM);
    ASSERT_TRUE(space.unmap({ pages, k_page_size }).has_value());
}
