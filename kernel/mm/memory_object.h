// What a mapping shows: an object that hands out frames by page number. A file's page cache is the usual one; /dev/zero
// or device memory may be others. The address space calls it only through these virtual methods, so a program that maps
// no file holds none of their code.
#pragma once

#include "base/component.h"
#include "base/intrusive.h"
#include "base/result.h"
#include "base/types.h"
#include <atomic>

namespace eremite {

struct Mapping;

/// Owned by whoever made it (an inode), and alive as long as a File that names it: a mapping holds the File.
/// Lock order: the address space's lock, then the object's. So an object calls into the address space (unmap_object)
/// without its own lock held, and never touches application memory with it held.
class MemoryObject {
public:
    MemoryObject() { ER_NEEDS(file_mappings); }
    MemoryObject(const MemoryObject&) = delete;
    MemoryObject& operator=(const MemoryObject&) = delete;

    /// The frame behind page `index`, brought in if need be; it belongs to the object, which keeps it until
    /// AddressSpace::unmap_object() has taken it out of every mapping. `writable`: it will be mapped writable and
    /// shared, so it must be this object's own and counts as dirty from now on. May sleep. ENXIO: wholly past the end
    /// (SIGBUS). EIO, ENOMEM.
    virtual Result<PhysicalAddress> page_for_mapping(u64 index, bool writable) = 0;
    /// Whether page `index` is in memory (mincore).
    virtual bool is_resident(u64 index) = 0;
    /// Writes what is dirty in the pages [first, first + count) to where it is kept; waits for it if `wait` (msync).
    /// EIO.
    virtual Result<> write_back(u64 first, u64 count, bool wait) = 0;
    /// Takes the pages [first, first + count) in ahead of use, as far as it likes (MADV_WILLNEED, MAP_POPULATE).
    virtual void read_ahead(u64 first, u64 count) = 0;

    /// Whether anything is mapped; a hint outside the address space's lock.
    bool is_mapped() const { return m_mapping_count.load(std::memory_order_relaxed) != 0; }

protected:
    ~MemoryObject() = default;

private:
    friend class AddressSpace;
    std::atomic<u32> m_mapping_count { 0 };
};

} // namespace eremite
