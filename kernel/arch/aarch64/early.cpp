// From the entry stub to kernel_main, in two halves.
//
// early_start runs at physical addresses: it reads the device tree, chooses the image's virtual base, relocates it, and
// makes the final page tables. Nothing that needs relocating (virtual functions, tables of pointers) may be used here.
// early_main runs in the mapped image, and drops the one-to-one mapping.
#include "arch/aarch64/early.h"

#include "arch/aarch64/registers.h"
#include "arch/cpu.h"
#include "arch/paging.h"
#include "arch/platform.h"
#include "arch/user_copy.h"
#include "boot/image.h"
#include "boot/machine_tree.h"
#include "boot/main.h"
#include "boot/relocate.h"

#include <algorithm>

extern "C" {
/// The boot processor's; entry.S puts it in TPIDR_EL1.
constinit eremite::arch::PerCpu __eremite_boot_cpu;
extern char __eremite_boot_stack[];
extern char __eremite_boot_entry_stack[];

eremite::u64 __eremite_early_start(
    eremite::u64 device_tree, eremite::u64 load_address, eremite::u64 cycles, eremite::u64* roots);
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

constinit u64 g_guarded_page = 0;
constinit AddressLayout g_address_layout = k_layout_48;
constinit u64 g_table_roots[2] {};

namespace {

using Format = PageTableFormat;

constexpr u32 k_relative = 1027; // R_AARCH64_RELATIVE
constexpr u64 k_fixed_base = 0x5555'5555'4000; // where gdb expects a PIE without randomness
constexpr u64 k_fixed_base_39 = 0x55'5555'4000;
constexpr usize k_boot_stack_size = 16384;

constinit Platform s_platform;
constinit DeviceTree s_device_tree;
constinit u64 s_pointer_key[2];

/// Memory behind the image that boot takes what it needs for good from. `window`: where physical memory is visible.
struct EarlyMemory {
    u64 window { 0 };
    u64 next { 0 };
    u64 end { 0 };

    u64 take_page()
    {
        if (next >= end)
            early_fatal("too little memory behind the image for the first page tables");
        u64 page = next;
        next += k_page_size;
        clear_page(reinterpret_cast<void*>(window + page));
        return page;
    }
};
constinit EarlyMemory s_memory;

std::span<u64> table_at(u64 physical)
{
    return { reinterpret_cast<u64*>(s_memory.window + physical), 512 };
}

u64& entry_for(u64 root, u64 address, unsigned level)
{
    u64 table = root;
    for (unsigned l = Format::k_levels - 1; l > level; --l) {
        u64& entry = table_at(table)[Format::index(VirtualAddress(address), l)];
        if (!Format::is_present(entry))
            entry = Format::table_entry(PhysicalAddress(s_memory.take_page()));
        table = Format::address(entry, l).value();
    }
    return table_at(table)[Format::index(VirtualAddress(address), level)];
}

/// Maps [physical, end) at `address`, by pages of `level`.
void map_pages(u64 root, u64 address, u64 physical, u64 end, PageAttributes attributes, unsigned level)
{
    const u64 size = u64 { k_page_size } << (9 * level);
    while (physical < end) {
        // One walk for all that a table holds.
        u64& first = entry_for(root, address, level);
        u64 count = std::min<u64>(512 - Format::index(VirtualAddress(address), level), (end - physical) / size);
        u64 leaf = Format::leaf_entry(PhysicalAddress(physical), attributes, level);
#pragma clang loop unroll_count(4)
        for (u64& entry : std::span(&first, count)) {
            entry = leaf;
            leaf += size;
        }
        address += count * size;
        physical += count * size;
    }
}

/// Maps [start, end) of physical memory in the direct map, by pages of 2 MiB where they fit.
void map_direct(u64 root, u64 start, u64 end, PageAttributes attributes)
{
    u64 large_start = std::min(align_up(start, k_large_page_size), end);
    u64 large_end = std::max(align_down(end, k_large_page_size), large_start);
    map_pages(root, address_layout().direct_map + start, start, large_start, attributes, 0);
    map_pages(root, address_layout().direct_map + large_start, large_start, large_end, attributes, 1);
    map_pages(root, address_layout().direct_map + large_end, large_end, end, attributes, 0);
}

void map_image(u64 root, u64 load_address, u64 base)
{
    auto map = [&](const char* start, const char* end, PageAttributes attributes) {
        u64 physical = reinterpret_cast<u64>(start);
        map_pages(root, base + (physical - load_address), physical, reinterpret_cast<u64>(end), attributes, 0);
    };
    constexpr PageAttributes read {};
    constexpr PageAttributes write { .writable = true };
    map(__eremite_rodata_start, __eremite_rodata_end, read);
    map(__eremite_text_start, __eremite_text_end, { .executable = true, .application = true });
    map(__eremite_kernel_text_start, __eremite_kernel_text_end, { .executable = true });
    map(__eremite_relro_start, __eremite_relro_end, read);
    map(__eremite_data_start, __eremite_data_end, write);
    map(__eremite_kernel_data_start, __eremite_kernel_data_end, write);
    map(__eremite_bss_start, __eremite_bss_end, write);
    // The guard pages of the boot processor's stacks.
    for (u64 guard : { reinterpret_cast<u64>(__eremite_boot_stack),
             reinterpret_cast<u64>(__eremite_boot_entry_stack) - k_page_size })
        entry_for(root, base + (guard - load_address), 0) = 0;
}

/// Touches both ends of each range: a tree that lists more memory than there is is found out here, and not by whoever
/// happens to be given a frame from nowhere.
void check_memory()
{
    auto is_there = [](u64 physical) {
        u32 word;
        return load_user(reinterpret_cast<const u32*>(address_layout().direct_map + physical), word);
    };
    for (const MemoryRange& range : s_boot_info.memory()) {
        if (range.kind != MemoryKind::Usable)
            continue;
        // The image itself is not in the direct map.
        u64 image_end = s_boot_info.image.end().value();
        u64 last = range.range.end().value() - sizeof(u32);
        u64 first = range.range.start.value();
        if (first == s_boot_info.image.start.value())
            first = image_end;
        if ((first <= last && !is_there(first)) || (last >= image_end && !is_there(last)))
            early_fatal("device tree: it lists memory that is not there");
    }
}

u64 early_random()
{
    static constinit u64 s_state = 0;
    u64 hardware = 0;
    hardware_random(hardware);
    u64 seed = 0;
    for (usize i = 0; i < s_boot_info.seed_length; ++i)
        seed = (seed ^ s_boot_info.seed[i]) * 0x100000001b3;
    // splitmix64 over whatever there is.
    s_state += 0x9e3779b97f4a7c15 + hardware + seed + cycle_counter();
    u64 z = s_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31) ^ hardware;
}

bool has_39_bits()
{
    return address_layout().application_end == k_layout_39.application_end;
}

u64 choose_base(u64 image_size)
{
    if (has_option(s_boot_info.command_line, "nokaslr"))
        return has_39_bits() ? k_fixed_base_39 : k_fixed_base;
    // Clear of the mappings that grow down from the top of the half; with 39 bits, of what is mapped one to one as
    // well.
    u64 half = align_up(address_layout().application_end, 1_GiB);
    u64 lowest = half / 8;
    u64 highest = half / 4 * 3;
    for (const MemoryRange& range : s_boot_info.memory()) {
        if (has_39_bits())
            lowest = std::max(lowest, align_up(range.range.end().value(), 1_GiB));
    }
    u64 pages = (highest - lowest - image_size) / k_page_size;
    return lowest + early_random() % pages * k_page_size;
}

/// What TTBR0 or TTBR1 is to be: with 39 bits, the one table below the root.
u64 hardware_root(u64 root, unsigned index)
{
    return has_39_bits() ? Format::address(table_at(root)[index], 3).value() : root;
}

/// Memory must hold the image and the tables behind it, which end at `end`.
void check_place(u64 load_address, u64 end)
{
    for (const MemoryRange& range : s_boot_info.memory()) {
        if (range.kind == MemoryKind::Usable && range.range.start.value() <= load_address
            && range.range.end().value() >= end)
            return;
    }
    early_fatal("device tree: the memory it lists does not hold the image that runs");
}

/// The console's registers are mapped beside memory, where nothing else may be.
void check_console()
{
    u64 uart = s_platform.uart;
    bool is_memory = std::ranges::any_of(s_boot_info.memory(), [&](const MemoryRange& range) {
        return uart >= align_down(range.range.start.value(), k_large_page_size)
            && uart < align_up(range.range.end().value(), k_large_page_size);
    });
    if (!is_memory && uart < address_layout().kernel_area - address_layout().direct_map)
        return;
    s_platform.uart = 0;
    early_fatal("device tree: the console's registers lie in memory, or beyond all of it");
}

template<typename T> std::span<const T> span_between(const char* start, const char* end)
{
    return { reinterpret_cast<const T*>(start),
        (reinterpret_cast<u64>(end) - reinterpret_cast<u64>(start)) / sizeof(T) };
}

u64 id_register_field(u64 value, unsigned shift)
{
    return (value >> shift) & 15;
}

[[gnu::no_stack_protector]] void prepare_hardening()
{
    u64 features;
    asm("mrs %0, id_aa64pfr1_el1" : "=r"(features));
    if (id_register_field(features, 0) != 0)
        g_guarded_page = u64 { 1 } << 50;
    s_pointer_key[0] = early_random();
    s_pointer_key[1] = early_random();
    __eremite_boot_cpu.stack_guard
        = early_random() & ~u64 { 0xff }; // its first byte is 0: no string goes over it unseen
}

/// Device trees are at most 2 MiB (booting.rst).
constexpr usize k_max_device_tree = 2_MiB;

} // namespace

