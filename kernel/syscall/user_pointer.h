// How system calls see application memory: UserPointer<T>, UserSpan<T>, UserString, and nothing else. Each copy checks
// that the range is the application's, survives a fault and gives EFAULT (Linux does the same), and fetches a value
// once: keep the copy, don't read again. They sleep (demand paging): never under a spinlock.
#pragma once

#include "arch/user_copy.h"
#include "base/result.h"
#include "base/string.h"
#include "base/types.h"
#include <span>

namespace eremite {

/// Whether [address, address + length) can be application memory at all: inside the application's half, and clear of
/// the kernel's own part of the image. Says nothing about what is mapped. Defined by mm/address_space.cpp.
bool is_application_range(u64 address, u64 length);
/// All of the kernel's parts of the image lie in [start, end); set once.
inline constinit u64 g_kernel_parts_start = ~u64 { 0 };
inline constinit u64 g_kernel_parts_end = 0;

Result<> copy_from_user(void* destination, u64 source, usize length);
Result<> copy_to_user(u64 destination, const void* source, usize length);
Result<> clear_user(u64 destination, usize length);

/// Pointer to one T, or to the first of several, in application memory.
template<typename T> class UserPointer {
public:
    constexpr UserPointer() = default;
    constexpr explicit UserPointer(u64 address)
        : m_address(address)
    {
    }

    constexpr u64 address() const { return m_address; }
    constexpr bool is_null() const { return m_address == 0; }
    constexpr explicit operator bool() const { return m_address != 0; }
    constexpr UserPointer at(usize index) const { return UserPointer(m_address + index * sizeof(T)); }
    template<typename U> constexpr UserPointer<U> as() const { return UserPointer<U>(m_address); }

    /// A copy of *this. EFAULT.
    Result<T> read() const
    {
        static_assert(std::is_trivially_copyable_v<T>);
        T value;
        TRY(copy_from_user(&value, m_address, sizeof(T)));
        return value;
    }
    /// EFAULT.
    Result<> write(const T& value) const
    {
        static_assert(std::is_trivially_copyable_v<T>);
        return copy_to_user(m_address, &value, sizeof(T));
    }

private:
    u64 m_address { 0 };
};

/// `size` elements of application memory, bounds kept.
template<typename T> class UserSpan {
public:
    constexpr UserSpan() = default;
    constexpr UserSpan(u64 address, usize size)
        : m_address(address)
        , m_size(size)
    {
    }
    constexpr UserSpan(UserPointer<T> pointer, usize size)
        : UserSpan(pointer.address(), size)
    {
    }

    constexpr u64 address() const { return m_address; }
    constexpr usize size() const { return m_size; }
    constexpr bool is_empty() const { return m_size == 0; }
    constexpr UserSpan first(usize count) const
    {
        ASSERT(count <= m_size);
        return { m_address, count };
    }
    constexpr UserSpan subspan(usize offset) const
    {
        ASSERT(offset <= m_size);
        return { m_address + offset * sizeof(T), m_size - offset };
    }

    /// Application to kernel; copies destination.size() elements, which must not be more than size(). EFAULT.
    Result<> copy_to_kernel(std::span<T> destination) const
    {
        ASSERT(destination.size() <= m_size);
        return copy_from_user(destination.data(), m_address, destination.size_bytes());
    }
    /// Kernel to application; likewise. EFAULT.
    Result<> copy_from_kernel(std::span<const T> source) const
    {
        ASSERT(source.size() <= m_size);
        return copy_to_user(m_address, source.data(), source.size_bytes());
    }
    /// Fills all of it with zero. EFAULT.
    Result<> clear() const { return clear_user(m_address, m_size * sizeof(T)); }

private:
    u64 m_address { 0 };
    usize m_size { 0 };
};

using UserBytes = UserSpan<u8>;

/// A NUL-terminated string in application memory.
class UserString {
public:
    constexpr UserString() = default;
    constexpr explicit UserString(u64 address)
        : m_address(address)
    {
    }
    constexpr u64 address() const { return m_address; }
    constexpr bool is_null() const { return m_address == 0; }
    /// A copy without the NUL. EFAULT; ENAMETOOLONG if longer than `limit`.
    Result<String> copy(usize limit = 4095) const;

private:
    u64 m_address { 0 };
};

/// The same kind of buffer wherever it lies: what File::read and write take, so that kernel callers (sendfile, strace,
/// the ELF loader) use the same files as the application does. Two words, so that it travels in registers.
class IoBuffer {
public:
    IoBuffer(UserBytes user)
        : m_address(user.address())
        , m_size(user.size() & ~k_kernel)
    {
    }
    IoBuffer(std::span<u8> kernel)
        : m_address(reinterpret_cast<u64>(kernel.data()))
        , m_size(kernel.size() | k_kernel)
    {
    }

    usize size() const { return m_size & ~k_kernel; }
    bool is_empty() const { return size() == 0; }
    bool is_kernel() const { return (m_size & k_kernel) != 0; }
    /// Only if it isn't the kernel's.
    UserBytes user() const
    {
        ASSERT(!is_kernel());
        return { m_address, m_size };
    }
    IoBuffer subspan(usize offset) const
    {
        ASSERT(offset <= size());
        return { m_address + offset, m_size - offset };
    }
    IoBuffer first(usize count) const
    {
        ASSERT(count <= size());
        return { m_address, count | (m_size & k_kernel) };
    }
    /// Copies `source` to the start of the buffer; source.size() <= size(). EFAULT.
    Result<> write(std::span<const u8> source) const { return write(*this, source); }
    /// Copies the start of the buffer to `destination`; destination.size() <= size(). EFAULT.
    Result<> read(std::span<u8> destination) const { return read(*this, destination); }
    /// Zeroes the whole buffer. EFAULT.
    Result<> clear() const { return clear(*this); }

private:
    // By value: a `this` would have to be in memory.
    static Result<> write(IoBuffer buffer, std::span<const u8> source);
    static Result<> read(IoBuffer buffer, std::span<u8> destination);
    static Result<> clear(IoBuffer buffer);

    static constexpr usize k_kernel = usize { 1 } << 63; // in m_size
    constexpr IoBuffer(u64 address, usize size)
        : m_address(address)
        , m_size(size)
    {
    }
    std::span<u8> kernel() const { return { reinterpret_cast<u8*>(m_address), size() }; }

    u64 m_address { 0 };
    usize m_size { 0 };
};

} // namespace eremite
