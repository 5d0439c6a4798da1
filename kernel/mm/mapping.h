// A mapping: a range of the application's half in which every page has the same rights and comes from the same place.
#pragma once

#include "abi/memory.h"
#include "arch/paging.h"
#include "arch/trap.h"
#include "base/intrusive.h"
#include "base/owned.h"
#include "file/file.h"
#include "mm/memory_object.h"

namespace eremite {

enum class MappingKind : u8 {
    Anonymous, // demand-zero
    File, // pages of a MemoryObject
    Heap, // brk
    MainStack,
    Guard, // never accessible, can't be changed: around the main stack
    Image, // the application's part of the image: mapped by boot, frames are none of the allocator's
    Constant, // the image's constants, the kernel's among them, where it is kept from the application: nobody changes
              // them
    Kernel, // the kernel's part of the image: nobody changes it
};

/// Under the address space's lock. Not the pages: those are in the page table.
struct Mapping {
    VirtualRange range;
    MappingKind kind { MappingKind::Anonymous };
    u8 protection { 0 }; // abi::k_prot_*
    u8 key { 0 };
    bool shared { false };
    bool locked { false };
    bool large_pages { false }; // asked for by madvise
    bool small_pages { false }; // likewise
    bool may_write { true }; // shared: the file was opened for writing
    const char* name { nullptr }; // Image, Kernel: for reports and /proc/self/maps

    RefPtr<File> file; // File only: keeps `object` alive
    MemoryObject* object { nullptr };
    u64 offset { 0 }; // of range.start in the object, in bytes

    // Faults that follow one another upwards take more pages each time.
    u64 next_fault { 0 };
    u8 streak { 0 };

    TreeHook hook;
    Mapping* next_removed { nullptr };

    bool is_readable() const { return protection != 0; } // no architecture can write or execute without reading
    bool is_writable() const { return (protection & abi::k_prot_write) != 0; }
    bool is_executable() const { return (protection & abi::k_prot_execute) != 0; }
    bool allows(arch::Access access) const
    {
        return access == arch::Access::Write  ? is_writable()
            : access == arch::Access::Execute ? is_executable()
                                              : is_readable();
    }
    /// Frames of pages that aren't borrowed are the allocator's.
    bool owns_frames() const { return kind < MappingKind::Image; }
    bool is_fixed() const { return kind >= MappingKind::Constant || kind == MappingKind::Guard; }
    u64 page_index(VirtualAddress address) const { return (offset + (address - range.start)) >> k_page_shift; }

    arch::PageAttributes attributes() const
    {
        // Data carry the user bit, so that keys apply; text doesn't, so that it can run (design: isolation).
        return {
            .writable = is_writable(), .executable = is_executable(), .application = !is_executable(), .key = key
        };
    }
    /// Whether one Mapping could stand for both; `next` begins where this ends.
    bool continues_in(const Mapping& next) const
    {
        return range.end() == next.range.start && kind == next.kind && kind != MappingKind::Image && !is_fixed()
            && protection == next.protection && key == next.key && shared == next.shared && locked == next.locked
            && large_pages == next.large_pages && small_pages == next.small_pages && may_write == next.may_write
            && object == next.object && file == next.file && (!object || offset + range.length == next.offset);
    }
};

struct MappingStart {
    using type = u64;
    type operator()(const Mapping& mapping) const { return mapping.range.start.value(); }
};
using MappingTree = Tree<Mapping, &Mapping::hook, MappingStart>;

} // namespace eremite
