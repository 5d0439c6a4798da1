#include "fs/ext/directory.h"

#include "abi/fs.h"
#include "base/log.h"

#include <algorithm>

namespace eremite::ext {

namespace {

// An entry (Linux, ext4/directory.rst): inode, length of the record, length and type of the name, the name.
constexpr u32 k_head = 8;
constexpr u32 k_tail = 12; // the checksum's place, which looks like an entry
constexpr u8 k_tail_type = 0xde;

constexpr u32 needed_for(usize name_length)
{
    return static_cast<u32>(align_up(k_head + name_length, 4));
}

u16 get16(std::span<const u8> at)
{
    return static_cast<u16>(at[0] | at[1] << 8);
}
u32 get32(std::span<const u8> at)
{
    return get16(at) | u32 { get16(at.subspan(2)) } << 16;
}
void put16(std::span<u8> at, u32 value)
{
    at[0] = static_cast<u8>(value);
    at[1] = static_cast<u8>(value >> 8);
}
void put32(std::span<u8> at, u32 value)
{
    put16(at, value);
    put16(at.subspan(2), value >> 16);
}

u32 hash_of(std::string_view name)
{
    u32 hash = 2166136261;
    for (char c : name)
        hash = (hash ^ static_cast<u8>(c)) * 16777619;
    return hash;
}

u8 disk_type(u32 type)
{
    switch (type & abi::k_s_ifmt) {
    case abi::k_s_ifreg:
        return 1;
    case abi::k_s_ifdir:
        return 2;
    case abi::k_s_ifchr:
        return 3;
    case abi::k_s_ifblk:
        return 4;
    case abi::k_s_ififo:
        return 5;
    case abi::k_s_ifsock:
        return 6;
    case abi::k_s_iflnk:
        return 7;
    default:
        return 0;
    }
}

u8 dirent_type(u8 type)
{
    constexpr std::array<u8, 8> k_types { 0, abi::k_s_ifreg >> 12, abi::k_s_ifdir >> 12, abi::k_s_ifchr >> 12,
        abi::k_s_ifblk >> 12, abi::k_s_ififo >> 12, abi::k_s_ifsock >> 12, abi::k_s_iflnk >> 12 };
    return k_types[type & 7];
}

} // namespace

u32 Directory::usable() const
{
    return m_library.block_size() - (m_library.has_checksums() ? k_tail : 0);
}

void Directory::put_tail(std::span<u8> block)
{
    const auto tail = block.last(k_tail);
    std::ranges::fill(tail, u8 { 0 });
    put16(tail.subspan(4), k_tail);
    tail[7] = k_tail_type;
}

Result<> Directory::initialize(Library& library, u32 number, u32 parent)
{
    TRY(library.allocate(number, 0, 1, true));
    const Extent extent = TRY(library.map(number, 0, 1));
    InodeData data = TRY(library.read_inode(number));
    data.size = library.block_size();
    TRY(library.write_inode(number, data));
    Directory directory(library, number);
    TRY(directory.m_block.try_resize(library.block_size()));
    directory.put_entry(0, number, needed_for(1), ".", abi::k_s_ifdir);
    directory.put_entry(needed_for(1), parent, directory.usable() - needed_for(1), "..", abi::k_s_ifdir);
    if (library.has_checksums())
        put_tail(directory.m_block.span());
    return library.write_directory_block(number, extent.physical, directory.m_block.span());
}

void Directory::put_entry(u32 offset, u32 number, u32 length, std::string_view name, u32 type)
{
    const auto at = m_block.span().subspan(offset);
    put32(at, number);
    put16(at.subspan(4), length);
    at[6] = static_cast<u8>(name.size());
    at[7] = m_library.has_file_types() ? disk_type(type) : 0;
    std::ranges::copy(name, at.subspan(k_head).begin());
}

/// The entry at `offset` of the block at hand, checked. EIO.
Result<Directory::Entry> Directory::entry_at(u32 offset) const
{
    const auto block = m_block.span();
    if (offset + k_head > block.size())
        return Errno::EIO;
    const auto at = block.subspan(offset);
    Entry entry { get32(at), get16(at.subspan(4)), at[6], at[7], {} };
    if (entry.length < k_head || entry.length % 4 != 0 || entry.length > at.size()
        || (entry.inode != 0 && (entry.name_length == 0 || k_head + entry.name_length > entry.length))) {
        log_error("ext: directory {} is damaged", m_number);
        return Errno::EIO;
    }
    entry.name
        = { reinterpret_cast<const char*>(at.subspan(k_head).data()), entry.inode != 0 ? entry.name_length : 0u };
    return entry;
}

Result<> Directory::load_block(u32 block)
{
    if (m_block_number == block)
        return {};
    m_block_number = ~u32 { 0 };
    TRY(m_library.read_directory_block(m_number, m_places[block], m_block.span()));
    m_block_number = block;
    return {};
}

Result<> Directory::store_block()
{
    m_gaps[m_block_number] = TRY(gap_of_block());
    return m_library.write_directory_block(m_number, m_places[m_block_number], m_block.span());
}

Result<u16> Directory::gap_of_block() const
{
    u32 largest = 0;
    for (u32 offset = 0; offset < usable();) {
        const Entry entry = TRY(entry_at(offset));
        largest = std::max<u32>(largest, entry.length - (entry.inode != 0 ? needed_for(entry.name_length) : 0));
        offset += entry.length;
    }
    return static_cast<u16>(largest);
}

Result<> Directory::load()
{
    if (m_loaded)
        return {};
    const u32 block_size = m_library.block_size();
    const u64 blocks = TRY(m_library.read_inode(m_number)).size / block_size;
    if (blocks > u64 { 1 } << 21)
        return Errno::EFBIG;
    m_places.clear();
    m_gaps.clear();
    m_slots.clear();
    m_used_slots = m_names = 0;
    m_block_number = ~u32 { 0 };
    TRY(m_block.try_resize(block_size));
    while (m_places.size() < blocks) {
        const Extent extent = TRY(m_library.map(m_number, m_places.size(), blocks - m_places.size()));
        if (extent.kind != Extent::Kind::Written) {
            log_error("ext: directory {} has a hole", m_number);
            return Errno::EIO;
        }
        for (u64 i = 0; i < extent.count; ++i)
            TRY(m_places.try_append(extent.physical + i));
    }
    for (u32 block = 0; block < blocks; ++block) {
        TRY(load_block(block));
        for (u32 offset = 0; offset < block_size;) {
            const Entry entry = TRY(entry_at(offset));
            if (entry.inode != 0) {
                // Once, here: what comes later are the kernel's own names.
                if (entry.name.contains('/') || entry.name.contains('\0')) {
                    log_error("ext: directory {} is damaged", m_number);
                    return Errno::EIO;
                }
                TRY(insert_slot(hash_of(entry.name), block << 10 | offset / 4));
                m_names += entry.name != "." && entry.name != ".." ? 1 : 0;
            }
            offset += entry.length;
        }
        TRY(m_gaps.try_append(TRY(gap_of_block())));
    }
    m_loaded = true;
    return {};
}

/// From now on blocks are changed: without a hash tree, and with places for checksums where those go.
Result<> Directory::prepare_change()
{
    TRY(load());
    if (m_may_change)
        return {};
    if (TRY(m_library.drop_hash_tree(m_number))) {
        // The tree's nodes look like free entries that fill their blocks; its root is behind "..".
        for (u32 block = 0; block < m_places.size(); ++block) {
            TRY(load_block(block));
            const u32 offset = block == 0 ? needed_for(1) : 0;
            const Entry entry = TRY(entry_at(offset));
            if (offset + entry.length != m_block.size() || (block != 0 && entry.inode != 0))
                continue;
            put16(m_block.span().subspan(offset + 4), usable() - offset);
            if (m_library.has_checksums())
                put_tail(m_block.span());
            TRY(store_block());
        }
    }
    m_may_change = true;
    return {};
}

Result<> Directory::rehash()
{
    Vector<Slot> old = std::move(m_slots);
    m_slots = {};
    TRY(m_slots.try_resize(std::max<usize>(64, old.size() * 2)));
    m_used_slots = 0;
    for (const Slot& slot : old) {
        if (slot.place < k_gone)
            TRY(insert_slot(slot.hash, slot.place));
    }
    return {};
}

Result<> Directory::insert_slot(u32 hash, u32 place)
{
    if (m_used_slots + 1 > m_slots.size() / 4 * 3)
        TRY(rehash());
    usize at = hash & (m_slots.size() - 1);
    while (m_slots[at].place < k_gone)
        at = (at + 1) & (m_slots.size() - 1);
    m_used_slots += m_slots[at].place == k_free ? 1 : 0;
    m_slots[at] = { hash, place };
    return {};
}

/// Where `name` is; its block is at hand then. ENOENT.
Result<Directory::Place> Directory::find_place(std::string_view name)
{
    TRY(load());
    if (m_slots.is_empty())
        return Errno::ENOENT;
    const u32 hash = hash_of(name);
    for (usize at = hash & (m_slots.size() - 1); m_slots[at].place != k_free; at = (at + 1) & (m_slots.size() - 1)) {
        if (m_slots[at].hash != hash || m_slots[at].place == k_gone)
            continue;
        const Place place { m_slots[at].place >> 10, (m_slots[at].place & 0x3ff) * 4, at };
        TRY(load_block(place.block));
        const Entry entry = TRY(entry_at(place.offset));
        if (entry.inode != 0 && entry.name == name)
            return place;
    }
    return Errno::ENOENT;
}

Result<u32> Directory::find(std::string_view name)
{
    const Place place = TRY(find_place(name));
    const u32 number = TRY(entry_at(place.offset)).inode;
    if (number > m_library.statistics().inodes) {
        log_error("ext: directory {} is damaged", m_number);
        return Errno::EIO;
    }
    return number;
}

Result<> Directory::append_block()
{
    const auto block = static_cast<u32>(m_places.size());
    TRY(m_library.allocate(m_number, block, 1, true));
    const Extent extent = TRY(m_library.map(m_number, block, 1));
    InodeData data = TRY(m_library.read_inode(m_number));
    data.size = u64 { block + 1 } * m_library.block_size();
    TRY(m_library.write_inode(m_number, data));
    TRY(m_places.try_append(extent.physical));
    TRY(m_gaps.try_append(static_cast<u16>(usable())));
    m_block_number = block;
    std::ranges::fill(m_block.span(), u8 { 0 });
    put16(m_block.span().subspan(4), usable());
    if (m_library.has_checksums())
        put_tail(m_block.span());
    return {};
}

Result<> Directory::add(std::string_view name, u32 number, u32 type)
{
    TRY(prepare_change());
    if (m_slots.is_empty())
        TRY(rehash());
    const u32 needed = needed_for(name.size());
    const auto room = std::ranges::find_if(m_gaps, [&](u16 gap) { return gap >= needed; });
    if (room == m_gaps.end())
        TRY(append_block());
    else
        TRY(load_block(static_cast<u32>(room - m_gaps.begin())));
    TRY(insert_into_block(name, number, type));
    ++m_names;
    return {};
}

Result<> Directory::insert_into_block(std::string_view name, u32 number, u32 type)
{
    const u32 needed = needed_for(name.size());
    for (u32 offset = 0; offset < usable();) {
        const Entry entry = TRY(entry_at(offset));
        const u32 used = entry.inode != 0 ? needed_for(entry.name_length) : 0;
        if (entry.length >= used + needed) {
            if (used != 0)
                put16(m_block.span().subspan(offset + 4), used);
            put_entry(offset + used, number, entry.length - used, name, type);
            TRY(insert_slot(hash_of(name), m_block_number << 10 | (offset + used) / 4));
            return store_block();
        }
        offset += entry.length;
    }
    return Errno::EIO;
}

Result<> Directory::remove(std::string_view name)
{
    TRY(prepare_change());
    const Place place = TRY(find_place(name));
    u32 previous = ~u32 { 0 };
    for (u32 offset = 0; offset < place.offset;) {
        previous = offset;
        offset += TRY(entry_at(offset)).length;
    }
    const Entry entry = TRY(entry_at(place.offset));
    if (previous == ~u32 { 0 })
        put32(m_block.span().subspan(place.offset), 0);
    else
        put16(m_block.span().subspan(previous + 4), TRY(entry_at(previous)).length + u32 { entry.length });
    m_slots[place.slot].place = k_gone;
    --m_names;
    return store_block();
}

Result<> Directory::replace(std::string_view name, u32 number, u32 type)
{
    TRY(prepare_change());
    const Place place = TRY(find_place(name));
    put32(m_block.span().subspan(place.offset), number);
    m_block[place.offset + 7] = m_library.has_file_types() ? disk_type(type) : 0;
    return store_block();
}

Result<bool> Directory::is_empty()
{
    TRY(load());
    return m_names == 0;
}

Result<> Directory::read(u64 position, DirectorySink& sink)
{
    TRY(load());
    const u32 block_size = m_library.block_size();
    for (u64 block = position / block_size; block < m_places.size(); ++block) {
        TRY(load_block(static_cast<u32>(block)));
        for (u32 offset = 0; offset < block_size;) {
            const Entry entry = TRY(entry_at(offset));
            const u64 here = block * block_size + offset;
            offset += entry.length;
            if (here < position || entry.inode == 0)
                continue;
            if (!sink.add({ entry.name, entry.inode, dirent_type(entry.type), block * block_size + offset }))
                return {};
        }
    }
    return {};
}

} // namespace eremite::ext
