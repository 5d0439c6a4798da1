// Where mappings are: the tree, the search for room, splitting and removing.
#include "mm/address_space.h"

#include "base/late.h"
#include "base/log.h"

#include <algorithm>

namespace eremite {

namespace {

constinit Late<AddressSpace> s_address_space;
/// The kernel's parts of the image, never the application's; set once.
constinit std::array<VirtualRange, 4> s_kernel_parts {};
constinit usize s_kernel_part_count = 0;

/// Low addresses stay empty, so that null pointers with an offset fault.
constexpr u64 k_lowest = 64_KiB;
/// Between mappings that the application didn't place itself, so that running past the end of one is noticed.
constexpr u64 k_gap = k_page_size;
constexpr u64 k_stack_guard = 256_KiB;

} // namespace

bool is_application_range(u64 address, u64 length)
{
    u64 end;
    if (__builtin_add_overflow(address, length, &end) || end > arch::address_layout().application_end)
        return false;
    if (end <= g_kernel_parts_start || address >= g_kernel_parts_end) [[likely]]
        return true;
    for (const VirtualRange& part : std::span(s_kernel_parts).first(s_kernel_part_count)) {
        if (address < part.end().value() && end > part.start.value())
            return false;
    }
    return true;
}

AddressSpace& address_space()
{
    return *s_address_space;
}

AddressSpace& create_address_space(const AddressSpace::Layout& layout, std::span<const ImagePart> image)
{
    AddressSpace& space = s_address_space.construct();
    for (const ImagePart& part : image) {
        if (part.kind != MappingKind::Kernel)
            continue;
        ASSERT(s_kernel_part_count < s_kernel_parts.size());
        s_kernel_parts[s_kernel_part_count++] = part.range;
        g_kernel_parts_start = std::min(g_kernel_parts_start, part.range.start.value());
        g_kernel_parts_end = std::max(g_kernel_parts_end, part.range.end().value());
    }
    if (space.initialize(layout, image).is_error())
        panic("too little memory to list the image's parts");
    return space;
}

Result<> AddressSpace::initialize(const Layout& layout, std::span<const ImagePart> image)
{
    Locked lock(m_lock);
    m_table = PageTable(layout.root);
    m_map_top = layout.map_top.value();
    m_search_from = m_map_top;
    m_heap_start = layout.heap_start.value();
    m_break = m_heap_start;
    for (const ImagePart& part : image) {
        if (part.range.length == 0)
            continue;
        auto mapping = TRY(make<Mapping>());
        mapping->range = part.range;
        mapping->kind = part.kind;
        mapping->protection = part.protection;
        mapping->name = part.name;
        insert(*mapping.leak());
    }
    return {};
}

AddressSpace::Removed::~Removed()
{
    while (m_first) {
        auto mapping = OwnPtr<Mapping>::adopt(m_first);
        m_first = mapping->next_removed;
    }
}

void AddressSpace::Removed::add(Mapping& mapping)
{
    mapping.next_removed = m_first;
    m_first = &mapping;
}

Mapping* AddressSpace::at_or_after(VirtualAddress address)
{
    if (m_recent && m_recent->range.contains(address))
        return m_recent;
    auto after = m_mappings.upper_bound(address.value());
    if (after != m_mappings.begin()) {
        auto before = std::prev(after);
        if (before->range.contains(address))
            return &*before;
    }
    return after == m_mappings.end() ? nullptr : &*after;
}

Mapping* AddressSpace::at(VirtualAddress address)
{
    Mapping* mapping = at_or_after(address);
    return mapping && mapping->range.contains(address) ? mapping : nullptr;
}

Mapping* AddressSpace::next(Mapping& mapping)
{
    auto following = std::next(m_mappings.iterator_to(mapping));
    return following == m_mappings.end() ? nullptr : &*following;
}

/// The space between the mappings on either side of `range`, which holds none.
VirtualRange AddressSpace::gap_around(VirtualRange range)
{
    auto after = m_mappings.lower_bound(range.start.value());
    VirtualAddress start;
    VirtualAddress end(u64 { 1 } << 47);
    if (after != m_mappings.end())
        end = after->range.start;
    if (after != m_mappings.begin())
        start = std::prev(after)->range.end();
    return { start, end - start };
}

void AddressSpace::insert(Mapping& mapping)
{
    m_mappings.insert(mapping);
    m_mapped += mapping.range.length;
    if (mapping.locked)
        m_locked_bytes += mapping.range.length;
    if (mapping.object)
        mapping.object->m_mapping_count.fetch_add(1, std::memory_order_relaxed);
}

/// Takes it out of the tree; the pages are the caller's business.
void AddressSpace::forget(Mapping& mapping)
{
    m_mappings.erase(m_mappings.iterator_to(mapping));
    m_mapped -= mapping.range.length;
    if (mapping.locked)
        m_locked_bytes -= mapping.range.length;
    if (mapping.object)
        mapping.object->m_mapping_count.fetch_sub(1, std::memory_order_relaxed);
    if (m_recent == &mapping)
        m_recent = nullptr;
    // The search looks at what became free.
    m_search_from = std::min(std::max(m_search_from, mapping.range.end().value() + k_gap), m_map_top);
}

/// The highest place for `length` bytes and a gap on either side, below the top. ENOMEM.
Result<VirtualAddress> AddressSpace::find_room(u64 length, u64 alignment)
{
    if (length > m_map_top)
        return Errno::ENOMEM;
    u64 end = m_map_top;
    if (length + alignment + 2 * k_gap > m_largest_skipped)
        end = m_search_from;
    u64 skipped = end == m_map_top ? 0 : m_largest_skipped;

    auto above = m_mappings.lower_bound(end);
    if (above != m_mappings.end())
        end = std::min(end, above->range.start.value() - k_gap);
    while (true) {
        u64 floor = k_lowest;
        bool is_lowest = above == m_mappings.begin();
        if (!is_lowest) {
            --above;
            floor = std::max(floor, above->range.end().value() + k_gap);
        }
        if (end > floor) {
            u64 start = end >= length ? align_down(end - length, alignment) : 0;
            if (start >= floor) {
                m_search_from = start > k_gap ? start - k_gap : 0;
                m_largest_skipped = std::max(skipped, end - (start + length) + 2 * k_gap);
                return VirtualAddress(start);
            }
            skipped = std::max(skipped, end - floor + 2 * k_gap);
        }
        if (is_lowest)
            return Errno::ENOMEM;
        end = std::min(end, above->range.start.value() - std::min(above->range.start.value(), k_gap));
    }
}

Result<VirtualAddress> AddressSpace::choose_address(const MapRequest& request)
{
    u64 address = request.address.value();
    u64 end;
    bool possible = !__builtin_add_overflow(address, request.length, &end)
        && end <= arch::address_layout().application_end && address >= k_lowest && is_page_aligned(address);
    VirtualRange range { request.address, request.length };
    if (request.place != MapRequest::Place::Anywhere) {
        if (!possible)
            return address < k_lowest ? Errno::EPERM : Errno::ENOMEM;
        Mapping* there = at_or_after(range.start);
        bool is_taken = there && there->range.start < range.end();
        if (is_taken && request.place == MapRequest::Place::FixedNoReplace)
            return Errno::EEXIST;
        if (is_taken && !may_change(*there, range))
            return Errno::EPERM;
        return request.address;
    }
    if (possible) {
        // A hint: taken if the place is free.
        Mapping* there = at_or_after(range.start);
        if (!there || there->range.start >= range.end())
            return request.address;
    }
    // Long ones begin where a large page can.
    bool large = request.length >= k_large_page_size && !request.object && request.kind != MappingKind::MainStack;
    return find_room(request.length, large ? k_large_page_size : k_page_size);
}

/// Whether the application may change what is in `range`, where `first` is the first mapping.
bool AddressSpace::may_change(Mapping& first, VirtualRange range)
{
    for (Mapping* mapping = &first; mapping && mapping->range.start < range.end(); mapping = next(*mapping)) {
        if (mapping->is_fixed())
            return false;
    }
    return true;
}

/// Makes a large page that straddles `address` small.
Result<> AddressSpace::split_page(const Mapping& mapping, VirtualAddress address, TlbBatch& batch)
{
    PageTable::Slot slot = m_table.find(address);
    if (slot.level != 1 || *slot.entry == 0 || (address.value() & (k_large_page_size - 1)) == 0)
        return {};
    u64 entry = PageTable::unparked(*slot.entry);
    bool owned = mapping.owns_frames() && !PageTable::Format::attributes(entry).borrowed;
    TRY(m_table.split_at(address, batch));
    if (owned)
        split_frames(PageTable::Format::address(entry, 1), 9);
    return {};
}

/// Has a mapping end at `address`, which lies in it, and another begin; returns the other.
Result<Mapping*> AddressSpace::split(Mapping& lower, VirtualAddress address, TlbBatch& batch)
{
    Mapping* mapping = &lower;
    TRY(split_page(*mapping, address, batch));
    auto upper = TRY(make<Mapping>());
    u64 lower_length = address - mapping->range.start;
    upper->range = { address, mapping->range.length - lower_length };
    upper->kind = mapping->kind;
    upper->protection = mapping->protection;
    upper->key = mapping->key;
    upper->shared = mapping->shared;
    upper->locked = mapping->locked;
    upper->large_pages = mapping->large_pages;
    upper->small_pages = mapping->small_pages;
    upper->may_write = mapping->may_write;
    upper->name = mapping->name;
    upper->file = mapping->file;
    upper->object = mapping->object;
    upper->offset = mapping->offset + lower_length;
    // insert() counts the upper part, so the lower gives it up first.
    m_mapped -= upper->range.length;
    if (mapping->locked)
        m_locked_bytes -= upper->range.length;
    mapping->range.length = lower_length;
    Mapping* result = upper.leak();
    insert(*result);
    return result;
}

/// Has mappings begin and end where `range` does.
Result<> AddressSpace::split_ends(VirtualRange range, TlbBatch& batch)
{
    for (VirtualAddress address : { range.start, range.end() }) {
        Mapping* mapping = at(address);
        if (mapping && mapping->range.start != address)
            TRY(split(*mapping, address, batch));
    }
    return {};
}

/// Joins mappings in and at the ends of `range` that one Mapping can describe.
void AddressSpace::merge_around(VirtualRange range)
{
    Mapping* mapping = at_or_after(range.start.value() == 0 ? range.start : range.start - 1);
    while (mapping && mapping->range.start <= range.end()) {
        Mapping* following = next(*mapping);
        if (!following || !mapping->continues_in(*following)) {
            mapping = following;
            continue;
        }
        u64 length = following->range.length;
        bool locked = following->locked;
        u64 search_from = m_search_from;
        forget(*following);
        m_search_from = search_from;
        auto dropped = OwnPtr<Mapping>::adopt(following);
        mapping->range.length += length;
        m_mapped += length;
        if (locked)
            m_locked_bytes += length;
    }
}

/// Frees the pages of `range`, which lies in `mapping` and whose ends no large page straddles.
void AddressSpace::discard_pages(const Mapping& mapping, VirtualRange range, TlbBatch& batch)
{
    bool owned = mapping.owns_frames();
    u64 freed = 0;
    m_table.for_each(range, [&](VirtualAddress address, u64& entry, unsigned level) {
        bool borrowed = PageTable::Format::attributes(entry | 1).borrowed;
        u64 old = PageTable::exchange(entry, 0);
        batch.invalidate(address);
        if (!owned || borrowed)
            return;
        freed += PageTable::span_of(level) >> k_page_shift;
        batch.free_after_flush(PageTable::Format::address(old | 1, level), level == 0 ? 0 : 9);
    });
    m_resident -= freed;
}

/// Unmaps `range`. EPERM, ENOMEM: nothing was changed.
Result<> AddressSpace::remove(VirtualRange range, TlbBatch& batch, Removed& removed)
{
    Mapping* mapping = at_or_after(range.start);
    if (!mapping || mapping->range.start >= range.end())
        return {};
    if (!may_change(*mapping, range))
        return Errno::EPERM;
    // Both ends first: they may fail.
    if (mapping->range.start < range.start)
        mapping = TRY(split(*mapping, range.start, batch));
    Mapping* last = mapping;
    while (last->range.end() < range.end()) {
        Mapping* following = next(*last);
        if (!following || following->range.start >= range.end())
            break;
        last = following;
    }
    if (last->range.end() > range.end())
        TRY(split(*last, range.end(), batch));

    VirtualRange covered { mapping->range.start, last->range.end() - mapping->range.start };
    auto first = m_mappings.iterator_to(*mapping);
    VirtualAddress gap_start = first == m_mappings.begin() ? VirtualAddress() : std::prev(first)->range.end();
    bool is_last = false;
    while (!is_last) {
        is_last = mapping == last;
        Mapping* following = next(*mapping);
        discard_pages(*mapping, mapping->range, batch);
        forget(*mapping);
        removed.add(*mapping);
        mapping = following;
    }
    VirtualAddress gap_end = mapping ? mapping->range.start : VirtualAddress(u64 { 1 } << 47);
    m_table.free_tables(covered, { gap_start, gap_end - gap_start }, batch);
    return {};
}

Result<VirtualAddress> AddressSpace::map(MapRequest&& request)
{
    Removed removed;
    auto mapping = TRY(make<Mapping>());
    Locked lock(m_lock);
    if (scans_code() && request.object && (request.protection & abi::k_prot_execute) != 0) {
        log_warning("isolation: a file was not mapped executable (EACCES): its pages can change; read it into memory");
        return Errno::EACCES;
    }
    VirtualRange range { TRY(choose_address(request)), request.length };
    if (!fits_limit(range.length))
        return Errno::ENOMEM;
    // What is more than all memory there is can't be meant to be used; more than is free may be.
    if (request.reserve && request.protection != 0 && !request.object
        && range.length > frame_statistics().total * k_page_size)
        return Errno::ENOMEM;
    if (request.place == MapRequest::Place::Fixed) {
        TlbBatch batch;
        TRY(remove(range, batch, removed));
    }

    mapping->range = range;
    mapping->kind = request.kind;
    mapping->protection = request.protection;
    mapping->shared = request.shared;
    mapping->locked = m_lock_future;
    mapping->file = std::move(request.file);
    mapping->object = request.object;
    mapping->offset = request.offset;
    mapping->may_write = request.may_write;
    m_recent = mapping.leak();
    insert(*m_recent);
    if (request.place != MapRequest::Place::Anywhere)
        merge_around(range);
    if (request.populate || m_populate_future)
        static_cast<void>(populate(range, (request.protection & abi::k_prot_write) != 0)); // as far as memory goes
    return range.start;
}

Result<> AddressSpace::unmap(VirtualRange range)
{
    Removed removed;
    Locked lock(m_lock);
    TlbBatch batch;
    return remove(range, batch, removed);
}

VirtualAddress AddressSpace::set_break(VirtualAddress end)
{
    Removed removed;
    Locked lock(m_lock);
    TlbBatch batch;
    u64 wanted = end.value();
    if (wanted < m_heap_start || wanted > arch::address_layout().application_end)
        return VirtualAddress(m_break);
    u64 old_end = align_up(m_break, k_page_size);
    u64 new_end = align_up(wanted, k_page_size);
    if (new_end < old_end) {
        if (remove({ VirtualAddress(new_end), old_end - new_end }, batch, removed).is_error())
            return VirtualAddress(m_break);
    } else if (new_end > old_end) {
        VirtualRange grown { VirtualAddress(old_end), new_end - old_end };
        Mapping* above = at_or_after(grown.start);
        bool has_room = !above || above->range.start.value() >= new_end + k_gap;
        if (!has_room || !fits_limit(grown.length) || grown.length > frame_statistics().total * k_page_size)
            return VirtualAddress(m_break);
        auto mapping = make<Mapping>();
        if (mapping.is_error())
            return VirtualAddress(m_break);
        Mapping& added = *mapping.value().leak();
        added.range = grown;
        added.kind = MappingKind::Heap;
        added.protection = abi::k_prot_read | abi::k_prot_write;
        added.locked = m_lock_future;
        insert(added);
        merge_around(grown);
    }
    m_break = wanted;
    return end;
}

Result<VirtualRange> AddressSpace::map_main_stack(u64 length)
{
    MapRequest request;
    request.kind = MappingKind::MainStack;
    request.protection = abi::k_prot_read | abi::k_prot_write;
    request.length = length + k_stack_guard;
    request.reserve = false;
    VirtualAddress start = TRY(map(std::move(request)));

    Locked lock(m_lock);
    TlbBatch batch;
    Mapping* guard = at(start);
    TRY(split(*guard, start + k_stack_guard, batch));
    guard->kind = MappingKind::Guard;
    guard->protection = 0;
    m_stack = { start + k_stack_guard, length };
    return m_stack;
}

AddressSpace::Statistics AddressSpace::statistics()
{
    Locked lock(m_lock);
    return { .mapped = m_mapped,
        .resident = m_resident,
        .locked = m_locked_bytes,
        .mappings = static_cast<u64>(std::distance(m_mappings.begin(), m_mappings.end())),
        .faults = m_faults,
        .heap_start = VirtualAddress(m_heap_start),
        .heap_end = VirtualAddress(m_break),
        .stack = m_stack };
}

const char* AddressSpace::describe(VirtualAddress address)
{
    if (!m_lock.try_lock())
        return nullptr;
    const char* result = nullptr;
    if (const Mapping* mapping = at(address)) {
        switch (mapping->kind) {
        case MappingKind::Anonymous:
            result = mapping->protection == 0 ? "a guard page" : "anonymous memory";
            break;
        case MappingKind::File:
            result = "a mapped file";
            break;
        case MappingKind::Heap:
            result = "heap";
            break;
        case MappingKind::MainStack:
            result = "the main stack";
            break;
        case MappingKind::Guard:
            result = "a guard page";
            break;
        case MappingKind::Image:
        case MappingKind::Constant:
        case MappingKind::Kernel:
            result = mapping->name;
            break;
        }
    }
    m_lock.unlock();
    return result;
}

const char* describe_address(VirtualAddress address)
{
    if (address.value() >= u64 { 1 } << 47)
        return "kernel memory";
    return s_address_space.is_constructed() ? s_address_space->describe(address) : nullptr;
}

} // namespace eremite
