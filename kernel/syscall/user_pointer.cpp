#include "syscall/user_pointer.h"

#include <algorithm>

namespace eremite {

Result<> copy_from_user(void* destination, u64 source, usize length)
{
    if (!is_application_range(source, length)
        || arch::copy_user(destination, reinterpret_cast<const void*>(source), length) != 0)
        return Errno::EFAULT;
    return {};
}

Result<> copy_to_user(u64 destination, const void* source, usize length)
{
    if (!is_application_range(destination, length)
        || arch::copy_user(reinterpret_cast<void*>(destination), source, length) != 0)
        return Errno::EFAULT;
    return {};
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

Result<> IoBuffer::write(std::span<const u8> source) const
{
    if (!m_is_kernel)
        return m_user.copy_from_kernel(source);
    std::ranges::copy(source, m_kernel.begin());
    return {};
}

Result<> IoBuffer::read(std::span<u8> destination) const
{
    if (!m_is_kernel)
        return m_user.copy_to_kernel(destination);
    std::ranges::copy(m_kernel.first(destination.size()), destination.begin());
    return {};
}

Result<> IoBuffer::clear() const
{
    if (!m_is_kernel)
        return m_user.clear();
    std::ranges::fill(m_kernel, u8 { 0 });
    return {};
}

} // namespace eremite
