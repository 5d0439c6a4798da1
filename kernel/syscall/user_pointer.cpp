#include "syscall/user_pointer.h"

#include "arch/paging.h"
#include <algorithm>

namespace eremite {

namespace {

/// is_application_range(), of which the case that is met nearly always is inlined.
[[gnu::always_inline]] inline bool is_valid(u64 address, u64 length)
{
    u64 end;
    if (!__builtin_add_overflow(address, length, &end) && end <= arch::address_layout().application_end
        && (end <= g_kernel_parts_start || address >= g_kernel_parts_end)) [[likely]]
        return true;
    return is_application_range(address, length);
}

} // namespace

Result<> copy_from_user(void* destination, u64 source, usize length)
{
    if (!is_valid(source, length) || arch::copy_user(destination, reinterpret_cast<const void*>(source), length) != 0)
        return Errno::EFAULT;
    return {};
}

Result<> copy_to_user(u64 destination, const void* source, usize length)
{
    if (!is_valid(destination, length) || arch::copy_user(reinterpret_cast<void*>(destination), source, length) != 0)
        return Errno::EFAULT;
    return {};
}

Result<> clear_user(u64 destination, usize length)
{
    if (!is_valid(destination, length)) [[unlikely]]
        return Errno::EFAULT;
    return arch::clear_user(reinterpret_cast<void*>(destination), length) == 0 ? Result<>() : Errno::EFAULT;
}

Result<String> UserString::copy(usize limit) const
{
    if (!is_application_range(m_address, 1))
        return Errno::EFAULT;
    isize length = arch::user_string_length(reinterpret_cast<const char*>(m_address), limit + 1);
    if (length < 0)
        return Errno::EFAULT;
    if (static_cast<usize>(length) > limit)
        return Errno::ENAMETOOLONG;
    Vector<char> text;
    TRY(text.try_resize(static_cast<usize>(length)));
    TRY(copy_from_user(text.span().data(), m_address, text.size()));
    // Another thread may have changed it since it was measured: what was copied up to the first NUL is the string.
    std::string_view copied(text.span().data(), text.size());
    return String::create(copied.substr(0, copied.find('\0')));
}

Result<> IoBuffer::write(IoBuffer buffer, std::span<const u8> source)
{
    if (!buffer.is_kernel()) [[likely]]
        return buffer.user().copy_from_kernel(source);
    ASSERT(source.size() <= buffer.size());
    std::ranges::copy(source, buffer.kernel().begin());
    return {};
}

Result<> IoBuffer::read(IoBuffer buffer, std::span<u8> destination)
{
    if (!buffer.is_kernel()) [[likely]]
        return buffer.user().copy_to_kernel(destination);
    std::ranges::copy(buffer.kernel().first(destination.size()), destination.begin());
    return {};
}

Result<> IoBuffer::clear(IoBuffer buffer)
{
    if (!buffer.is_kernel()) [[likely]]
        return buffer.user().clear();
    std::ranges::fill(buffer.kernel(), u8 { 0 });
    return {};
}

} // namespace eremite
