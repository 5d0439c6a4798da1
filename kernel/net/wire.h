// Integers and headers as they stand in packets: big-endian, alignment 1. A header is looked at through header_at(),
// which checks that it lies within the bytes there are.
#pragma once

#include "base/types.h"
#include <array>
#include <bit>
#include <span>
#include <type_traits>

namespace eremite::net {

/// A big-endian unsigned integer.
template<typename T> class Be {
public:
    constexpr Be() = default;
    constexpr Be(T value)
        : m_bytes(std::bit_cast<Bytes>(swap(value)))
    {
    }
    constexpr operator T() const { return swap(std::bit_cast<T>(m_bytes)); }
    /// The value as it lies in memory, for checksums and comparisons.
    constexpr T raw() const { return std::bit_cast<T>(m_bytes); }
    static constexpr Be from_raw(T raw)
    {
        Be result;
        result.m_bytes = std::bit_cast<Bytes>(raw);
        return result;
    }

private:
    using Bytes = std::array<u8, sizeof(T)>;
    static constexpr T swap(T value)
    {
        if constexpr (std::endian::native == std::endian::big)
            return value;
        else
            return std::byteswap(value);
    }
    Bytes m_bytes {};
};

using Be16 = Be<u16>;
using Be32 = Be<u32>;
using Be64 = Be<u64>;

#pragma clang unsafe_buffer_usage begin // span::data() of a span that was checked to hold a T
/// The header of type T at `offset`; null if the bytes end before it does.
template<typename T> T* header_at(std::span<u8> bytes, usize offset = 0)
{
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) == 1);
    if (bytes.size() < sizeof(T) || offset > bytes.size() - sizeof(T))
        return nullptr;
    return reinterpret_cast<T*>(bytes.subspan(offset).data());
}
template<typename T> const T* header_at(std::span<const u8> bytes, usize offset = 0)
{
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) == 1);
    if (bytes.size() < sizeof(T) || offset > bytes.size() - sizeof(T))
        return nullptr;
    return reinterpret_cast<const T*>(bytes.subspan(offset).data());
}
#pragma clang unsafe_buffer_usage end

/// The bytes of a header.
template<typename T> std::span<const u8> bytes_of(const T& header)
{
    static_assert(std::is_trivially_copyable_v<T>);
    return { reinterpret_cast<const u8*>(&header), sizeof(T) };
}
template<typename T> std::span<u8> writable_bytes_of(T& header)
{
    static_assert(std::is_trivially_copyable_v<T>);
    return { reinterpret_cast<u8*>(&header), sizeof(T) };
}

} // namespace eremite::net
