#include "arch/host/machine.h"

#include "base/assert.h"
#include "boot/boot_info.h"
#include "mm/address_space.h"
#include "mm/frames.h"
#include "mm/kmalloc.h"

#include <sys/mman.h>

namespace eremite {

namespace {

BootInfo s_boot_info;
PhysicalAddress s_root;

} // namespace

BootInfo& boot_info()
{
    return s_boot_info;
}

HostMachine::HostMachine()
{
    u64 size = k_memory_size + k_spare.length;
    void* arena = mmap(reinterpret_cast<void*>(arch::k_direct_map_base), size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    ASSERT(arena == reinterpret_cast<void*>(arch::k_direct_map_base));
    s_boot_info.ranges[0] = { { PhysicalAddress(), k_memory_size }, MemoryKind::Usable };
    s_boot_info.range_count = 1;
    // What a table starts at lies below 1 MiB, which the allocator leaves alone, as boot's tables do.
    s_root = PhysicalAddress(k_page_size);
    m_root = s_root;
    initialize_memory(s_boot_info);
    create_address_space(
        { .root = m_root, .map_top = VirtualAddress(0x7fff'0000'0000), .heap_start = VirtualAddress(0x5555'0000'0000) },
        {});
}

HostMachine& host_machine()
{
    static HostMachine machine;
    return machine;
}

u8* HostMachine::access(VirtualAddress address, bool write)
{
    using Format = arch::PageTableFormat;
    PageTable table(m_root);
    for (unsigned attempt = 0; attempt < 4; ++attempt) {
        auto cached = m_tlb.find(address.value() >> k_page_shift);
        if (cached != m_tlb.end() && (!write || cached->second.writable))
            return static_cast<u8*>(direct_map(cached->second.frame + address.page_offset()));
        PageTable::Slot slot = table.find(address);
        if (Format::is_present(*slot.entry) && (!write || Format::attributes(*slot.entry).writable)) {
            u64 offset = address.page_floor().value() & (PageTable::span_of(slot.level) - 1);
            m_tlb[address.value() >> k_page_shift] = { Format::address(*slot.entry, slot.level) + offset,
                Format::attributes(*slot.entry).writable, slot.level };
            continue;
        }
        if (handle_page_fault(address, write ? arch::Access::Write : arch::Access::Read) != PageFaultResult::Resolved)
            return nullptr;
    }
    ASSERT_NOT_REACHED();
}

void HostMachine::forget(VirtualAddress address)
{
    u64 page = address.value() >> k_page_shift;
    m_tlb.erase(page);
    // The TLB here keeps a large page in small pieces.
    auto piece = m_tlb.lower_bound(page & ~u64 { 511 });
    while (piece != m_tlb.end() && piece->first <= (page | 511))
        piece = piece->second.level == 0 ? std::next(piece) : m_tlb.erase(piece);
}

void HostMachine::check_tlb()
{
    PageTable table(m_root);
    for (const auto& [page, cached] : m_tlb) {
        auto found = table.translate(VirtualAddress(page << k_page_shift));
        ASSERT(found.has_value()); // gone, and this processor was not told
        ASSERT(found.value().address == cached.frame); // elsewhere
        ASSERT(!cached.writable || found.value().attributes.writable);
    }
}

// The heap is malloc's (host.cpp), which needs no secret.
void initialize_kernel_heap(u64) { }
HeapStatistics kernel_heap_statistics()
{
    return {};
}
void trim_kernel_heap() { }

} // namespace eremite

namespace eremite::arch {

PhysicalAddress page_table_root(VirtualAddress)
{
    return s_root;
}

void invalidate_page(VirtualAddress address)
{
    host_machine().forget(address);
}

void invalidate_all()
{
    host_machine().forget_all();
}

} // namespace eremite::arch
