// What a block device is to a file system: sectors, read and written in place. Requests sleep until the device is done.
#pragma once

#include "base/result.h"
#include "base/types.h"
#include <span>
#include <string_view>

namespace eremite {

/// Methods may be called from several threads at once; each request is one system call's worth of work and sleeps.
/// Buffers lie in the kernel heap or in frames of the direct map (they are handed to the hardware as they are), and
/// their size is a multiple of k_sector_size.
class BlockDevice {
public:
    /// The unit of all addresses and lengths here, whatever block_size() prefers.
    static constexpr usize k_sector_size = 512;

    virtual ~BlockDevice() = default;

    /// "vda", "vdb", ... in the order of discovery.
    std::string_view name() const { return m_name; }
    u64 sector_count() const { return m_sector_count; }
    /// What the device reads and writes without splitting or read-modify-write; a multiple of k_sector_size.
    u32 block_size() const { return m_block_size; }
    /// discard() helps with whole blocks of so many sectors, that begin at multiples of it; 0: with none.
    u64 discard_granularity() const { return m_discard_granularity; }
    bool is_read_only() const { return m_read_only; }

    /// EIO: the device says so, or broke; EINVAL: beyond the end, or not whole sectors.
    virtual Result<> read(u64 sector, std::span<u8> buffer) = 0;
    /// Likewise; EROFS.
    virtual Result<> write(u64 sector, std::span<const u8> buffer) = 0;

    /// As many parts as one call of read_parts or write_parts takes.
    static constexpr usize k_max_parts = 32;
    /// Consecutive sectors into several buffers, in one request if the device can.
    virtual Result<> read_parts(u64 sector, std::span<const std::span<u8>> parts);
    virtual Result<> write_parts(u64 sector, std::span<const std::span<u8>> parts);

    /// What was written before reaches stable storage.
    virtual Result<> flush() = 0;
    /// Contents of the range need not be kept; EOPNOTSUPP where the device has no use for that.
    virtual Result<> discard(u64, u64) { return Errno::EOPNOTSUPP; }

protected:
    explicit BlockDevice(std::string_view name)
        : m_name(name)
    {
    }

    std::string_view m_name;
    u64 m_sector_count { 0 };
    u32 m_block_size { k_sector_size };
    u64 m_discard_granularity { 0 };
    bool m_read_only { false };

private:
    friend void register_block_device(BlockDevice&);
    friend BlockDevice* find_block_device(std::string_view);
    friend void for_each_block_device(void (*)(BlockDevice&, void*), void*);
    BlockDevice* m_next { nullptr };
};

/// Makes the device known, at Stage::Device. It lives for ever.
void register_block_device(BlockDevice& device);
/// Null if there is none of that name.
BlockDevice* find_block_device(std::string_view name);
/// In the order of registration. Not concurrent with registration.
void for_each_block_device(void (*visit)(BlockDevice&, void* context), void* context);

} // namespace eremite
