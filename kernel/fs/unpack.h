// Fills a file system in memory from an archive.
#pragma once

#include "fs/ramfs.h"

namespace eremite {

struct UnpackResult {
    u32 files { 0 };
    u32 skipped { 0 }; // entries that were refused, each logged
    const char* error { nullptr }; // the archive is corrupt: what, and where; what came before is there
    u64 offset { 0 };
};

/// Unpacks into `root`. Files' data stay where they are, so `archive` must live for ever. Names are confined to the
/// tree: a leading slash is ignored, an entry with ".." is refused, and links are never followed on the way. ENOMEM.
Result<UnpackResult> unpack_archive(std::span<const u8> archive, RamFileSystem& file_system, RamDirectory& root);

} // namespace eremite
