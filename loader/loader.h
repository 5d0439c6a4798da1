// What the loader's two parts promise each other: main.cpp, which is the same everywhere, and arch/ARCH.cpp.
#pragma once

#include "boot/boot_info.h"
#include "boot/elf.h"

namespace eremite {

/// Says what is wrong on the serial port, and ends the machine with status 1.
[[noreturn]] void fail(std::string_view message);

/// By main.cpp. Takes the application's ELF file from the initrd, checks it, puts it where it belongs, and enters it.
/// `start`: what the boot protocol passes to a kernel.
[[noreturn]] void run_loader(u64 start);

// By arch/ARCH.cpp:

/// The machine that applications must be for, as ELF names it.
extern const u16 k_loader_machine;
/// Reads what the boot protocol brought. Ends the machine if that is not to be understood.
void read_machine(u64 start, BootInfo& info);
/// The part [address, address + length) of physical memory, or an empty span where we can't see it.
std::span<u8> physical_memory(u64 address, u64 length);
/// Where the application's lowest byte goes: clear of ourselves, of the file and of what the boot protocol brought, in
/// memory. Ends the machine if there is no room.
u64 choose_place(const ElfImage& image, const BootInfo& info);
/// Tells the application where its initrd is; length 0: it has none.
void pass_initrd(u64 start, PhysicalRange initrd);
/// Continues at `entry` of the application that lies in `place`, as if the boot protocol had started it.
[[noreturn]] void enter(u64 start, u64 entry, PhysicalRange place);

constexpr bool overlap(u64 start, u64 end, u64 other_start, u64 other_end)
{
    return start < other_end && other_start < end;
}

} // namespace eremite
