// Page faults on mappings of files: the object's own pages, and private copies of them. In the image if a MemoryObject
// is.
#include "mm/address_space.h"

namespace eremite {

namespace {

using Format = PageTable::Format;

PageFaultResult result_of(Errno error)
{
    return error == Errno::ENOMEM ? PageFaultResult::OutOfMemory : PageFaultResult::BeyondEnd;
}

void copy_page(PhysicalAddress to, PhysicalAddress from)
{
    __builtin_memcpy(direct_map(to), direct_map(from), k_page_size);
}

void store(u64& entry, u64 value)
{
    std::atomic_ref(entry).store(value, std::memory_order_release);
}

Result<> name_file(MapRequest& request, int fd, u64 offset)
{
    request.file = TRY(fd_table().get(fd));
    bool writes = request.shared && (request.protection & abi::k_prot_write) != 0;
    if (!request.file->is_readable() || (writes && !request.file->is_writable()))
        return Errno::EACCES;
    const bool is_sealed = request.shared && request.file->is_write_sealed();
    if (writes && is_sealed)
        return Errno::EPERM;
    u64 end;
    if (__builtin_add_overflow(offset, request.length, &end) || end > INT64_MAX)
        return Errno::EOVERFLOW;
    request.object = TRY(request.file->memory_object());
    request.kind = MappingKind::File;
    request.offset = offset;
    request.may_write = request.file->is_writable() && !is_sealed;
    return {};
}

} // namespace

/// Gives a private mapping a page of its own in place of the object's.
PageFaultResult AddressSpace::copy_on_write(Mapping& mapping, VirtualAddress page, u64& entry)
{
    auto frame = allocate_frames_reclaiming(0);
    if (frame.is_error())
        return PageFaultResult::OutOfMemory;
    copy_page(frame.value(), Format::address(entry, 0));
    arch::publish_tables();
    // Other processors may still read the object's page by the old translation: they must not go on doing so once a
    // write can be seen. Break before make, too.
    TlbBatch batch;
    PageTable::exchange(entry, 0);
    batch.invalidate(page);
    batch.flush();
    store(entry, Format::leaf_entry(frame.value(), mapping.attributes(), 0));
    arch::publish_tables();
    ++m_resident;
    return PageFaultResult::Resolved;
}

PageFaultResult AddressSpace::fault_file(Mapping& mapping, VirtualAddress page, arch::Access access)
{
    auto ensured = m_table.ensure(page, 0);
    if (ensured.is_error())
        return PageFaultResult::OutOfMemory;
    u64& entry = *ensured.value();
    bool write = access == arch::Access::Write;
    if (!mapping.shared && write && Format::is_present(entry))
        return copy_on_write(mapping, page, entry);

    u64 index = mapping.page_index(page);
    auto got = mapping.object->page_for_mapping(index, mapping.shared && write);
    if (got.is_error())
        return result_of(got.error());
    PhysicalAddress frame = got.value();
    arch::PageAttributes attributes = mapping.attributes();
    if (!mapping.shared && write) {
        auto copy = allocate_frames_reclaiming(0);
        if (copy.is_error())
            return PageFaultResult::OutOfMemory;
        copy_page(copy.value(), frame);
        frame = copy.value();
        ++m_resident;
    } else {
        attributes.borrowed = true;
        // Until it is written to: then the object is told, or a private copy made.
        attributes.writable = mapping.shared && write;
    }
    arch::publish_tables();
    if (Format::is_present(entry) && Format::address(entry, 0) != frame) {
        TlbBatch batch;
        PageTable::exchange(entry, 0);
        batch.invalidate(page);
    }
    store(entry, Format::leaf_entry(frame, attributes, 0));
    arch::publish_tables();
    arch::invalidate_page(page);
    if (attributes.executable)
        arch::synchronize_instructions(page, k_page_size);
    return PageFaultResult::Resolved;
}

struct FileMappings {
    static PageFaultResult fault(
        AddressSpace& space, Mapping& mapping, VirtualAddress page, arch::Access access) NO_THREAD_SAFETY_ANALYSIS
    {
        return space.fault_file(mapping, page, access);
    }
};

ER_DEFINE_PART(FileMappingsPart, file_mappings, FileMappings::fault, name_file)

} // namespace eremite
