// The library's input and output.
#include "fs/ext/library_headers.h"

namespace eremite::ext {

namespace {

/// Only one file system is opened, and calls the cache, at a time: the library hands its channels no pointer of ours
/// through open().
constinit BlockCache* s_opening = nullptr;

BlockCache& cache_of(io_channel channel)
{
    return *static_cast<BlockCache*>(channel->private_data);
}

errcode_t code_of(Result<> result)
{
    return result.is_error() ? static_cast<errcode_t>(result.error()) : 0;
}

errcode_t open_channel(const char* name, int, io_channel* channel)
{
    static_cast<void>(name);
    void* memory = nullptr;
    if (errcode_t code = ext2fs_get_memzero(sizeof(struct_io_channel), static_cast<void*>(&memory)))
        return code;
    auto* made = static_cast<io_channel>(memory);
    made->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    made->private_data = s_opening;
    made->block_size = 1024;
    made->refcount = 1;
    made->manager = channel_to(*s_opening);
    *channel = made;
    return 0;
}

errcode_t close_channel(io_channel channel)
{
    if (--channel->refcount == 0) {
        void* memory = channel;
        ext2fs_free_mem(static_cast<void*>(&memory));
    }
    return 0;
}

errcode_t set_block_size(io_channel channel, int size)
{
    channel->block_size = size;
    return 0;
}

/// A negative count is one of bytes.
usize bytes_of(io_channel channel, int count)
{
    return count < 0 ? static_cast<usize>(-static_cast<i64>(count))
                     : static_cast<usize>(count) * static_cast<usize>(channel->block_size);
}

errcode_t read_blocks(io_channel channel, unsigned long long block, int count, void* data)
{
    return code_of(cache_of(channel).read(
        block * static_cast<u32>(channel->block_size), std::span(static_cast<u8*>(data), bytes_of(channel, count))));
}

errcode_t write_blocks(io_channel channel, unsigned long long block, int count, const void* data)
{
    return code_of(cache_of(channel).write(block * static_cast<u32>(channel->block_size),
        std::span(static_cast<const u8*>(data), bytes_of(channel, count))));
}

errcode_t read_blocks_short(io_channel channel, unsigned long block, int count, void* data)
{
    return read_blocks(channel, block, count, data);
}

errcode_t write_blocks_short(io_channel channel, unsigned long block, int count, const void* data)
{
    return write_blocks(channel, block, count, data);
}

errcode_t write_bytes(io_channel channel, unsigned long offset, int count, const void* data)
{
    return code_of(cache_of(channel).write(offset, std::span(static_cast<const u8*>(data), static_cast<usize>(count))));
}

/// commit() is ours to call.
errcode_t flush_channel(io_channel)
{
    return 0;
}

constinit struct_io_manager s_manager {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "eremite",
    .open = open_channel,
    .close = close_channel,
    .set_blksize = set_block_size,
    .read_blk = read_blocks_short,
    .write_blk = write_blocks_short,
    .flush = flush_channel,
    .write_byte = write_bytes,
    .set_option = nullptr,
    .get_stats = nullptr,
    .read_blk64 = read_blocks,
    .write_blk64 = write_blocks,
    .discard = nullptr,
    .cache_readahead = nullptr,
    .zeroout = nullptr,
    .reserved = {},
};

} // namespace

struct_io_manager* channel_to(BlockCache& cache)
{
    s_opening = &cache;
    return &s_manager;
}

} // namespace eremite::ext
