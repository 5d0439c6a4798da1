// Physical memory of arch `host`: an arena at the direct map's address, and the translations that a processor would
// keep, so that a test can tell when the kernel forgets to tell it.
#pragma once

#include "arch/paging.h"
#include "base/result.h"
#include <map>
#include <optional>

namespace eremite {

/// One for the process; memory comes from frames.h, in a state that all tests share. Made by the first host_machine().
class HostMachine {
public:
    static constexpr u64 k_memory_size = u64 { 256 } << 20;
    /// Memory that the frame allocator doesn't know, for tests of allocators of their own.
    static constexpr PhysicalRange k_spare { PhysicalAddress(k_memory_size), u64 { 64 } << 20 };

    /// The byte at `address` as an application's access finds it: through the TLB, else the page table, else a page
    /// fault, as often as it takes. Null: the fault was not resolved.
    u8* access(VirtualAddress address, bool write);

    /// Asserts that every translation that a processor may still have is one that the tables give.
    void check_tlb();
    /// INVLPG: the page, or the large page that `address` lies in.
    void forget(VirtualAddress address);
    void forget_all() { m_tlb.clear(); }

    /// The table that both halves begin at.
    PhysicalAddress root() const { return m_root; }

private:
    friend HostMachine& host_machine();
    HostMachine();

    struct Translation {
        PhysicalAddress frame;
        bool writable { false };
        unsigned level { 0 };
    };
    std::map<u64, Translation> m_tlb;
    PhysicalAddress m_root;
};

HostMachine& host_machine();

} // namespace eremite
