// The application's half of the address space: its mappings, and the pages behind them. There is one.
//
// Methods are the system calls of sys_memory.cpp without their argument checks; ranges are page-aligned and not empty,
// as those checks leave them. Any thread; may sleep; no lock held, and none is held while application memory is
// touched. All that is mapped counts against the limit, whether touched or not; a page gets its frame when it is first
// touched.
#pragma once

#include "arch/trap.h"
#include "base/isolation.h"
#include "mm/mapping.h"
#include "mm/page_fault.h"
#include "mm/page_table.h"
#include "mm/tlb.h"
#include "sched/wait_queue.h"

namespace eremite {

struct MapRequest {
    enum class Place : u8 { Anywhere, Fixed, FixedNoReplace };

    VirtualAddress address; // where, or a hint
    u64 length { 0 };
    Place place { Place::Anywhere };
    MappingKind kind { MappingKind::Anonymous };
    u8 protection { 0 };
    bool shared { false };
    bool populate { false };
    bool reserve { true }; // refuse what could never be backed
    RefPtr<File> file; // kind File
    MemoryObject* object { nullptr };
    u64 offset { 0 };
    bool may_write { true };
};

/// Part of the image, which boot has mapped already.
struct ImagePart {
    VirtualRange range;
    MappingKind kind { MappingKind::Image };
    u8 protection { 0 };
    const char* name { nullptr };
};

class AddressSpace;
/// Faults on mappings of files (address_space_file.cpp): in the image if a MemoryObject is.
struct FileMappingsPart {
    PageFaultResult (*fault)(AddressSpace& space, Mapping& mapping, VirtualAddress page, arch::Access access);
    /// Puts file `fd`, from `offset` on, into a request with length, protection and sharing. EBADF, EACCES, EOVERFLOW,
    /// and what File::memory_object() says.
    Result<> (*name)(MapRequest& request, int fd, u64 offset);
};
ER_DECLARE_PART(FileMappingsPart, file_mappings);

class AddressSpace {
public:
    AddressSpace() = default;
    AddressSpace(const AddressSpace&) = delete;
    AddressSpace& operator=(const AddressSpace&) = delete;

    /// Mappings that are gone: what they hold is dropped when no lock is held any more (a File may go to the device).
    class Removed {
    public:
        Removed() = default;
        ~Removed();
        void add(Mapping& mapping);

    private:
        Mapping* m_first { nullptr };
    };

    struct Layout {
        PhysicalAddress root;
        VirtualAddress map_top; // mappings grow down from here
        VirtualAddress heap_start; // brk
    };
    /// Once. ENOMEM.
    Result<> initialize(const Layout& layout, std::span<const ImagePart> image);

    /// mmap(2). ENOMEM (address space, limit, memory), EEXIST (FixedNoReplace), EPERM (over the kernel's part).
    Result<VirtualAddress> map(MapRequest&& request);
    /// munmap(2). EPERM, ENOMEM.
    Result<> unmap(VirtualRange range);
    /// mprotect(2), pkey_mprotect(2) with a key. ENOMEM (a hole, memory), EACCES (file not opened for it), EPERM.
    Result<> protect(VirtualRange range, u8 protection, i32 key = -1);
    /// mremap(2); `target` is null unless it is fixed. EFAULT (nothing there), EINVAL, ENOMEM, EPERM.
    Result<VirtualAddress> remap(VirtualRange range, u64 length, bool may_move, VirtualAddress target);
    /// mremap(2) with MREMAP_DONTUNMAP: the pages move, and the mapping stays, empty. The same errors.
    Result<VirtualAddress> move_pages_away(VirtualRange range, VirtualAddress target);
    /// madvise(2). ENOMEM (a hole; the rest is done), EINVAL, EPERM.
    Result<> advise(VirtualRange range, abi::Advice advice);
    /// mincore(2): a byte for each page, 1 if a touch needs no fault on the device. ENOMEM (a hole).
    Result<> residency(VirtualRange range, std::span<u8> pages);
    /// mlock2(2), munlock(2). ENOMEM.
    Result<> set_locked(VirtualRange range, bool locked, bool populate);
    Result<> set_all_locked(bool current, bool future, bool populate);
    /// msync(2). ENOMEM (a hole), EIO, EBUSY (locked pages are to be invalidated).
    Result<> sync(VirtualRange range, bool wait, bool invalidate);
    /// brk(2): the new end, or the old one where it can't be.
    VirtualAddress set_break(VirtualAddress end);

