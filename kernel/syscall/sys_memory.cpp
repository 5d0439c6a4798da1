#include "syscall/sys_memory.h"

#include "arch/clock.h"
#include "base/log.h"
#include "boot/options.h"
#include "file/file.h"
#include "mm/address_space.h"

#include <algorithm>

namespace eremite {

namespace {

constexpr u32 k_access = abi::k_prot_read | abi::k_prot_write | abi::k_prot_execute;

void say_once(std::atomic<bool>& was_said, const char* line)
{
    if (!was_said.exchange(true, std::memory_order_relaxed))
        log_warning("{}", line);
}

/// No page is ever writable and executable; with the option exec=never nothing becomes executable that isn't. EACCES.
Result<> check_protection(u32 protection)
{
    static constinit std::atomic<bool> s_was_said { false };
    static constinit std::atomic<bool> s_never_was_said { false };
    if ((protection & abi::k_prot_execute) != 0 && boot_option("exec") == "never") {
        say_once(s_never_was_said, "mm: executable memory was refused (EACCES), as the option exec=never says");
        return Errno::EACCES;
    }
    if ((protection & (abi::k_prot_write | abi::k_prot_execute)) != (abi::k_prot_write | abi::k_prot_execute))
        return {};
    say_once(s_was_said,
        "mm: memory that is both writable and executable was refused (EACCES): write first, then make it executable by "
        "mprotect");
    return Errno::EACCES;
}

/// [address, address + length), the length rounded up to pages; length 0 if it wraps or leaves the application's half.
VirtualRange page_range(u64 address, u64 length)
{
    u64 end;
    if (__builtin_add_overflow(address, length, &end) || end > arch::address_layout().application_end)
        return { VirtualAddress(address), 0 };
    return { VirtualAddress(address), align_up(end, k_page_size) - address };
}

Result<> check_flags(u32 flags)
{
    static constinit std::atomic<bool> s_was_said { false };
    u32 type = flags & abi::k_map_type;
    if (type != abi::k_map_shared && type != abi::k_map_private && type != abi::k_map_shared_validate)
        return Errno::EINVAL;
    if ((flags & abi::k_map_growsdown) != 0) {
        say_once(s_was_said, "mm: mmap with MAP_GROWSDOWN is not supported (EOPNOTSUPP): stacks have a fixed size");
        return Errno::EOPNOTSUPP;
    }
    if (type == abi::k_map_shared_validate && (flags & abi::k_map_sync) != 0)
        return Errno::EOPNOTSUPP;
    // No page is set aside for it, as on a Linux with none configured.
    if ((flags & abi::k_map_hugetlb) != 0)
        return Errno::ENOMEM;
    return {};
}

Result<> name_file(MapRequest& request, int fd, u64 offset)
{
    if (ER_HAS_PART(file_mappings))
        return ER_PART(file_mappings).name(request, fd, offset);
    TRY(fd_table().get(fd));
    return Errno::ENODEV; // of no file in this image there is more than the way to write to it
}

} // namespace

Result<long> sys_mmap(u64 address, u64 length, u32 protection, u32 flags, int fd, u64 offset)
{
    TRY(check_flags(flags));
    if (length == 0 || !is_page_aligned(offset))
        return Errno::EINVAL;
    TRY(check_protection(protection));
    if (length > arch::address_layout().application_end)
        return Errno::ENOMEM;

    MapRequest request;
    request.length = align_up(length, k_page_size);
    request.protection = static_cast<u8>(protection & k_access);
    request.shared = (flags & abi::k_map_type) != abi::k_map_private;
    request.populate = (flags & abi::k_map_populate) != 0 || (flags & abi::k_map_locked) != 0;
    request.reserve = (flags & abi::k_map_noreserve) == 0;
    request.address = VirtualAddress(address);
    if ((flags & abi::k_map_fixed_noreplace) != 0)
        request.place = MapRequest::Place::FixedNoReplace;
    else if ((flags & abi::k_map_fixed) != 0)
        request.place = MapRequest::Place::Fixed;
    if (request.place == MapRequest::Place::Anywhere)
        request.address = VirtualAddress(align_down(address, k_page_size));
    else if (!is_page_aligned(address))
        return Errno::EINVAL;
    if ((flags & abi::k_map_anonymous) == 0)
        TRY(name_file(request, fd, offset));
    return static_cast<long>(TRY(address_space().map(std::move(request))).value());
}

Result<long> sys_munmap(u64 address, u64 length)
{
    VirtualRange range = page_range(address, length);
    if (!is_page_aligned(address) || range.length == 0)
        return Errno::EINVAL;
    TRY(address_space().unmap(range));
    return 0;
}

Result<long> sys_mprotect(u64 address, u64 length, u32 protection)
{
    if (!is_page_aligned(address) || (protection & ~k_access) != 0)
        return Errno::EINVAL;
    if (length == 0)
        return 0;
    TRY(check_protection(protection));
    VirtualRange range = page_range(address, length);
    if (range.length == 0)
        return Errno::ENOMEM;
    TRY(address_space().protect(range, static_cast<u8>(protection)));
    return 0;
}

Result<long> sys_mremap(u64 address, u64 old_length, u64 length, u32 flags, u64 target)
{
    constexpr u32 known = abi::k_mremap_maymove | abi::k_mremap_fixed | abi::k_mremap_dontunmap;
    bool is_fixed = (flags & abi::k_mremap_fixed) != 0;
    bool leaves_mapping = (flags & abi::k_mremap_dontunmap) != 0;
    if ((flags & ~known) != 0 || !is_page_aligned(address) || length == 0
        || (is_fixed && (!is_page_aligned(target) || target == 0))
        || ((is_fixed || leaves_mapping) && (flags & abi::k_mremap_maymove) == 0)
        || (leaves_mapping && length != old_length))
        return Errno::EINVAL;
    // Length 0 would make a second mapping of shared memory: files can be mapped twice instead.
    VirtualRange range = page_range(address, old_length);
    if (range.length == 0)
        return old_length == 0 ? Errno::EINVAL : Errno::EFAULT;
    if (length > arch::address_layout().application_end)
        return Errno::ENOMEM;
    if (leaves_mapping)
        return static_cast<long>(
            TRY(address_space().move_pages_away(range, VirtualAddress(is_fixed ? target : 0))).value());
    auto result = TRY(address_space().remap(range, align_up(length, k_page_size), (flags & abi::k_mremap_maymove) != 0,
        VirtualAddress(is_fixed ? target : 0)));
    return static_cast<long>(result.value());
}

Result<long> sys_madvise(u64 address, u64 length, int advice)
{
    using enum abi::Advice;
    bool is_known = (advice >= static_cast<int>(Normal) && advice <= static_cast<int>(DontNeed))
        || (advice >= static_cast<int>(Free) && advice <= static_cast<int>(PopulateWrite));
    if (!is_known || !is_page_aligned(address))
        return Errno::EINVAL;
    if (length == 0)
        return 0;
    VirtualRange range = page_range(address, length);
    if (range.length == 0)
        return address + length < address ? Errno::EINVAL : Errno::ENOMEM;
    TRY(address_space().advise(range, static_cast<abi::Advice>(advice)));
    return 0;
}

Result<long> sys_mincore(u64 address, u64 length, UserPointer<u8> pages)
{
    if (!is_page_aligned(address))
        return Errno::EINVAL;
    if (length == 0)
        return 0;
    VirtualRange range = page_range(address, length);
    if (range.length == 0)
        return Errno::ENOMEM;
    u64 count = range.length >> k_page_shift;
    UserSpan<u8> result(pages, count);
    std::array<u8, 256> buffer;
    for (u64 done = 0; done < count;) {
        u64 now = std::min<u64>(count - done, buffer.size());
        auto part = std::span(buffer).first(now);
        TRY(address_space().residency({ range.start + (done << k_page_shift), now << k_page_shift }, part));
        TRY(result.subspan(done).copy_from_kernel(part));
        done += now;
    }
    return 0;
}

Result<long> sys_msync(u64 address, u64 length, u32 flags)
{
    constexpr u32 known = abi::k_ms_async | abi::k_ms_invalidate | abi::k_ms_sync;
    constexpr u32 both = abi::k_ms_async | abi::k_ms_sync;
    if (!is_page_aligned(address) || (flags & ~known) != 0 || (flags & both) == both)
        return Errno::EINVAL;
    if (length == 0)
        return 0;
    VirtualRange range = page_range(address, length);
    if (range.length == 0)
        return Errno::ENOMEM;
    TRY(address_space().sync(range, (flags & abi::k_ms_sync) != 0, (flags & abi::k_ms_invalidate) != 0));
    return 0;
}

namespace {

Result<long> set_locked(u64 address, u64 length, bool locked, bool populate)
{
    VirtualRange range = page_range(align_down(address, k_page_size), length + (address & (k_page_size - 1)));
    if (length == 0)
        return 0;
    if (range.length == 0 || address + length < address)
        return address + length < address ? Errno::EINVAL : Errno::ENOMEM;
    TRY(address_space().set_locked(range, locked, populate));
    return 0;
}

} // namespace

Result<long> sys_mlock(u64 address, u64 length)
{
    return set_locked(address, length, true, true);
}

Result<long> sys_mlock2(u64 address, u64 length, u32 flags)
{
    if ((flags & ~abi::k_mlock_onfault) != 0)
        return Errno::EINVAL;
    return set_locked(address, length, true, flags == 0);
}

Result<long> sys_munlock(u64 address, u64 length)
{
    return set_locked(address, length, false, false);
}

Result<long> sys_mlockall(u32 flags)
{
    constexpr u32 known = abi::k_mcl_current | abi::k_mcl_future | abi::k_mcl_onfault;
    if (flags == 0 || (flags & ~known) != 0 || flags == abi::k_mcl_onfault)
        return Errno::EINVAL;
    bool populate = (flags & abi::k_mcl_onfault) == 0;
    TRY(address_space().set_all_locked((flags & abi::k_mcl_current) != 0, (flags & abi::k_mcl_future) != 0, populate));
    return 0;
}

Result<long> sys_munlockall()
{
    TRY(address_space().set_all_locked(false, false, false));
    return 0;
}

long sys_brk(u64 end)
{
    return static_cast<long>(address_space().set_break(VirtualAddress(end)).value());
}

Result<long> sys_sysinfo(UserPointer<abi::SystemInformation> user)
{
    FrameStatistics frames = frame_statistics();
    abi::SystemInformation information;
    information.uptime = arch::now().seconds();
    information.total_ram = frames.total * k_page_size;
    information.free_ram = frames.free * k_page_size;
    information.processes = 1;
    TRY(user.write(information));
    return 0;
}

} // namespace eremite
