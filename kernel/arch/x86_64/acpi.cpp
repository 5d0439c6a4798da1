#include "arch/x86_64/acpi.h"

#include "arch/cpu.h"
#include "base/log.h"
#include "boot/boot_info.h"
#include "mm/device_memory.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace eremite::arch {

namespace {

constexpr usize k_header_size = 36;
constexpr usize k_max_table = 1_MiB;

constinit std::array<u32, k_max_cpus> s_processors {};
constinit u32 s_processor_count = 0;

/// Physical memory of the firmware's, read only; empty if it can't be mapped.
std::span<const u8> map(u64 address, usize length)
{
    auto mapped = map_device_memory({ PhysicalAddress(address), length }, CacheMode::Normal);
    if (mapped.is_error())
        return {};
    return { static_cast<const u8*>(mapped.value()), length };
}

template<typename T> T read(std::span<const u8> bytes, usize offset)
{
    T value {};
    if (offset <= bytes.size() && bytes.size() - offset >= sizeof(T))
        __builtin_memcpy(&value, bytes.subspan(offset, sizeof(T)).data(), sizeof(T));
    return value;
}

bool begins_with(std::span<const u8> bytes, std::string_view signature)
{
    return bytes.size() >= signature.size()
        && std::ranges::equal(
            bytes.first(signature.size()), signature, {}, {}, [](char c) { return static_cast<u8>(c); });
}

bool is_sound(std::span<const u8> bytes)
{
    u8 sum = 0;
    for (u8 byte : bytes)
        sum = static_cast<u8>(sum + byte);
    return sum == 0 && !bytes.empty();
}

/// A whole table, checked; empty if it isn't one.
std::span<const u8> map_table(u64 address)
{
    if (address == 0)
        return {};
    usize length = read<u32>(map(address, k_header_size), 4);
    if (length < k_header_size || length > k_max_table)
        return {};
    std::span<const u8> table = map(address, length);
    return is_sound(table) ? table : std::span<const u8> {};
}

u64 find_rsdp()
{
    if (!boot_info().rsdp.is_null())
        return boot_info().rsdp.value();
    // The BIOS area, on 16-byte boundaries.
    std::span<const u8> area = map(0xe0000, 0x20000);
    for (usize offset = 0; offset + 20 <= area.size(); offset += 16) {
        if (begins_with(area.subspan(offset), "RSD PTR ") && is_sound(area.subspan(offset, 20)))
            return 0xe0000 + offset;
    }
    return 0;
}

std::span<const u8> find_table(std::string_view signature)
{
    u64 rsdp_address = find_rsdp();
    if (rsdp_address == 0)
        return {};
    std::span<const u8> rsdp = map(rsdp_address, 36);
    if (!begins_with(rsdp, "RSD PTR ") || !is_sound(rsdp.first(20)))
        return {};
    bool extended = read<u8>(rsdp, 15) >= 2 && read<u64>(rsdp, 24) != 0;
    std::span<const u8> root = map_table(extended ? read<u64>(rsdp, 24) : read<u32>(rsdp, 16));
    usize entry_size = extended ? 8 : 4;
    for (usize offset = k_header_size; offset + entry_size <= root.size(); offset += entry_size) {
        u64 address = extended ? read<u64>(root, offset) : read<u32>(root, offset);
        std::span<const u8> table = map_table(address);
        if (begins_with(table, signature))
            return table;
    }
    return {};
}

void add_processor(u32 apic_id, u32 flags)
{
    // Enabled; those that could only be plugged in later are not.
    if ((flags & 1) != 0 && s_processor_count < k_max_cpus)
        s_processors[s_processor_count++] = apic_id;
}

void read_madt(std::span<const u8> table)
{
    for (usize offset = k_header_size + 8; offset + 2 <= table.size();) {
        std::span<const u8> entry = table.subspan(offset);
        usize length = entry[1];
        if (length < 2 || length > entry.size())
            return;
        if (entry[0] == 0)
            add_processor(read<u8>(entry, 3), read<u32>(entry, 4));
        else if (entry[0] == 9)
            add_processor(read<u32>(entry, 4), read<u32>(entry, 8));
        offset += length;
    }
}

} // namespace

std::span<const u32> acpi_processors()
{
    if (s_processor_count == 0) {
        read_madt(find_table("APIC"));
        if (s_processor_count == 0)
            s_processors[s_processor_count++] = static_cast<u32>(this_cpu().hardware_id);
    }
    return std::span(s_processors).first(s_processor_count);
}

std::span<const u8> acpi_table(std::string_view signature)
{
    if (signature != "DSDT")
        return find_table(signature);
    // ACPI 6.5, 5.2.9: the FADT names it, in 32 bits and perhaps in 64.
    std::span<const u8> description = find_table("FACP");
    u64 address = read<u64>(description, 140);
    return map_table(address != 0 ? address : read<u32>(description, 40));
}

} // namespace eremite::arch
