// The loader on x86_64: started by PVH, with the first GiB mapped one to one. An image's place is fixed.
#include "../loader.h"

#include "base/format.h"
#include "boot/pvh.h"

extern "C" {
eremite::u64 __eremite_early_start(eremite::u64 start_info, eremite::u64 load_address);
extern const char __eremite_image_start[], __eremite_image_end[];
}

namespace eremite {

const u16 k_loader_machine = k_elf_x86_64;

namespace {

/// QEMU puts its tables into the first page, and a span can't begin at null.
constexpr u64 k_first_readable = 16;
constexpr u64 k_end_of_readable = 1_GiB;

} // namespace

void read_machine(u64 start_info, BootInfo& info)
{
    PhysicalWindow window { k_first_readable, physical_memory(k_first_readable, k_end_of_readable - k_first_readable) };
    std::string_view problem = parse_pvh(window, start_info, info);
    if (!problem.empty())
        fail(problem);
}

std::span<u8> physical_memory(u64 address, u64 length)
{
    if (address < k_first_readable || address >= k_end_of_readable || length > k_end_of_readable - address)
        return {};
    return { reinterpret_cast<u8*>(address), length };
}

u64 choose_place(const ElfImage& image, const BootInfo& info)
{
    u64 start = image.physical_start;
    u64 end = image.physical_end;
    bool usable = false;
    for (const MemoryRange& range : info.memory())
        usable = usable
            || (range.kind == MemoryKind::Usable && range.range.start.value() <= start
                && range.range.end().value() >= end);
    if (!usable)
        fail("too little memory: the memory map doesn't list what the application takes");
    if (overlap(start, end, info.initrd.start.value(), info.initrd.end().value()))
        fail("too little memory: the application and the file that it comes from don't fit side by side");
    if (overlap(start, end, reinterpret_cast<u64>(__eremite_image_start), reinterpret_cast<u64>(__eremite_image_end)))
        fail("the application wants to be where the loader is");
    return start;
}

void pass_initrd(u64 start_info, PhysicalRange initrd)
{
    struct Module {
        u64 address, size, command_line, reserved;
    };
    static constinit Module s_module {};
    s_module.address = initrd.start.value();
    s_module.size = initrd.length;
    // hvm_start_info: u32 at 12, the number of modules; u64 at 16, their list.
    u32 count = initrd.length == 0 ? 0 : 1;
    auto list = reinterpret_cast<u64>(&s_module);
    __builtin_memcpy(physical_memory(start_info + 12, sizeof(count)).data(), &count, sizeof(count));
    __builtin_memcpy(physical_memory(start_info + 16, sizeof(list)).data(), &list, sizeof(list));
}

void enter(u64 start_info, u64 entry, PhysicalRange)
{
    asm volatile("mov %0, %%rdi; jmp *%1" : : "r"(start_info), "r"(entry) : "rdi", "memory");
    __builtin_unreachable();
}

} // namespace eremite

eremite::u64 __eremite_early_start(eremite::u64 start_info, eremite::u64)
{
    eremite::run_loader(start_info);
}
