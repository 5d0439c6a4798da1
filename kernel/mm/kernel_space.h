// The part of the kernel's half that mm hands out in pieces: kernel stacks (kernel_stack.h), device registers
// (device_memory.h), and memory that need not be contiguous.
#pragma once

#include "arch/paging.h"
#include "base/owned.h"
#include "mm/kernel_stack.h"
#include "mm/page_table.h"
#include "sync/spin_lock.h"

namespace eremite {

/// Every piece lies between unmapped pages. Any thread, interrupts on; not for interrupt handlers.
class KernelSpace {
public:
    constexpr KernelSpace() = default;

    /// Takes over the upper half's tables; `random` decides where things lie.
    void initialize(PhysicalAddress root, u64 random);

    static bool contains(VirtualAddress address)
    {
        const arch::AddressLayout& layout = arch::address_layout();
        return address.value() >= layout.kernel_area && address.value() < layout.kernel_area_end;
    }

    /// Pages of memory, mapped one after the other; `length` is a multiple of the page size. ENOMEM.
    Result<VirtualRange> allocate(u64 length);
    /// What allocate() gave.
    void free(VirtualRange range);
    /// Maps whole pages of physical memory that isn't the allocator's, for good. ENOMEM.
    Result<VirtualRange> map(PhysicalRange range, arch::PageAttributes attributes);

    Result<VirtualRange> allocate_stack();
    void free_stack(VirtualRange stack);
    bool is_stack_guard(VirtualAddress address) const;
    /// Whether it lies where kernel stacks and their guards are.
    bool is_among_stacks(VirtualAddress address) const
    {
        return m_stacks_base != 0 && address.value() - m_stacks_base < k_max_stacks * k_stack_slot;
    }
    /// Unmaps the free stacks that are kept for reuse.
    void release_free_stacks();

    PageTable& page_table() { return m_table; }

private:
    struct Area {
        VirtualRange range;
        Area* next { nullptr };
    };

    struct SlotNode {
        SlotNode* next { nullptr };
        u32 slot { 0 };
    };

    // Stacks stand in slots of twice their size, the lower half of each unmapped: which addresses are guards is
    // arithmetic.
    static constexpr u64 k_stack_slot = 2 * k_kernel_stack_size;
    static constexpr u64 k_max_stacks = u64 { 1 } << 18;
    static constexpr usize k_kept_stacks = 16;

    Result<Area*> reserve(u64 length) REQUIRES(m_lock);
    void release(VirtualRange range) REQUIRES(m_lock);
    /// Clears the leaves of `range`, frees their frames and the tables that only `gap` needs.
    void unmap(VirtualRange range, VirtualRange gap, bool owns_frames) REQUIRES(m_lock);
    Result<> back(VirtualRange range) REQUIRES(m_lock);
    static SlotNode* pop(SlotNode*& list);
    static void push(SlotNode*& list, SlotNode* node);
    VirtualRange stack_at(u64 slot) const
    {
        return { VirtualAddress(m_stacks_base + slot * k_stack_slot + k_kernel_stack_size), k_kernel_stack_size };
    }

    SpinLock m_lock;
    PageTable m_table;
    u64 m_piece { 0 }; // how far stacks, and the rest, may reach
    u64 m_stacks_base { 0 };
    u64 m_areas_base { 0 };
    Area* m_areas GUARDED_BY(m_lock) { nullptr }; // ascending
    u32 m_next_slot GUARDED_BY(m_lock) { 0 };
    // One node for each slot that was ever handed out, so that giving one back needs no memory.
    SlotNode* m_mapped_slots GUARDED_BY(m_lock) { nullptr }; // free, still mapped
    SlotNode* m_unmapped_slots GUARDED_BY(m_lock) { nullptr };
    SlotNode* m_spare_nodes GUARDED_BY(m_lock) { nullptr }; // of slots in use
    usize m_mapped_count GUARDED_BY(m_lock) { 0 };
};

KernelSpace& kernel_space();

/// What lies at an address of the kernel's half, for reports; null: no such.
const char* describe_kernel_address(VirtualAddress address);

} // namespace eremite