    /// Stack for the main thread, an inaccessible gap below it, in the upper part of the address space. ENOMEM.
    Result<VirtualRange> map_main_stack(u64 length);

    PageFaultResult fault(VirtualAddress address, arch::Access access);

    /// Takes pages [first, first + count) of `object` out of all mappings; private copies too if `copies` (truncation).
    void unmap_object(MemoryObject& object, u64 first, u64 count, bool copies);
    /// Makes shared pages read-only, so that the next write is noticed (write-back).
    void write_protect_object(MemoryObject& object, u64 first, u64 count);

    void set_limit(u64 bytes) { m_limit.store(bytes, std::memory_order_relaxed); }
    u64 limit() const { return m_limit.load(std::memory_order_relaxed); }

    struct Statistics {
        u64 mapped { 0 }; // bytes
        u64 resident { 0 }; // pages with frames of their own
        u64 locked { 0 }; // bytes
        u64 mappings { 0 };
        u64 faults { 0 };
        VirtualAddress heap_start;
        VirtualAddress heap_end;
        VirtualRange stack;
    };
    Statistics statistics();

    /// Calls visit(const Mapping&) in ascending order, under the lock: it must not touch application memory.
    template<typename Visitor> void for_each_mapping(Visitor visit)
    {
        Locked lock(m_lock);
        for (const Mapping& mapping : m_mappings)
            visit(mapping);
    }
    /// What lies at `address`; null if nothing does, or if the lock is held by somebody.
    const char* describe(VirtualAddress address);

    /// Whether memory that becomes executable is looked through first (executable_pages.cpp), as isolation by keys
    /// needs it: EACCES for what may not be. Tests alone change it.
    void set_scans_code(bool scans) { m_scans_code = scans; }

    PageTable& page_table() { return m_table; }

private:
    friend struct FileMappings;
    friend struct MappingChanges;

    // Finding and making mappings (address_space.cpp); removing them (address_space_remove.cpp).
    /// The first mapping that ends above `address`, or null.
    Mapping* at_or_after(VirtualAddress address) REQUIRES(m_lock);
    Mapping* at(VirtualAddress address) REQUIRES(m_lock);
    Mapping* next(Mapping& mapping) REQUIRES(m_lock);
    VirtualRange gap_around(VirtualRange range) REQUIRES(m_lock);
    Result<VirtualAddress> find_room(u64 length, u64 alignment) REQUIRES(m_lock);
    Result<VirtualAddress> choose_address(const MapRequest& request) REQUIRES(m_lock);
    bool may_change(Mapping& first, VirtualRange range) REQUIRES(m_lock);
    bool fits_limit(u64 more) const REQUIRES(m_lock) { return more <= limit() && m_mapped <= limit() - more; }
    void insert(Mapping& mapping) REQUIRES(m_lock);
    void forget(Mapping& mapping) REQUIRES(m_lock);
    Result<Mapping*> split(Mapping& mapping, VirtualAddress address, TlbBatch& batch) REQUIRES(m_lock);
    Result<> split_ends(VirtualRange range, TlbBatch& batch) REQUIRES(m_lock);
    Result<> split_page(const Mapping& mapping, VirtualAddress address, TlbBatch& batch) REQUIRES(m_lock);
    void merge_around(VirtualRange range) REQUIRES(m_lock);
    Result<> remove(VirtualRange range, TlbBatch& batch, Removed& removed) REQUIRES(m_lock);
    void discard_pages(const Mapping& mapping, VirtualRange range, TlbBatch& batch) REQUIRES(m_lock);

    // Pages (address_space_fault.cpp, those of files address_space_file.cpp).
    PageFaultResult fault_in(Mapping& mapping, VirtualAddress address, arch::Access access) REQUIRES(m_lock);
    PageFaultResult fault_anonymous(Mapping& mapping, VirtualAddress page, PageTable::Slot slot) REQUIRES(m_lock);
    PageFaultResult fault_file(Mapping& mapping, VirtualAddress page, arch::Access access) REQUIRES(m_lock);
    PageFaultResult copy_on_write(Mapping& mapping, VirtualAddress page, u64& entry) REQUIRES(m_lock);
    bool try_large_page(Mapping& mapping, VirtualAddress page) REQUIRES(m_lock);
    Result<> populate(VirtualRange range, bool write) REQUIRES(m_lock);

