// tar and cpio: whatever the archive says, unpacking ends, stays in its bounds, and the tree can be taken down again.
#include "base/log.h"
#include "fs/unpack.h"
#include "machine.h"

using namespace eremite;

/// Page caches want frames.
[[maybe_unused]] static const HostMachine& s_machine = host_machine();

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size)
{
    set_log_level(LogLevel::Error);
    auto file_system = RamFileSystem::create("fuzz", 16_MiB).release_value();
    auto root = file_system->root().release_value();
    static_cast<void>(unpack_archive({ data, size }, *file_system, static_cast<RamDirectory&>(*root)));
    root = nullptr;
    file_system->unmounted();
    return 0;
}
