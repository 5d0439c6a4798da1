#include "boot/pvh.h"

namespace eremite {

namespace {

constexpr u32 k_magic = 0x336ec578;
constexpr usize k_max_command_line = 64_KiB;

struct StartInfo {
    u32 magic;
    u32 version;
    u32 flags;
    u32 module_count;
    u64 module_list;
    u64 command_line;
    u64 rsdp;
    // version 1
    u64 memory_map;
    u32 memory_map_entries;
    u32 reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct Module {
    u64 address;
    u64 size;
    u64 command_line;
    u64 reserved;
};

struct MapEntry {
    u64 address;
    u64 size;
    u32 type;
    u32 reserved;
};

template<typename T> bool read(const PhysicalWindow& window, u64 address, T& value)
{
    std::span<const u8> bytes = window.at(address, sizeof(T));
    if (bytes.empty())
        return false;
    __builtin_memcpy(&value, bytes.data(), sizeof(T));
    return true;
}

MemoryKind kind_of(u32 type)
{
    // E820 types: 1 RAM, 2 reserved, 3 ACPI tables, 4 ACPI NVS.
    if (type == 1)
        return MemoryKind::Usable;
    if (type == 3)
        return MemoryKind::AcpiTables;
    return MemoryKind::Reserved;
}

std::string_view read_memory_map(const PhysicalWindow& window, const StartInfo& start, BootInfo& info)
{
    if (start.version < 1 || start.memory_map == 0 || start.memory_map_entries == 0)
        return "no memory map: the monitor passed none";
    if (start.memory_map_entries > 4096)
        return "the memory map is not plausible";
    info.range_count = 0;
    for (u32 i = 0; i < start.memory_map_entries; ++i) {
        MapEntry entry;
        if (!read(window, start.memory_map + u64 { i } * sizeof(MapEntry), entry))
            return "the memory map lies outside of the memory that can be read";
        u64 end;
        if (entry.size == 0 || __builtin_add_overflow(entry.address, entry.size, &end))
            continue;
        if (info.range_count == BootInfo::k_max_ranges) {
            // Memory that we don't know of stays unused, but a reservation that we forget is used: usable entries only.
            if (kind_of(entry.type) == MemoryKind::Usable)
                continue;
            return "the memory map has too many entries";
        }
        info.ranges[info.range_count++] = { { PhysicalAddress(entry.address), entry.size }, kind_of(entry.type) };
    }
    for (const MemoryRange& range : info.memory()) {
        if (range.kind == MemoryKind::Usable)
            return {};
    }
    return "no memory: the memory map lists none that is usable";
}

std::string_view read_command_line(const PhysicalWindow& window, u64 address, BootInfo& info)
{
    info.command_line = {};
    if (address == 0)
        return {};
    for (usize length = 0; length < k_max_command_line; ++length) {
        std::span<const u8> byte = window.at(address + length, 1);
        if (byte.empty())
            return "the command line lies outside of the memory that can be read";
        if (byte[0] != 0)
            continue;
        if (length > 0)
            info.command_line = { reinterpret_cast<const char*>(window.at(address, length).data()), length };
        return {};
    }
    return "the command line is too long";
}

} // namespace

std::string_view parse_pvh(const PhysicalWindow& window, u64 start_info, BootInfo& info)
{
    // Version 0 ends before the memory map, but what follows is memory too.
    StartInfo start;
    if (!read(window, start_info, start))
        return "the start information lies outside of the memory that can be read";
    if (start.magic != k_magic)
        return "not started by a PVH monitor: the start information has no valid magic number";
    std::string_view problem = read_memory_map(window, start, info);
    if (!problem.empty())
        return problem;
    problem = read_command_line(window, start.command_line, info);
    if (!problem.empty())
        return problem;
    info.rsdp = PhysicalAddress(start.rsdp);
    info.initrd = {};
    if (start.module_count > 0) {
        Module module;
        if (!read(window, start.module_list, module))
            return "the list of modules lies outside of the memory that can be read";
        u64 end;
        if (module.size != 0 && (module.address == 0 || __builtin_add_overflow(module.address, module.size, &end)))
            return "the initrd's address is not plausible";
        info.initrd = { PhysicalAddress(module.address), module.size };
    }
    return {};
}

} // namespace eremite
