#include "fs/ext/journal.h"

#include "base/log.h"
#include "sched/clock.h"

#include <algorithm>

namespace eremite::ext {

namespace {

// JBD2's on-disk format: numbers are big-endian (Linux, Documentation/filesystems/ext4/journal.rst).
constexpr u32 k_magic = 0xc03b3998;
constexpr u32 k_descriptor = 1;
constexpr u32 k_commit = 2;
constexpr u32 k_superblock_1 = 3;
constexpr u32 k_superblock_2 = 4;
constexpr usize k_header_size = 12;

// Where things are in the superblock.
constexpr usize k_at_block_size = 12;
constexpr usize k_at_length = 16;
constexpr usize k_at_first = 20;
constexpr usize k_at_sequence = 24;
constexpr usize k_at_start = 28;
constexpr usize k_at_compatible = 36;
constexpr usize k_at_incompatible = 40;
constexpr usize k_at_users = 64;
constexpr usize k_at_checksum_type = 0x50;
constexpr usize k_at_checksum = 0xfc;

constexpr u32 k_incompatible_64_bit = 2;

// Flags of a descriptor's tag.
constexpr u16 k_tag_escaped = 1;
constexpr u16 k_tag_same_uuid = 2;
constexpr u16 k_tag_last = 8;
constexpr usize k_uuid_size = 16;

void put16(std::span<u8> at, u16 value)
{
    at[0] = static_cast<u8>(value >> 8);
    at[1] = static_cast<u8>(value);
}
void put32(std::span<u8> at, u32 value)
{
    put16(at, static_cast<u16>(value >> 16));
    put16(at.subspan(2), static_cast<u16>(value));
}
u32 get32(std::span<const u8> at)
{
    return u32 { at[0] } << 24 | u32 { at[1] } << 16 | u32 { at[2] } << 8 | at[3];
}

void put_header(std::span<u8> block, u32 type, u32 sequence)
{
    std::ranges::fill(block, u8 { 0 });
    put32(block, k_magic);
    put32(block.subspan(4), type);
    put32(block.subspan(8), sequence);
}

} // namespace

Result<OwnPtr<Journal>> Journal::create(BlockDevice& device, u32 block_size, Vector<Piece> pieces, bool large_numbers)
{
    OwnPtr<Journal> journal = TRY(make<Journal>(device, block_size));
    journal->m_pieces = std::move(pieces);
    TRY(journal->m_superblock.try_resize(block_size));
    TRY(journal->m_scratch.try_resize(block_size));
    TRY(journal->m_escaped.try_resize(block_size));
    TRY(journal->read_superblock(large_numbers));
    return journal;
}

Result<> Journal::read_superblock(bool large_numbers)
{
    const u64 place = TRY(place_of(0));
    const std::span<u8> block = m_superblock.span();
    TRY(m_device.read(place * (m_block_size / BlockDevice::k_sector_size), block));
    const u32 type = get32(block.subspan(4));
    u64 there = 0;
    for (const Piece& piece : m_pieces)
        there += piece.count;
    m_length = get32(block.subspan(k_at_length));
    m_first = get32(block.subspan(k_at_first));
    if (get32(block) != k_magic || (type != k_superblock_1 && type != k_superblock_2)
        || get32(block.subspan(k_at_block_size)) != m_block_size || m_length > there || m_first == 0
        || m_length < m_first + 16 || get32(block.subspan(k_at_start)) != 0
        || (type == k_superblock_2 && get32(block.subspan(k_at_users)) > 1)
        || (type == k_superblock_1 && large_numbers)) {
        log_error("ext: the journal is damaged, or of a kind that is not supported");
        return Errno::EINVAL;
    }
    m_sequence = get32(block.subspan(k_at_sequence));
    m_next = m_first;
    if (type == k_superblock_2) {
        // It is empty, so how the next transactions look is ours to say: without checksums, as flushes order them.
        put32(block.subspan(k_at_compatible), 0);
        put32(block.subspan(k_at_incompatible), large_numbers ? k_incompatible_64_bit : 0);
        block[k_at_checksum_type] = 0;
        put32(block.subspan(k_at_checksum), 0);
    }
    m_tag_size = large_numbers ? 12 : 8;
    // Descriptors take a block for every so many, and one transaction must not run into itself.
    m_capacity = (m_length - m_first) * 3 / 4 - 2;
    return {};
}

Result<u64> Journal::place_of(u32 index) const
{
    u64 left = index;
    for (const Piece& piece : m_pieces) {
        if (left < piece.count)
            return piece.first + left;
        left -= piece.count;
    }
    return Errno::EIO;
}

Result<> Journal::write_superblock(u32 start)
{
    put32(m_superblock.span().subspan(k_at_start), start);
    put32(m_superblock.span().subspan(k_at_sequence), m_sequence);
    const u64 place = TRY(place_of(0));
    return m_device.write(place * (m_block_size / BlockDevice::k_sector_size), m_superblock.span());
}

/// One block to the end of the log.
Result<> Journal::put(std::span<u8> bytes)
{
    const u64 place = TRY(place_of(m_next));
    m_next = m_next + 1 < m_length ? m_next + 1 : m_first;
    return m_device.write(place * (m_block_size / BlockDevice::k_sector_size), bytes);
}

Result<> Journal::put_descriptor(std::span<const Entry> entries)
{
    const std::span<u8> block = m_scratch.span();
    put_header(block, k_descriptor, m_sequence);
    usize at = k_header_size;
    for (usize i = 0; i < entries.size(); ++i) {
        u16 flags = i == 0 ? 0 : k_tag_same_uuid;
        if (get32(entries[i].bytes) == k_magic)
            flags |= k_tag_escaped;
        if (i + 1 == entries.size())
            flags |= k_tag_last;
        put32(block.subspan(at), static_cast<u32>(entries[i].block));
        put16(block.subspan(at + 6), flags);
        if (m_tag_size == 12)
            put32(block.subspan(at + 8), static_cast<u32>(entries[i].block >> 32));
        at += m_tag_size;
        if (i == 0)
            at += k_uuid_size; // of all zeroes: nobody looks at it in a journal inside its file system
    }
    return put(block);
}

Result<> Journal::write(std::span<const Entry> entries)
{
    const usize tags = (m_block_size - k_header_size - k_uuid_size) / m_tag_size;
    if (entries.size() > m_capacity || entries.size() + entries.size() / tags + 2 > m_length - m_first)
        return Errno::E2BIG;
    const u32 start = m_next;
    while (!entries.empty()) {
        const auto group = entries.first(std::min(entries.size(), tags));
        TRY(put_descriptor(group));
        for (const Entry& entry : group) {
            // A block that begins as the journal's own do would confuse who replays it.
            if (get32(entry.bytes) != k_magic) {
                TRY(put(entry.bytes));
                continue;
            }
            std::ranges::copy(entry.bytes, m_escaped.begin());
            put32(m_escaped.span(), 0);
            TRY(put(m_escaped.span()));
        }
        entries = entries.subspan(group.size());
    }
    TRY(write_superblock(start));
    // All of it is there before the block that makes it count.
    TRY(m_device.flush());
    const std::span<u8> commit = m_scratch.span();
    put_header(commit, k_commit, m_sequence);
    const u64 now = static_cast<u64>(realtime_now().value());
    put32(commit.subspan(48), static_cast<u32>(now / 1'000'000'000 >> 32));
    put32(commit.subspan(52), static_cast<u32>(now / 1'000'000'000));
    put32(commit.subspan(56), static_cast<u32>(now % 1'000'000'000));
    TRY(put(commit));
    return m_device.flush();
}

Result<> Journal::clear()
{
    ++m_sequence;
    return write_superblock(0);
}

} // namespace eremite::ext
