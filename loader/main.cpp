// The separate loader: started as an image is, with an application's ELF file as its initrd. It checks the file, puts
// its segments where they belong, and enters the application's kernel, which goes on as if it had been started
// directly: it chooses its base and relocates itself. Runs at physical addresses.
#include "loader.h"

#include "arch/platform.h"
#include "base/assert.h"

#include <array>

extern "C" {
[[noreturn]] void __eremite_early_main();
[[noreturn]] void __eremite_check_failed();
[[noreturn]] void __eremite_libcxx_assert(const char* message);
}

namespace eremite {

namespace {

constexpr int k_failure = 1;

void load(std::span<const u8> file, const ElfImage& image, u64 place)
{
    for (const ElfSegment& segment : image.segments()) {
        std::span<u8> target = physical_memory(place + (segment.physical - image.physical_start), segment.memory_size);
        if (target.empty())
            fail("the application wants memory that the loader cannot reach");
        __builtin_memcpy(target.data(), file.subspan(segment.file_offset, segment.file_size).data(), segment.file_size);
        std::span<u8> rest = target.subspan(segment.file_size);
        __builtin_memset(rest.data(), 0, rest.size());
    }
}

/// What follows the ELF file is the application's initrd.
PhysicalRange rest_of(PhysicalRange file, const ElfImage& image)
{
    u64 start = align_up(image.file_end, k_page_size);
    if (start >= file.length)
        return {};
    return { file.start + start, file.length - start };
}

} // namespace

void fail(std::string_view message)
{
    arch::early_console_write("eremite-loader: error: ");
    arch::early_console_write(message);
    arch::early_console_write("\n");
    arch::power_off(k_failure);
}

void run_loader(u64 start)
{
    static constinit BootInfo s_info;
    read_machine(start, s_info);
    PhysicalRange initrd = s_info.initrd;
    if (initrd.length == 0)
        fail("there is no application: give its ELF file as the initrd (QEMU: -initrd FILE)");
    std::span<const u8> file = physical_memory(initrd.start.value(), initrd.length);
    if (file.empty())
        fail("the application's file lies where the loader cannot reach");
    static constinit ElfImage s_image;
    std::string_view problem = parse_elf(file, k_loader_machine, s_image);
    if (!problem.empty())
        fail(problem);
    u64 place = choose_place(s_image, s_info);
    load(file, s_image, place);
    pass_initrd(start, rest_of(initrd, s_image));
    enter(start, place + (s_image.entry - s_image.physical_start),
        { PhysicalAddress(place), s_image.physical_end - s_image.physical_start });
}

void panic(const char* message, const char*, int)
{
    fail(message);
}

} // namespace eremite

void __eremite_early_main()
{
    eremite::fail("unreachable");
}

void __eremite_assertion_failed()
{
    eremite::fail("an assertion failed");
}

void __eremite_check_failed()
{
    eremite::fail("a bounds check failed");
}

void __eremite_libcxx_assert(const char* message)
{
    eremite::fail(message);
}
