#include "fs/ext/block_cache.h"

#include <algorithm>
#include <array>

namespace eremite::ext {

namespace {

/// Clean blocks that are kept beyond their use.
constexpr usize k_most_clean = 1024;

} // namespace

Result<OwnPtr<BlockCache>> BlockCache::create(BlockDevice& device, u32 block_size)
{
    return make<BlockCache>(device, block_size);
}

BlockCache::~BlockCache()
{
    while (!m_blocks.empty())
        release(*m_blocks.begin());
}

void BlockCache::release(Block& block)
{
    if (block.recent.is_linked())
        m_recent.erase(m_recent.iterator_to(block));
    if (block.dirty)
        --m_dirty_count;
    m_blocks.erase(m_blocks.iterator_to(block));
    --m_count;
    kfree(block.bytes.data(), m_block_size);
    static_cast<void>(OwnPtr<Block>::adopt(&block));
}

void BlockCache::shrink()
{
    while (m_count > m_dirty_count + k_most_clean && !m_recent.empty())
        release(m_recent.front());
}

Result<BlockCache::Block*> BlockCache::find(u64 number, bool will_be_replaced)
{
    if (auto at = m_blocks.find(number); at != m_blocks.end()) {
        if (at->recent.is_linked()) {
            m_recent.erase(m_recent.iterator_to(*at));
            m_recent.push_back(*at);
        }
        return &*at;
    }
    shrink();
    OwnPtr<Block> block = TRY(make<Block>());
    void* memory = kmalloc(m_block_size);
    if (!memory)
        return Errno::ENOMEM;
    block->number = number;
    block->bytes = { static_cast<u8*>(memory), m_block_size };
    if (!will_be_replaced) {
        if (auto result = m_device.read(sector_of(number), block->bytes); result.is_error()) {
            kfree(memory, m_block_size);
            return result.error();
        }
    }
    Block* kept = block.leak();
    m_blocks.insert(*kept);
    m_recent.push_back(*kept);
    ++m_count;
    return kept;
}

Result<> BlockCache::read(u64 offset, std::span<u8> bytes)
{
    while (!bytes.empty()) {
        const usize start = offset % m_block_size;
        const usize length = std::min<usize>(bytes.size(), m_block_size - start);
        Block* block = TRY(find(offset / m_block_size, false));
        std::ranges::copy(block->bytes.subspan(start, length), bytes.begin());
        offset += length;
        bytes = bytes.subspan(length);
    }
    return {};
}

Result<> BlockCache::write(u64 offset, std::span<const u8> bytes)
{
    while (!bytes.empty()) {
        const usize start = offset % m_block_size;
        const usize length = std::min<usize>(bytes.size(), m_block_size - start);
        const bool is_known = m_blocks.find(offset / m_block_size) != m_blocks.end();
        Block* block = TRY(find(offset / m_block_size, length == m_block_size));
        const std::span<u8> target = block->bytes.subspan(start, length);
        // The library writes much that is as it was: that needn't go to the disk.
        if ((is_known || length != m_block_size) && std::ranges::equal(target, bytes.first(length))) {
            offset += length;
            bytes = bytes.subspan(length);
            continue;
        }
        std::ranges::copy(bytes.first(length), target.begin());
        if (!block->dirty) {
            block->dirty = true;
            ++m_dirty_count;
            m_recent.erase(m_recent.iterator_to(*block));
        }
        offset += length;
        bytes = bytes.subspan(length);
    }
    return {};
}

void BlockCache::forget(u64 block, u64 count)
{
    auto at = m_blocks.lower_bound(block);
    while (at != m_blocks.end() && at->number - block < count)
        release(*at++);
}

Result<> BlockCache::read_data(u64 block, std::span<const std::span<u8>> parts)
{
    TRY(m_device.read_parts(sector_of(block), parts));
    // A block that the library has cleared is newer here.
    auto at = m_blocks.lower_bound(block);
    u64 number = block;
    for (std::span<u8> part : parts) {
        for (; !part.empty(); part = part.subspan(m_block_size), ++number) {
            while (at != m_blocks.end() && at->number < number)
                ++at;
            if (at == m_blocks.end())
                return {};
            if (at->number == number && at->dirty)
                std::ranges::copy(at->bytes, part.begin());
        }
    }
    return {};
}

Result<> BlockCache::write_data(u64 block, std::span<const std::span<u8>> parts)
{
    u64 count = 0;
    for (std::span<u8> part : parts)
        count += part.size() / m_block_size;
    if (m_flush_before_reuse) {
        // Blocks that were metadata in the last transaction: were it replayed after this, they would be so again.
        auto at = std::ranges::lower_bound(m_checkpointed, block);
        if (at != m_checkpointed.end() && *at - block < count) {
            TRY(m_device.flush());
            m_flush_before_reuse = false;
        }
    }
    forget(block, count);
    return m_device.write_parts(sector_of(block), parts);
}

Result<> BlockCache::write_in_place(std::span<Block* const> blocks)
{
    std::array<std::span<u8>, BlockDevice::k_max_parts> parts;
    while (!blocks.empty()) {
        usize count = 0;
        while (
            count < std::min(blocks.size(), parts.size()) && blocks[count]->number == blocks.front()->number + count) {
            parts[count] = blocks[count]->bytes;
            ++count;
        }
        TRY(m_device.write_parts(sector_of(blocks.front()->number), std::span(parts).first(count)));
        blocks = blocks.subspan(count);
    }
    return {};
}

Result<> BlockCache::commit(std::span<const u64> late)
{
    if (m_dirty_count == 0)
        return m_device.flush();
    Vector<Block*> blocks;
    Vector<Block*> last;
    TRY(blocks.try_reserve(m_dirty_count));
    for (Block& block : m_blocks) {
        if (block.dirty)
            TRY((!m_journal && std::ranges::find(late, block.number) != late.end() ? last : blocks).try_append(&block));
    }
    if (m_journal) {
        Vector<Journal::Entry> entries;
        TRY(entries.try_reserve(blocks.size()));
        for (Block* block : blocks)
            TRY(entries.try_append({ block->number, block->bytes }));
        TRY(m_checkpointed.try_reserve(blocks.size()));
        TRY(m_journal->write(entries.span()));
    }
    TRY(write_in_place(blocks.span()));
    TRY(m_device.flush());
    if (!last.is_empty()) {
        TRY(write_in_place(last.span()));
        TRY(m_device.flush());
    }
    if (m_journal) {
        TRY(m_journal->clear());
        m_flush_before_reuse = true;
        m_checkpointed.clear();
    }
    for (Vector<Block*>* list : { &blocks, &last }) {
        for (Block* block : *list) {
            block->dirty = false;
            --m_dirty_count;
            m_recent.push_back(*block);
            if (m_journal)
                TRY(m_checkpointed.try_append(block->number));
        }
    }
    shrink();
    return {};
}

void BlockCache::discard()
{
    while (!m_blocks.empty())
        release(*m_blocks.begin());
}

} // namespace eremite::ext