Platform& platform()
{
    return s_platform;
}

VirtualRange boot_stack()
{
    return { VirtualAddress(__eremite_boot_cpu.kernel_stack_bottom), k_boot_stack_size };
}

const DeviceTree& device_tree()
{
    return s_device_tree;
}

/// Its own return address must not be signed before and checked after.
[[gnu::noinline, gnu::target("branch-protection=none")]] void harden_processor()
{
    u64 control;
    asm("mrs %0, sctlr_el1" : "=r"(control));
    control |= SCTLR_WXN;
    u64 features;
    asm("mrs %0, id_aa64isar1_el1" : "=r"(features));
    u64 more;
    asm("mrs %0, s3_0_c0_c6_2" : "=r"(more)); // ID_AA64ISAR2_EL1
    if (id_register_field(features, 4) != 0 || id_register_field(features, 8) != 0
        || id_register_field(more, 12) != 0) {
        asm volatile("msr s3_0_c2_c1_0, %0; msr s3_0_c2_c1_1, %1" : : "r"(s_pointer_key[0]), "r"(s_pointer_key[1]));
        control |= u64 { 1 } << 31;
    }
    asm volatile("msr sctlr_el1, %0; isb" : : "r"(control) : "memory");
}

[[gnu::no_stack_protector]] static u64 start(u64 device_tree_address, u64 load_address, u64 cycles, u64* roots)
{
    BootInfo& info = s_boot_info;
    info.entry_cycles = cycles;
    u64 image_end = reinterpret_cast<u64>(__eremite_image_end);
    // Loaded as an ELF file: the tree, if any, is where memory begins.
    if (device_tree_address == 0)
        device_tree_address = align_down(load_address, 1_GiB);
    std::string_view problem;
    std::span<const u8> blob(reinterpret_cast<const u8*>(device_tree_address), k_max_device_tree);
    if (!DeviceTree::create(blob, s_device_tree, problem))
        early_fatal(problem);
    info.device_tree = { PhysicalAddress(device_tree_address), s_device_tree.size() };
    if (has_option(s_device_tree.known(DeviceTree::Known::Chosen).property("bootargs").text(), "address-bits=39"))
        g_address_layout = k_layout_39;
    problem = parse_machine_tree(s_device_tree, address_layout().kernel_area - address_layout().direct_map, info);
    read_platform(s_device_tree, info.command_line, s_platform);
    // The identity mapping's two tables lie right behind the image.
    u64 identity_root = image_end;
    u64 early_end = image_end + EARLY_MEMORY;
    if (device_tree_address >= image_end && device_tree_address < early_end)
        early_end = align_down(device_tree_address, k_page_size);
    if (info.initrd.start.value() >= image_end && info.initrd.start.value() < early_end)
        early_end = align_down(info.initrd.start.value(), k_page_size);
    s_memory = { .window = 0, .next = image_end + 2 * k_page_size, .end = early_end };
    if (!problem.empty())
        early_fatal(problem);
    check_place(load_address, s_memory.next);
    check_console();
    prepare_hardening();

    u64 image_size = image_end - load_address;
    u64 base = choose_base(image_size);
    if (!relocate_image({ reinterpret_cast<u8*>(load_address), image_size }, base,
            span_between<ElfRela>(__eremite_rela_start, __eremite_rela_end),
            span_between<u64>(__eremite_relr_start, __eremite_relr_end), k_relative))
        early_fatal("the image has a relocation of an unknown kind");

    // Room for what follows, so that info.image is final before the direct map leaves the image out.
    u64 lower = s_memory.take_page();
    u64 upper = s_memory.take_page();
    map_image(lower, load_address, base);
    // What runs now must go on running, and processors that start later begin where we do: each of the two mappings
    // gets the other's part. The image takes an entry or two of the table.
    unsigned level = has_39_bits() ? 2 : 3;
    u64 first_table = identity_root + k_page_size;
    s_platform.identity_root = has_39_bits() ? first_table : identity_root;
    auto identity = table_at(s_platform.identity_root);
    auto target = table_at(hardware_root(lower, 0));
    unsigned here = Format::index(VirtualAddress(load_address), level);
    for (unsigned i = Format::index(VirtualAddress(base), level);
        i <= Format::index(VirtualAddress(base + image_size), level); ++i)
        identity[i] = target[i];
    target[here] = identity[here];

    constexpr PageAttributes write { .writable = true };
    std::span<const MemoryRange> ranges = info.memory();
    for (usize i = 0; i < ranges.size();) {
        u64 from = ranges[i].range.start.value();
        u64 to = ranges[i].range.end().value();
        bool is_device = ranges[i].kind == MemoryKind::Device;
        // What follows without a gap goes with it, so that large pages fit.
        for (++i; !is_device && i < ranges.size() && ranges[i].kind != MemoryKind::Device
            && ranges[i].range.start.value() == to;
            ++i)
            to = ranges[i].range.end().value();
        if (is_device)
            continue;
        if (from < load_address)
            map_direct(upper, from, std::min(to, load_address), write);
        if (to > image_end)
            map_direct(upper, std::max(from, image_end), to, write);
    }
    u64 uart = align_down(s_platform.uart != 0 ? s_platform.uart : k_fallback_uart, k_page_size);
    map_direct(upper, uart, uart + k_page_size, { .writable = true, .cache = CacheMode::Uncached });

    // The command line gets memory of its own, in which it can be taken apart.
    std::string_view text = info.command_line;
    u64 copy = s_memory.next;
    for (usize taken = 0; taken < text.size() + 1; taken += k_page_size)
        s_memory.take_page();
    std::span<char> copied(reinterpret_cast<char*>(copy), text.size() + 1);
    std::copy(text.begin(), text.end(), copied.begin());
    info.command_line = { reinterpret_cast<const char*>(address_layout().direct_map + copy), text.size() };

    info.image = { PhysicalAddress(load_address), s_memory.next - load_address };
    s_platform.image_offset = base - load_address;
    g_table_roots[0] = lower;
    g_table_roots[1] = upper;
    u64 control;
    asm("mrs %0, tcr_el1" : "=r"(control));
    control &= ~u64 { TCR_EPD1 };
    if (has_39_bits())
        control += (u64 { 9 } << TCR_T0SZ_SHIFT) + (u64 { 9 } << TCR_T1SZ_SHIFT);
    auto registers = std::span(roots, 3);
    registers[0] = hardware_root(lower, 0);
    registers[1] = hardware_root(upper, 511);
    registers[2] = control;
    publish_tables();
    return base - load_address;
}

