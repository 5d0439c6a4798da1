// The separate loader: started like an image, by PVH, with an application's ELF file as its initrd. It checks the file,
// puts its segments where they belong, and enters the application's kernel, which goes on as if it had been started
// directly: it chooses its base and relocates itself. Runs at physical addresses, the first GiB mapped one to one.
#include "arch/platform.h"
#include "base/assert.h"
#include "base/format.h"
#include "boot/boot_info.h"
#include "boot/elf.h"
#include "boot/pvh.h"

#include <array>

extern "C" {
eremite::u64 __eremite_early_start(eremite::u64 start_info, eremite::u64 load_address);
[[noreturn]] void __eremite_early_main();
[[noreturn]] void __eremite_check_failed();
[[noreturn]] void __eremite_libcxx_assert(const char* message);
extern const char __eremite_image_start[], __eremite_image_end[];
}

namespace eremite {

namespace {

constexpr u64 k_readable = 1_GiB;
constexpr int k_failure = 1;

class EarlySink final : public TextSink {
public:
    void write(std::string_view text) override { arch::early_console_write(text); }
};

template<typename... Arguments> [[noreturn]] void fail(std::string_view pattern, const Arguments&... arguments)
{
    EarlySink sink;
    sink.write("eremite-loader: error: ");
    format_to(sink, pattern, arguments...);
    sink.write("\n");
    arch::power_off(k_failure);
}

std::span<u8> physical(u64 address, u64 length)
{
    return { reinterpret_cast<u8*>(address), length };
}

constexpr bool overlap(u64 start, u64 end, u64 other_start, u64 other_end)
{
    return start < other_end && other_start < end;
}

/// The segments' place must be memory, and nothing that is still needed.
void check_place(const ElfImage& image, const BootInfo& info)
{
    if (image.physical_end > k_readable)
        fail("the application wants memory beyond the first GiB");
    bool usable = false;
    for (const MemoryRange& range : info.memory())
        usable = usable
            || (range.kind == MemoryKind::Usable && range.range.start.value() <= image.physical_start
                && range.range.end().value() >= image.physical_end);
    if (!usable)
        fail("too little memory: the application takes {} KiB at {}, which the memory map doesn't list",
            (image.physical_end - image.physical_start) / 1_KiB, PhysicalAddress(image.physical_start));
    if (overlap(image.physical_start, image.physical_end, info.initrd.start.value(), info.initrd.end().value()))
        fail("too little memory: the application and the file that it comes from don't fit side by side");
    if (overlap(image.physical_start, image.physical_end, reinterpret_cast<u64>(__eremite_image_start),
            reinterpret_cast<u64>(__eremite_image_end)))
        fail("the application wants to be where the loader is");
}

void load(std::span<const u8> file, const ElfImage& image)
{
    for (const ElfSegment& segment : image.segments()) {
        std::span<u8> target = physical(segment.physical, segment.memory_size);
        __builtin_memcpy(target.data(), file.subspan(segment.file_offset, segment.file_size).data(), segment.file_size);
        std::span<u8> rest = target.subspan(segment.file_size);
        __builtin_memset(rest.data(), 0, rest.size());
    }
}

/// What follows the ELF file is the application's initrd.
void pass_rest(u64 start_info, const BootInfo& info, const ElfImage& image)
{
    struct Module {
        u64 address, size, command_line, reserved;
    };
    static constinit Module s_module {};
    u64 start = align_up(image.file_end, k_page_size);
    u64 size = start < info.initrd.length ? info.initrd.length - start : 0;
    s_module.address = info.initrd.start.value() + start;
    s_module.size = size;
    // hvm_start_info: u32 at 12, the number of modules; u64 at 16, their list.
    u32 count = size == 0 ? 0 : 1;
    auto list = reinterpret_cast<u64>(&s_module);
    __builtin_memcpy(physical(start_info + 12, sizeof(count)).data(), &count, sizeof(count));
    __builtin_memcpy(physical(start_info + 16, sizeof(list)).data(), &list, sizeof(list));
}

[[noreturn]] void run(u64 start_info)
{
    constexpr u64 first = 16;
    static constinit BootInfo s_info;
    PhysicalWindow window { first, physical(first, k_readable - first) };
    std::string_view problem = parse_pvh(window, start_info, s_info);
    if (!problem.empty())
        fail("{}", problem);
    if (s_info.initrd.length == 0)
        fail("there is no application: give its ELF file as the initrd (QEMU: -initrd FILE)");
    std::span<const u8> file = window.at(s_info.initrd.start.value(), s_info.initrd.length);
    if (file.empty())
        fail("the application's file lies beyond the first GiB");
    ElfImage image;
    problem = parse_elf(file, k_elf_x86_64, image);
    if (!problem.empty())
        fail("{}", problem);
    check_place(image, s_info);
    load(file, image);
    pass_rest(start_info, s_info, image);
    asm volatile("mov %0, %%rdi; jmp *%1" : : "r"(start_info), "r"(image.entry) : "rdi", "memory");
    __builtin_unreachable();
}

} // namespace

void panic(const char* message, const char*, int)
{
    fail("{}", message);
}

} // namespace eremite

eremite::u64 __eremite_early_start(eremite::u64 start_info, eremite::u64)
{
    eremite::run(start_info);
}

void __eremite_early_main()
{
    eremite::panic("unreachable");
}

void __eremite_assertion_failed()
{
    eremite::panic("an assertion failed");
}

void __eremite_check_failed()
{
    eremite::panic("a bounds check failed");
}

void __eremite_libcxx_assert(const char* message)
{
    eremite::panic(message);
}
