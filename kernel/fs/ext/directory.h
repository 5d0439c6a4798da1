// A directory of ext2/3/4: names in blocks, one after another, and in memory an index of them. The disk's own index
// (the hash tree of ext4) is neither used nor kept: a directory that has one loses it at the first change, as Linux
// allows.
//
// Under the file system's lock.
#pragma once

#include "fs/ext/library.h"
#include "fs/inode.h"

namespace eremite::ext {

class Directory {
public:
    Directory(Library& library, u32 number)
        : m_library(library)
        , m_number(number)
    {
    }

    /// The first block of a new directory: "." and "..". Its size becomes one block.
    static Result<> initialize(Library& library, u32 number, u32 parent);

    /// The number under `name`. ENOENT.
    Result<u32> find(std::string_view name);
    /// `name` is free. `type`: of the mode. ENOSPC, ENOMEM.
    Result<> add(std::string_view name, u32 number, u32 type);
    /// ENOENT.
    Result<> remove(std::string_view name);
    /// Has `name`, which is there, lead to another file.
    Result<> replace(std::string_view name, u32 number, u32 type);
    /// No names besides "." and "..".
    Result<bool> is_empty();
    Result<> read(u64 position, DirectorySink& sink);
    u64 size() const { return u64 { m_places.size() } * m_library.block_size(); }

private:
    struct Entry {
        u32 inode;
        u16 length;
        u8 name_length;
        u8 type;
        std::string_view name;
    };
    /// Of the index: where an entry is, as block << 10 | offset / 4.
    struct Slot {
        u32 hash { 0 };
        u32 place { k_free };
    };
    static constexpr u32 k_free = ~u32 { 0 };
    static constexpr u32 k_gone = k_free - 1;
    struct Place {
        u32 block;
        u32 offset;
        usize slot;
    };

    Result<> load();
    Result<> prepare_change();
    Result<> load_block(u32 block);
    Result<> store_block();
    Result<> append_block();
    Result<Entry> entry_at(u32 offset) const;
    Result<u16> gap_of_block() const;
    Result<Place> find_place(std::string_view name);
    Result<> insert_slot(u32 hash, u32 place);
    Result<> rehash();
    Result<> insert_into_block(std::string_view name, u32 number, u32 type);
    void put_entry(u32 offset, u32 number, u32 length, std::string_view name, u32 type);
    u32 usable() const;
    static void put_tail(std::span<u8> block);

    Library& m_library;
    u32 m_number;
    bool m_loaded { false };
    bool m_may_change { false };
    Vector<u64> m_places; // of each block
    Vector<u16> m_gaps; // the largest room for a new entry in each block
    Vector<Slot> m_slots; // a power of two
    usize m_used_slots { 0 }; // gone ones too
    usize m_names { 0 };
    Vector<u8> m_block;
    u32 m_block_number { ~u32 { 0 } }; // which one m_block holds
};

} // namespace eremite::ext