[[gnu::no_stack_protector]] static void finish()
{
    adopt_processor(__eremite_boot_cpu, reinterpret_cast<u64>(__eremite_boot_entry_stack) + k_boot_stack_size);
    __eremite_boot_cpu.kernel_stack_bottom = reinterpret_cast<u64>(__eremite_boot_stack) + k_page_size;
    __eremite_boot_cpu.kernel_stack_top = __eremite_boot_cpu.kernel_stack_bottom + k_boot_stack_size;
    if (s_platform.uart != 0)
        s_platform.uart += address_layout().direct_map;
    s_platform.is_mapped = true;
    s_memory.window = address_layout().direct_map;
    u64 here = s_boot_info.image.start.value();
    if (has_39_bits())
        table_at(hardware_root(g_table_roots[0], 0))[Format::index(VirtualAddress(here), 2)] = 0;
    else
        table_at(g_table_roots[0])[Format::index(VirtualAddress(here), 3)] = 0;
    invalidate_all();
    BootInfo& info = s_boot_info;
    std::span<const u8> blob(reinterpret_cast<const u8*>(address_layout().direct_map + info.device_tree.start.value()),
        info.device_tree.length);
    s_device_tree.move_to(blob);
    check_memory();
}

} // namespace arch
} // namespace eremite

using namespace eremite;

[[gnu::no_stack_protector]] u64 __eremite_early_start(u64 device_tree, u64 load_address, u64 cycles, u64* roots)
{
    return arch::start(device_tree, load_address, cycles, roots);
}

[[gnu::no_stack_protector]] void __eremite_early_main()
{
    arch::harden_processor();
    arch::finish();
    kernel_main();
}
