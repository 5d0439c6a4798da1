// The journal of ext3 and ext4 (JBD2's format), written one transaction at a time: a transaction's blocks go to the
// journal, and once they are there for good, to their places. Replaying one after a crash is the library's work, or
// Linux's, or e2fsck's: what is written here is what they read.
#pragma once

#include "base/owned.h"
#include "base/vector.h"
#include "device/block_device.h"

namespace eremite::ext {

class Journal {
public:
    /// A piece of the journal's file: blocks [first, first + count) of the disk.
    struct Piece {
        u64 first { 0 };
        u64 count { 0 };
    };

    /// `pieces` in order hold the whole file, whose first block is the journal's superblock. The journal is empty: it
    /// was replayed. EINVAL: it is not one that we can write to; ENOMEM, EIO.
    static Result<OwnPtr<Journal>> create(
        BlockDevice& device, u32 block_size, Vector<Piece> pieces, bool large_numbers);

    /// As many blocks as a transaction may have.
    usize capacity() const { return m_capacity; }
    /// A block and where it belongs.
    struct Entry {
        u64 block;
        std::span<u8> bytes;
    };
    /// When it returns, the transaction is on stable storage, and a crash from now on has it replayed. EIO.
    Result<> write(std::span<const Entry> entries);
    /// Everything of the last transaction is in its place, and flushed: forget it.
    Result<> clear();

private:
    Journal(BlockDevice& device, u32 block_size)
        : m_device(device)
        , m_block_size(block_size)
    {
    }
    template<typename T, typename... Arguments> friend Result<OwnPtr<T>> eremite::make(Arguments&&...);

    Result<> read_superblock(bool large_numbers);
    Result<> write_superblock(u32 start);
    Result<u64> place_of(u32 index) const;
    Result<> put(std::span<u8> bytes);
    Result<> put_descriptor(std::span<const Entry> entries);

    BlockDevice& m_device;
    u32 m_block_size;
    Vector<Piece> m_pieces;
    Vector<u8> m_superblock;
    Vector<u8> m_scratch; // descriptor and commit blocks
    Vector<u8> m_escaped;
    u32 m_length { 0 };
    u32 m_first { 0 };
    u32 m_next { 0 }; // where the next block of the log goes
    u32 m_sequence { 1 };
    usize m_tag_size { 8 };
    usize m_capacity { 0 };
};

} // namespace eremite::ext
