// From the entry stub to kernel_main, in two halves.
//
// early_start runs at physical addresses: it chooses the image's virtual base, relocates it, and maps it with its final
// protections. Nothing that needs relocating (virtual functions, tables of pointers) may be used here.
// early_main runs in the mapped image: it sets up the direct map, and drops the one-to-one mapping.
#include "arch/x86_64/early.h"

#include "arch/cpu.h"
#include "arch/paging.h"
#include "arch/platform.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu_state.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/rights.h"
#include "boot/command_line.h"
#include "boot/image.h"
#include "boot/main.h"
#include "boot/pvh.h"
#include "boot/relocate.h"

#include <algorithm>

extern "C" {
extern eremite::u64 __eremite_entry_cycles;
constinit eremite::u64 __stack_chk_guard = 0;
eremite::u64 __eremite_early_start(eremite::u64 start_info, eremite::u64 load_address);
[[noreturn]] void __eremite_early_main();
}

namespace eremite {

namespace {
constinit BootInfo s_boot_info;
}

BootInfo& boot_info()
{
    return s_boot_info;
}

namespace arch {

namespace {

using Format = PageTableFormat;

constexpr u64 k_identity_size = 1_GiB;
constexpr u32 k_relative = 8; // R_X86_64_RELATIVE
constexpr u64 k_fixed_base = 0x5555'5555'4000; // where gdb expects a PIE without randomness

#if EREMITE_ISOLATION == 2
/// An entry of eremite_key_code (rights.inc).
struct KeyCode {
    i32 start; // relative to the field
    u32 length;
};
extern "C" [[gnu::visibility("hidden")]] const KeyCode __start_eremite_key_code[], __stop_eremite_key_code[];

constinit bool s_keys_are_on = false;
#endif

constinit BootMemory s_boot_memory;
constinit u64 s_root = 0;

/// A table of 512 entries, at `physical`.
std::span<u64> table_at(u64 physical)
{
    return { reinterpret_cast<u64*>(s_boot_memory.window + physical), 512 };
}

/// The entry that maps `address` at `level`; makes the tables above it.
u64& entry_for(u64 address, unsigned level)
{
    u64 table = s_root;
    for (unsigned l = Format::k_levels - 1; l > level; --l) {
        u64& entry = table_at(table)[Format::index(VirtualAddress(address), l)];
        if (!Format::is_present(entry)) {
            u8* page = s_boot_memory.take_pages(1);
            if (!page)
                early_fatal("too little memory for the first page tables");
            entry = Format::table_entry(PhysicalAddress(reinterpret_cast<u64>(page) - s_boot_memory.window));
        }
        table = Format::address(entry, l).value();
    }
    return table_at(table)[Format::index(VirtualAddress(address), level)];
}

/// Maps physical memory in the direct map, by pages as large as fit. Ranges are rounded outwards, so they may overlap.
void map_direct(u64 start, u64 end, bool have_gigabyte_pages)
{
    while (start < end) {
        // What is there already stays: the page, whatever its size, that covers this address; below a table, a smaller
        // one.
        u64 table = s_root;
        unsigned level = Format::k_levels - 1;
        u64 entry;
        while (true) {
            entry = table_at(table)[Format::index(VirtualAddress(k_direct_map_base + start), level)];
            if (!Format::is_present(entry) || Format::is_leaf(entry, level))
                break;
            table = Format::address(entry, level).value();
            --level;
        }
        auto size_of = [](unsigned l) { return u64 { k_page_size } << (9 * l); };
        if (!Format::is_present(entry)) {
            level = std::min(level, have_gigabyte_pages ? 2u : 1u);
            while (level > 0 && ((start & (size_of(level) - 1)) != 0 || end - start < size_of(level)))
                --level;
            // Entries that follow in the same table need no walk.
            u64* first = &entry_for(k_direct_map_base + start, level);
            unsigned index = Format::index(VirtualAddress(k_direct_map_base + start), level);
            std::span<u64> rest(first, 512 - index);
            for (u64& empty : rest) {
                if (Format::is_present(empty) || end - start < size_of(level))
                    break;
                empty = Format::leaf_entry(PhysicalAddress(start), k_kernel_data_attributes, level);
                start += size_of(level);
                if (start >= end)
                    break;
            }
            continue;
        }
        start = align_down(start, size_of(level)) + size_of(level);
    }
}

bool has_option(std::string_view command_line, std::string_view name)
{
    // Quotes don't matter for an option without a value; what follows `--` is the program's.
    while (!command_line.empty()) {
        usize end = std::min(command_line.find(' '), command_line.size());
        std::string_view word = command_line.substr(0, end);
        if (word == name)
            return true;
        if (word == "--")
            return false;
        command_line.remove_prefix(std::min(end + 1, command_line.size()));
    }
    return false;
}

u64 choose_base(u64 image_size)
{
    if (has_option(s_boot_info.command_line, "nokaslr"))
        return k_fixed_base;
    // Bits 46 to 12: anywhere from 16 TiB up, clear of the mappings that grow down from the top of the half.
    constexpr u64 lowest = u64 { 1 } << 44;
    constexpr u64 highest = u64 { 0x6000'0000'0000 };
    u64 pages = (highest - lowest - image_size) / k_page_size;
    return lowest + early_random() % pages * k_page_size;
}

/// Puts the boot memory after the image, clear of what the monitor passed and we still read.
void place_boot_memory(u64 image_start, u64 image_end, bool have_gigabyte_pages)
{
    u64 memory = 0;
    for (const MemoryRange& range : s_boot_info.memory()) {
        if (range.kind == MemoryKind::Usable)
            memory = std::max(memory, range.range.end().value());
    }
    // Root and tables of the image, of both ends of the direct map, of other processors' first steps; then tables of
    // the direct map; the command line. With keys, the boot processor's own area.
    u64 pages = (k_has_keys ? 23 : 20) + (image_end - image_start) / k_large_page_size + 2 * s_boot_info.range_count
        + (s_boot_info.command_line.size() + k_page_size) / k_page_size;
    pages += memory / (have_gigabyte_pages ? 512_GiB : 1_GiB);
    u64 start = image_end;
    u64 length = pages * k_page_size;
    auto avoid = [&](u64 from, u64 size) {
        if (size != 0 && from < start + length && from + size > start)
            start = align_up(from + size, k_page_size);
    };
    avoid(s_boot_info.initrd.start.value(), s_boot_info.initrd.length);
    avoid(reinterpret_cast<u64>(s_boot_info.command_line.data()), s_boot_info.command_line.size());
    avoid(s_boot_info.initrd.start.value(), s_boot_info.initrd.length);

    for (const MemoryRange& range : s_boot_info.memory()) {
        if (range.kind == MemoryKind::Usable && range.range.start.value() <= image_start
            && range.range.end().value() >= start + length && start + length <= k_identity_size) {
            s_boot_memory = { .window = 0, .next = start, .end = start + length };
            return;
        }
    }
    early_fatal("too little memory: the image and its page tables don't fit into what the memory map lists");
}

/// Image-relative bounds to attributes. Relocations have been applied already, so relro is read-only from the start.
struct Part {
    const char* start;
    const char* end;
    PageAttributes attributes;
};

void map_image(u64 load_address, u64 base)
{
    // Text is the supervisor's: with SMEP, nothing else can be executed.
    constexpr PageAttributes read { .application = k_has_keys };
    constexpr PageAttributes execute { .executable = true };
    constexpr PageAttributes write { .writable = true, .application = k_has_keys };
    auto map = [&](const char* start, const char* end, PageAttributes attributes) {
        u64 physical = reinterpret_cast<u64>(start);
        map_early_pages(base + (physical - load_address), physical, reinterpret_cast<u64>(end) - physical, attributes);
    };
    map(__eremite_rodata_start, __eremite_rodata_end, read);
    map(__eremite_text_start, __eremite_text_end, execute);
    map(__eremite_kernel_text_start, __eremite_kernel_text_end, execute);
    map(__eremite_relro_start, __eremite_relro_end, read);
    map(__eremite_data_start, __eremite_data_end, write);
    map(__eremite_kernel_data_start, __eremite_kernel_data_end, k_kernel_data_attributes);
    map(__eremite_bss_start, __eremite_bss_end, write);
}

template<typename T> std::span<const T> span_between(const char* start, const char* end)
{
    return { reinterpret_cast<const T*>(start),
        (reinterpret_cast<u64>(end) - reinterpret_cast<u64>(start)) / sizeof(T) };
}

void check_processor()
{
    CpuId basic = cpuid(1);
    CpuId extended = cpuid(0x80000001);
    CpuId structured = cpuid(0).eax >= 7 ? cpuid(7) : CpuId {};
    if ((extended.edx & (1u << 20)) == 0)
        early_fatal("this processor cannot forbid execution of data (NX)");
    if ((structured.ebx & 1) == 0)
        early_fatal("this processor has no FSGSBASE; with QEMU, add -cpu max, or -cpu qemu64,+fsgsbase,+rdtscp,+xsave");
    if ((basic.edx & (1u << 24)) == 0 || (basic.edx & (1u << 9)) == 0)
        early_fatal("this processor lacks FXSR or a local APIC");
}

#if EREMITE_ISOLATION == 2
/// Whether to use protection keys; where not, takes the code that needs them out of the image, which is still writable.
void choose_isolation()
{
    bool has_keys = cpuid(0).eax >= 7 && (cpuid(7).ecx & (1u << 3)) != 0;
    std::string_view line = s_boot_info.command_line;
    if (!has_keys && has_option(line, "isolation=mpk!"))
        early_fatal("isolation=mpk!: this processor has no protection keys");
    s_keys_are_on = has_keys && !has_option(line, "isolation=stack") && !has_option(line, "isolation=none");
    if (s_keys_are_on)
        return;
    for (const KeyCode& code : std::span(__start_eremite_key_code, __stop_eremite_key_code))
        __builtin_memset(
            reinterpret_cast<u8*>(reinterpret_cast<u64>(&code.start) + static_cast<u64>(i64 { code.start })), 0x90,
            code.length);
}
#endif

bool have_gigabyte_pages()
{
    return (cpuid(0x80000001).edx & (1u << 26)) != 0;
}

} // namespace

u8* BootMemory::take_pages(usize count)
{
    u64 length = count * k_page_size;
    if (length > end - next)
        return nullptr;
    auto* pages = reinterpret_cast<u8*>(window + next);
    next += length;
    __builtin_memset(pages, 0, length);
    return pages;
}

BootMemory& boot_memory()
{
    return s_boot_memory;
}

#if EREMITE_ISOLATION == 2
bool keys_are_on()
{
    return s_keys_are_on;
}
#endif

u64 early_random()
{
    static constinit u64 s_state = 0;
    u64 hardware = 0;
    hardware_random(hardware);
    // splitmix64 over whatever there is.
    s_state += 0x9e3779b97f4a7c15 + hardware + cycle_counter();
    u64 z = s_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31) ^ hardware;
}

void map_early_pages(u64 virtual_start, u64 physical, u64 length, PageAttributes attributes)
{
    for (u64 offset = 0; offset < length; offset += k_page_size)
        entry_for(virtual_start + offset, 0) = Format::leaf_entry(PhysicalAddress(physical + offset), attributes, 0);
}

void set_early_entry(u64 address, u64 entry)
{
    entry_for(address, 0) = entry;
    invalidate_page(VirtualAddress(address));
}

/// Starts at physical addresses, the first GiB mapped one to one. Returns virtual minus physical address of the image.
[[gnu::no_stack_protector]] static u64 start(u64 start_info, u64 load_address)
{
    u64 image_end = reinterpret_cast<u64>(__eremite_image_end);
    s_boot_info.entry_cycles = __eremite_entry_cycles;
    start_clock_reference();
    check_processor();

    // From 16: QEMU puts its tables into the first page, and a span can't begin at null.
    constexpr u64 first = 16;
    PhysicalWindow window { first, { reinterpret_cast<const u8*>(first), k_identity_size - first } };
    std::string_view problem = parse_pvh(window, start_info, s_boot_info);
    if (!problem.empty())
        early_fatal(problem);
    s_boot_info.image = { PhysicalAddress(load_address), image_end - load_address };
    place_boot_memory(load_address, image_end, have_gigabyte_pages());
#if EREMITE_ISOLATION == 2
    choose_isolation();
#endif

    u64 base = choose_base(image_end - load_address);
    if (!relocate_image({ reinterpret_cast<u8*>(load_address), image_end - load_address }, base,
            span_between<ElfRela>(__eremite_rela_start, __eremite_rela_end),
            span_between<u64>(__eremite_relr_start, __eremite_relr_end), k_relative))
        early_fatal("the image has a relocation of an unknown kind");

    s_root = reinterpret_cast<u64>(s_boot_memory.take_pages(1));
    map_image(load_address, base);
    // The mapping that we stand on stays for a moment.
    table_at(s_root)[0] = table_at(read_cr3() & Format::k_address_mask)[0];
    write_cr3(s_root);
    return base - load_address;
}

/// Continues at the image's own addresses.
[[gnu::no_stack_protector]] static void finish()
{
    __stack_chk_guard = early_random() & ~u64 { 0xff }; // its first byte is 0: no string can read or write over it
    adopt_boot_processor();
    BootInfo& info = s_boot_info;

    std::span<char> copy(
        reinterpret_cast<char*>(s_boot_memory.take_pages((info.command_line.size() + k_page_size) / k_page_size)),
        info.command_line.size() + 1);
    std::copy(info.command_line.begin(), info.command_line.end(), copy.begin());

    bool gigabyte_pages = have_gigabyte_pages();
    u64 image_start = info.image.start.value();
    u64 image_end = image_start + info.image.length;
    // The BIOS area holds the firmware's tables; it isn't in every map.
    map_direct(0, std::min<u64>(image_start, k_large_page_size), gigabyte_pages);
    for (const MemoryRange& range : info.memory()) {
        if (range.kind != MemoryKind::Usable && range.kind != MemoryKind::AcpiTables)
            continue;
        // Firmware puts tables right behind memory: round outwards.
        u64 start = align_down(range.range.start.value(), k_large_page_size);
        u64 end = align_up(range.range.end().value(), k_large_page_size);
        if (start < image_start)
            map_direct(start, std::min(end, image_start), gigabyte_pages);
        if (end > image_end)
            map_direct(std::max(start, image_end), end, gigabyte_pages);
    }
    info.command_line
        = { reinterpret_cast<const char*>(reinterpret_cast<u64>(copy.data()) + k_direct_map_base), copy.size() - 1 };
    s_boot_memory.window = k_direct_map_base;
    table_at(s_root)[0] = 0;
    write_cr3(s_root);
    seal_early_stacks();
    info.image.length = s_boot_memory.end - image_start;
}

} // namespace arch
} // namespace eremite

using namespace eremite;

[[gnu::no_stack_protector]] u64 __eremite_early_start(u64 start_info, u64 load_address)
{
    return arch::start(start_info, load_address);
}

[[gnu::no_stack_protector]] void __eremite_early_main()
{
    arch::finish();
    kernel_main();
}
