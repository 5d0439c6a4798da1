// The metadata of a disk's file system, block by block: what the library reads and writes goes through here. Changed
// blocks stay in memory until commit() writes them all, or (at power failure) none of them: through the journal if
// there is one, in place otherwise.
//
// Not locked: its owner, the file system, holds one lock around everything.
#pragma once

#include "base/intrusive.h"
#include "base/owned.h"
#include "base/vector.h"
#include "device/block_device.h"
#include "fs/ext/journal.h"

namespace eremite::ext {

class BlockCache {
public:
    /// `block_size` is a power of two between 1 KiB and a page. ENOMEM.
    static Result<OwnPtr<BlockCache>> create(BlockDevice& device, u32 block_size);
    ~BlockCache();
    BlockCache(const BlockCache&) = delete;

    BlockDevice& device() { return m_device; }
    u32 block_size() const { return m_block_size; }

    /// Bytes of the disk, as they will be after the next commit. EIO, ENOMEM.
    Result<> read(u64 offset, std::span<u8> bytes);
    /// Kept in memory until commit(). EIO (where a part of a block must be read first), ENOMEM, EROFS.
    Result<> write(u64 offset, std::span<const u8> bytes);
    /// The blocks are no metadata any more: what was to be written to them is not.
    void forget(u64 block, u64 count);
    /// Blocks [block, block + count) of data, to or from memory in place, past the cache: `parts` are whole blocks.
    Result<> read_data(u64 block, std::span<const std::span<u8>> parts);
    Result<> write_data(u64 block, std::span<const std::span<u8>> parts);

    /// From now on commit() goes through it.
    void set_journal(OwnPtr<Journal> journal) { m_journal = std::move(journal); }
    Journal* journal() { return m_journal.get(); }
    /// Blocks that the next commit() has to write.
    usize dirty_count() const { return m_dirty_count; }
    /// As many as one commit should have at most, so that the journal holds them.
    usize largest_commit() const { return m_journal ? m_journal->capacity() : 4096; }
    /// All that was written before reaches stable storage, in one piece if there is a journal. Blocks in `late` go
    /// after the others, where there is none. EIO: nothing may be written any more.
    Result<> commit(std::span<const u64> late = {});
    /// Throws away all that was not committed.
    void discard();

private:
    struct Block {
        TreeHook hook;
        ListHook recent;
        u64 number { 0 };
        bool dirty { false };
        std::span<u8> bytes;
    };
    struct NumberOf {
        using type = u64;
        type operator()(const Block& block) const { return block.number; }
    };

    BlockCache(BlockDevice& device, u32 block_size)
        : m_device(device)
        , m_block_size(block_size)
    {
    }
    template<typename T, typename... Arguments> friend Result<OwnPtr<T>> eremite::make(Arguments&&...);
    u64 sector_of(u64 block) const { return block * (m_block_size / BlockDevice::k_sector_size); }
    Result<Block*> find(u64 number, bool will_be_replaced);
    void release(Block& block);
    void shrink();
    Result<> write_in_place(std::span<Block* const> blocks);

    BlockDevice& m_device;
    u32 m_block_size;
    OwnPtr<Journal> m_journal;
    Tree<Block, &Block::hook, NumberOf> m_blocks;
    List<Block, &Block::recent> m_recent; // clean ones, the longest unused first
    usize m_count { 0 };
    usize m_dirty_count { 0 };
    Vector<u64> m_checkpointed; // sorted: blocks of the last transaction, which the journal might replay until a flush
    bool m_flush_before_reuse { false };
};

} // namespace eremite::ext
