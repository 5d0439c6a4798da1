// The loader on aarch64: a Linux Image, and to the application a boot loader of Linux's protocol
// (Documentation/arch/arm64/booting.rst): it hands over with the MMU and the data cache off, the application's memory
// clean, and the device tree in x0, in which the initrd has been changed. An Image runs anywhere, so the application
// goes wherever there is room.
#include "../loader.h"

#include "arch/aarch64/early.h"
#include "arch/aarch64/registers.h"
#include "arch/cpu.h"
#include "arch/platform.h"
#include "boot/machine_tree.h"
#include "boot/relocate.h"

#include <algorithm>

extern "C" {
[[noreturn]] void __eremite_secondary_main();
eremite::u64 __eremite_early_start(
    eremite::u64 device_tree, eremite::u64 load_address, eremite::u64 cycles, eremite::u64* roots);
extern char __eremite_image_start[], __eremite_image_end[];
extern const char __eremite_rela_start[], __eremite_rela_end[], __eremite_relr_start[], __eremite_relr_end[];
/// entry.S sets it up; nothing of the loader's ever looks at it.
constinit eremite::arch::PerCpu __eremite_boot_cpu;
}

namespace eremite {

const u16 k_loader_machine = k_elf_aarch64;

namespace arch {

namespace {
constinit Platform s_platform;
}

Platform& platform()
{
    return s_platform;
}

} // namespace arch

namespace {

constexpr u32 k_relative = 1027; // R_AARCH64_RELATIVE
/// Device trees are at most 2 MiB (booting.rst).
constexpr usize k_max_device_tree = 2_MiB;
/// The identity mapping covers so much (entry.S).
constexpr u64 k_end_of_readable = 512_GiB;

constinit DeviceTree s_tree;

u64 image_start()
{
    return reinterpret_cast<u64>(__eremite_image_start);
}

/// Ours ends behind the identity mapping's tables.
u64 image_end()
{
    return reinterpret_cast<u64>(__eremite_image_end) + EARLY_MEMORY;
}

/// Makes the GiB around `address` normal memory in the identity mapping, where entry.S left it as registers.
void map_gigabyte(u64 address)
{
    // The root is one page, the table of the first 512 GiB the next.
    std::span<u64> table(reinterpret_cast<u64*>(reinterpret_cast<u64>(__eremite_image_end) + k_page_size), 512);
    u64& entry = table[address / 1_GiB];
    u64 wanted = align_down(address, 1_GiB) | 0x701; // block, normal, inner shareable, accessed: as entry.S
    if (entry == wanted)
        return;
    // Break before make (Arm ARM, D8.14.1): the attributes change.
    *const_cast<volatile u64*>(&entry) = 0;
    asm volatile("dsb ishst; tlbi vmalle1; dsb ish; isb" ::: "memory");
    *const_cast<volatile u64*>(&entry) = wanted;
    asm volatile("dsb ishst; isb" ::: "memory");
}

void set_address(std::string_view property, u64 value)
{
    std::span<const u8> bytes = s_tree.known(DeviceTree::Known::Chosen).property(property).bytes();
    // The tree is ours to change now: it lies in memory that no device or processor shares.
    std::span<u8> place(const_cast<u8*>(bytes.data()), bytes.size());
    for (usize i = place.size(); i > 0; --i, value >>= 8)
        place[i - 1] = static_cast<u8>(value);
}

} // namespace

void read_machine(u64 start, BootInfo& info)
{
    if (start == 0)
        fail("there is no device tree: pass the loader as a raw Image, not as an ELF file");
    std::string_view problem;
    std::span<const u8> blob(reinterpret_cast<const u8*>(start), k_max_device_tree);
    if (DeviceTree::create(blob, s_tree, problem)) {
        info.device_tree = { PhysicalAddress(start), s_tree.size() };
        problem = parse_machine_tree(s_tree, k_end_of_readable, info);
        arch::read_platform(s_tree, info.command_line, arch::platform());
    }
    if (arch::platform().uart == 0)
        arch::platform().uart = arch::k_fallback_uart;
    if (!problem.empty())
        fail(problem);
    for (const MemoryRange& range : info.memory()) {
        u64 end = std::min(range.range.end().value(), k_end_of_readable);
        for (u64 at = range.range.start.value(); range.kind != MemoryKind::Device && at < end;
            at = align_down(at, 1_GiB) + 1_GiB)
            map_gigabyte(at);
    }
}

std::span<u8> physical_memory(u64 address, u64 length)
{
    if (address == 0 || address >= k_end_of_readable || length > k_end_of_readable - address)
        return {};
    return { reinterpret_cast<u8*>(address), length };
}

u64 choose_place(const ElfImage& image, const BootInfo& info)
{
    if (image.physical_start % k_large_page_size != 0)
        fail("the application's ELF file is damaged: its image does not begin on a boundary of 2 MiB");
    u64 size = image.physical_end - image.physical_start + EARLY_MEMORY;
    for (const MemoryRange& range : info.memory()) {
        if (range.kind != MemoryKind::Usable)
            continue;
        u64 end = std::min(range.range.end().value(), k_end_of_readable);
        for (u64 place = align_up(range.range.start.value(), k_large_page_size); place < end && size <= end - place;
            place += k_large_page_size) {
            // The tree is in no usable range.
            if (!overlap(place, place + size, image_start(), image_end())
                && !overlap(place, place + size, info.initrd.start.value(), info.initrd.end().value()))
                return place;
        }
    }
    fail("too little memory: the application and the file that it comes from don't fit side by side");
}

void pass_initrd(u64, PhysicalRange initrd)
{
    set_address("linux,initrd-start", initrd.start.value());
    set_address("linux,initrd-end", initrd.end().value());
}

void enter(u64 start, u64 entry, PhysicalRange place)
{
    auto clean = [](u64 from, u64 to) {
        u64 type;
        asm("mrs %0, ctr_el0" : "=r"(type));
        u64 line = u64 { 4 } << (type >> 16 & 15);
        for (u64 at = align_down(from, line); at < to; at += line)
            asm volatile("dc civac, %0" : : "r"(at) : "memory");
    };
    clean(place.start.value(), place.end().value());
    clean(start, start + s_tree.size());
    register u64 x0 asm("x0") = start;
    register u64 target asm("x4") = entry;
    asm volatile("dsb sy\n"
                 "mrs x5, sctlr_el1\n"
                 "bic x5, x5, %[mmu]\n"
                 "bic x5, x5, %[cache]\n"
                 "msr sctlr_el1, x5\n"
                 "isb\n"
                 "tlbi vmalle1\n"
                 "ic iallu\n"
                 "dsb sy\n"
                 "isb\n"
                 "mov x1, #0\n"
                 "mov x2, #0\n"
                 "mov x3, #0\n"
                 "br x4"
        :
        : "r"(x0), "r"(target), [mmu] "i"(SCTLR_MMU), [cache] "i"(SCTLR_CACHE)
        : "x1", "x2", "x3", "x5", "memory");
    __builtin_unreachable();
}

} // namespace eremite

using namespace eremite;

void __eremite_secondary_main()
{
    fail("unreachable");
}

u64 __eremite_early_start(u64 device_tree, u64 load_address, u64, u64*)
{
    u64 size = reinterpret_cast<u64>(__eremite_image_end) - load_address;
    auto count = [](const char* start, const char* end, usize each) {
        return (reinterpret_cast<u64>(end) - reinterpret_cast<u64>(start)) / each;
    };
    std::span<const ElfRela> rela(reinterpret_cast<const ElfRela*>(__eremite_rela_start),
        count(__eremite_rela_start, __eremite_rela_end, sizeof(ElfRela)));
    std::span<const u64> relr(reinterpret_cast<const u64*>(__eremite_relr_start),
        count(__eremite_relr_start, __eremite_relr_end, sizeof(u64)));
    if (!relocate_image({ reinterpret_cast<u8*>(load_address), size }, load_address, rela, relr, k_relative))
        fail("the loader has a relocation of an unknown kind");
    run_loader(device_tree);
}