    // What becomes executable (executable_pages.cpp).
    bool is_harmless_code(VirtualRange range) REQUIRES(m_lock);
    void set_writability(VirtualRange range, bool as_mapped, TlbBatch& batch) REQUIRES(m_lock);
    Result<> prepare_code(VirtualRange range, TlbBatch& batch) REQUIRES(m_lock);

    // Parts of the calls (address_space_change.cpp).
    bool is_wholly_mapped(VirtualRange range) REQUIRES(m_lock);
    void protect_pages(const Mapping& mapping, bool was_executable, TlbBatch& batch) REQUIRES(m_lock);
    Result<> advise_mapping(Mapping& mapping, VirtualRange part, abi::Advice advice, TlbBatch& batch) REQUIRES(m_lock);
    Result<> move(VirtualRange from, u64 length, VirtualAddress target, TlbBatch& batch) REQUIRES(m_lock);
    Result<Mapping*> movable_mapping(VirtualRange range) REQUIRES(m_lock);
    Result<VirtualAddress> room_to_move(
        VirtualRange range, u64 length, VirtualAddress target, TlbBatch& batch, Removed& removed) REQUIRES(m_lock);
    Result<> move_pages(VirtualRange from, VirtualAddress to, TlbBatch& batch) REQUIRES(m_lock);

    Mutex m_lock;
    PageTable m_table;
    MappingTree m_mappings GUARDED_BY(m_lock);
    Mapping* m_recent GUARDED_BY(m_lock) { nullptr }; // made or touched last: looked at first
    u64 m_map_top { 0 };
    // Between m_search_from and the top there is no room for more than m_largest_skipped.
    u64 m_search_from GUARDED_BY(m_lock) { 0 };
    u64 m_largest_skipped GUARDED_BY(m_lock) { 0 };
    u64 m_heap_start { 0 };
    u64 m_break GUARDED_BY(m_lock) { 0 };
    VirtualRange m_stack GUARDED_BY(m_lock);
    u64 m_mapped GUARDED_BY(m_lock) { 0 };
    u64 m_resident GUARDED_BY(m_lock) { 0 };
    u64 m_locked_bytes GUARDED_BY(m_lock) { 0 };
    u64 m_faults GUARDED_BY(m_lock) { 0 };
    bool m_lock_future GUARDED_BY(m_lock) { false };
    bool m_populate_future GUARDED_BY(m_lock) { false };
    std::atomic<u64> m_limit { ~u64 { 0 } };
    // Where it can't be true, the code for it isn't in the image.
#if defined(EREMITE_HOST)
    bool scans_code() const { return m_scans_code; }
#else
    bool scans_code() const { return k_has_keys && m_scans_code; }
#endif
    bool m_scans_code { k_has_keys };
};

/// What a program needs that changes or removes mappings (address_space_remove.cpp).
struct MappingChangesPart {
    Result<> (*remove)(AddressSpace& space, VirtualRange range, TlbBatch& batch, AddressSpace::Removed& removed);
    void (*merge_around)(AddressSpace& space, VirtualRange range);
    void (*populate)(AddressSpace& space, VirtualRange range, bool write);
};
ER_DECLARE_PART(MappingChangesPart, mapping_changes);

/// Between mappings that the application didn't place itself, so that running past the end of one is noticed.
inline constexpr u64 k_mapping_gap = k_page_size;

/// The one. After initialize_address_space().
AddressSpace& address_space();

/// Lists the image's parts, and chooses where mappings and the heap go; after initialize_memory(). `randomize` false:
/// always the same places (nokaslr). Defined by mm/address_space_boot.cpp.
void initialize_address_space(bool randomize);
/// The rest of it, with the layout given: for tests.
AddressSpace& create_address_space(const AddressSpace::Layout& layout, std::span<const ImagePart> image);

} // namespace eremite
