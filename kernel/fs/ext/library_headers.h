// The library's own headers, and what the files of Library share. Only those include it.
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <time.h>

extern "C" {
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#pragma clang diagnostic ignored "-Wunsafe-buffer-usage"
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
errcode_t ext2fs_run_ext3_journal(ext2_filsys* fs);
#pragma clang diagnostic pop
}

#include "fs/ext/library.h"

namespace eremite::ext {

/// The library's calls take either size of inode under the name of the smaller one.
inline ext2_inode* small(ext2_inode_large& inode)
{
    return reinterpret_cast<ext2_inode*>(&inode);
}

/// The library's way to the disk: a channel whose blocks are the cache's. Of the file system that is being opened; one
/// is at a time.
struct_io_manager* channel_to(BlockCache& cache);

} // namespace eremite::ext
