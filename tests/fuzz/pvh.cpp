// The PVH start information: the input is physical memory from 4096 on, with the structure at its start.
#include "boot/pvh.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace eremite;
    if (size == 0)
        return 0;
    static BootInfo info;
    info = {};
    if (!parse_pvh({ 4096, { data, size } }, 4096, info).empty())
        return 0;
    u64 sum = 0;
    for (char c : info.command_line)
        sum += static_cast<u8>(c);
    for (const MemoryRange& range : info.memory()) {
        if (range.range.end() < range.range.start)
            std::abort();
    }
    return sum == 1 && info.range_count == 0;
}
