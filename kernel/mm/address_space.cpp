// Where mappings are: the tree, the search for room, making them. Changing and removing: address_space_change.cpp,
// address_space_remove.cpp.
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

void AddressSpace::insert(Mapping& mapping)
{
    m_mappings.insert(mapping);
    m_mapped += mapping.range.length;
    if (mapping.locked)
        m_locked_bytes += mapping.range.length;
    if (mapping.object)
        mapping.object->m_mapping_count.fetch_add(1, std::memory_order_relaxed);
}

/// The highest place for `length` bytes and a gap on either side, below the top. ENOMEM.
Result<VirtualAddress> AddressSpace::find_room(u64 length, u64 alignment)
{
    if (length > m_map_top)
        return Errno::ENOMEM;
    u64 end = m_map_top;
    if (length + alignment + 2 * k_mapping_gap > m_largest_skipped)
        end = m_search_from;
    u64 skipped = end == m_map_top ? 0 : m_largest_skipped;

    auto above = m_mappings.lower_bound(end);
    if (above != m_mappings.end())
        end = std::min(end, above->range.start.value() - k_mapping_gap);
    while (true) {
        u64 floor = k_lowest;
        bool is_lowest = above == m_mappings.begin();
        if (!is_lowest) {
            --above;
            floor = std::max(floor, above->range.end().value() + k_mapping_gap);
        }
        if (end > floor) {
            u64 start = end >= length ? align_down(end - length, alignment) : 0;
            if (start >= floor) {
                m_search_from = start > k_mapping_gap ? start - k_mapping_gap : 0;
                m_largest_skipped = std::max(skipped, end - (start + length) + 2 * k_mapping_gap);
                return VirtualAddress(start);
            }
            skipped = std::max(skipped, end - floor + 2 * k_mapping_gap);
        }
        if (is_lowest)
            return Errno::ENOMEM;
        end = std::min(end, above->range.start.value() - std::min(above->range.start.value(), k_mapping_gap));
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
    bool large = request.length >= k_large_page_size && !request.object && request.kind != MappingKind::Guard;
    return find_room(request.length, large ? k_large_page_size : k_page_size);
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
        Mapping* there = at_or_after(range.start);
        const bool is_taken = there && there->range.start < range.end();
        if (is_taken && !ER_HAS_PART(mapping_changes)) {
            log_warning("mm: MAP_FIXED over a mapping needs a program that also changes or removes mappings");
            return Errno::ENOMEM;
        }
        TlbBatch batch;
        if (is_taken)
            TRY(ER_PART(mapping_changes).remove(*this, range, batch, removed));
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
    if (ER_HAS_PART(mapping_changes)) {
        if (request.place != MapRequest::Place::Anywhere)
            ER_PART(mapping_changes).merge_around(*this, range);
        if (request.populate || m_populate_future) // as far as memory goes
            ER_PART(mapping_changes).populate(*this, range, (request.protection & abi::k_prot_write) != 0);
    }
    return range.start;
}

Result<VirtualRange> AddressSpace::map_main_stack(u64 length)
{
    MapRequest request;
    request.kind = MappingKind::Guard;
    request.length = length + k_stack_guard;
    request.reserve = false;
    VirtualAddress start = TRY(map(std::move(request)));

    auto stack = TRY(make<Mapping>());
    stack->range = { start + k_stack_guard, length };
    stack->kind = MappingKind::MainStack;
    stack->protection = abi::k_prot_read | abi::k_prot_write;
    Locked lock(m_lock);
    at(start)->range.length = k_stack_guard;
    m_mapped -= length; // which insert() adds
    insert(*stack.leak());
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
