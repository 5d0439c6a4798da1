// The loader's reader of application files: what it accepts must lie inside of the file, and must not overlap.
#include "boot/elf.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace eremite;
    ElfImage image;
    if (!parse_elf({ data, size }, k_elf_x86_64, image).empty())
        return 0;
    if (image.segments().empty() || image.file_end > size)
        std::abort();
    for (const ElfSegment& segment : image.segments()) {
        if (segment.file_offset > size || size - segment.file_offset < segment.file_size
            || segment.file_size > segment.memory_size || segment.physical < image.physical_start
            || segment.physical + segment.memory_size > image.physical_end)
            std::abort();
    }
    return 0;
}
