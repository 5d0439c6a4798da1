// Fixed-width integers, sizes, addresses and durations as strong types, and literals for them.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace eremite {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using usize = std::size_t;
using isize = std::ptrdiff_t;

inline constexpr usize k_page_size = 4096;
inline constexpr usize k_page_shift = 12;
inline constexpr usize k_large_page_size = usize { 2 } << 20;

namespace literals {
constexpr usize operator""_KiB(unsigned long long n)
{
    return static_cast<usize>(n) << 10;
}
constexpr usize operator""_MiB(unsigned long long n)
{
    return static_cast<usize>(n) << 20;
}
constexpr usize operator""_GiB(unsigned long long n)
{
    return static_cast<usize>(n) << 30;
}
} // namespace literals
using namespace literals;

/// An address of which only the kind is fixed; the tag keeps physical and virtual ones apart.
template<typename Tag> class Address {
public:
    constexpr Address() = default;
    constexpr explicit Address(u64 value)
        : m_value(value)
    {
    }

    constexpr u64 value() const { return m_value; }
    constexpr bool is_null() const { return m_value == 0; }
    constexpr Address offset(i64 bytes) const { return Address(m_value + static_cast<u64>(bytes)); }
    constexpr Address page_floor() const { return Address(m_value & ~u64 { k_page_size - 1 }); }
    constexpr u64 page_offset() const { return m_value & (k_page_size - 1); }
    constexpr auto operator<=>(const Address&) const = default;
    constexpr Address operator+(u64 bytes) const { return Address(m_value + bytes); }
    constexpr Address operator-(u64 bytes) const { return Address(m_value - bytes); }
    constexpr u64 operator-(Address other) const { return m_value - other.m_value; }
    constexpr Address& operator+=(u64 bytes)
    {
        m_value += bytes;
        return *this;
    }

private:
    u64 m_value { 0 };
};

using PhysicalAddress = Address<struct PhysicalTag>;
using VirtualAddress = Address<struct VirtualTag>;

/// Half-open range [start, start + length) of virtual addresses, in bytes.
struct VirtualRange {
    VirtualAddress start;
    u64 length { 0 };

    constexpr VirtualAddress end() const { return start + length; }
    constexpr bool contains(VirtualAddress address) const { return address >= start && address - start < length; }
    constexpr bool operator==(const VirtualRange&) const = default;
};

/// Half-open range [start, start + length) of physical addresses, in bytes.
struct PhysicalRange {
    PhysicalAddress start;
    u64 length { 0 };

    constexpr PhysicalAddress end() const { return start + length; }
    constexpr bool contains(PhysicalAddress address) const { return address >= start && address - start < length; }
    constexpr bool operator==(const PhysicalRange&) const = default;
};

/// A duration, or a point in time since the clock's epoch, in nanoseconds. Signed, so that differences work;
/// 292 years either way.
class Nanoseconds {
public:
    constexpr Nanoseconds() = default;
    constexpr explicit Nanoseconds(i64 value)
        : m_value(value)
    {
    }

    static constexpr u64 k_per_second = 1'000'000'000;

    static constexpr Nanoseconds max() { return Nanoseconds(INT64_MAX); }
    static constexpr Nanoseconds from_microseconds(i64 n) { return Nanoseconds(n * 1000); }
    static constexpr Nanoseconds from_milliseconds(i64 n) { return Nanoseconds(n * 1'000'000); }
    static constexpr Nanoseconds from_seconds(i64 n) { return Nanoseconds(n * 1'000'000'000); }

    constexpr i64 value() const { return m_value; }
    constexpr i64 microseconds() const { return m_value / 1000; }
    constexpr i64 milliseconds() const { return m_value / 1'000'000; }
    constexpr i64 seconds() const { return m_value / 1'000'000'000; }
    constexpr auto operator<=>(const Nanoseconds&) const = default;
    /// Saturates: a deadline "now + max()" is never.
    constexpr Nanoseconds operator+(Nanoseconds other) const
    {
        i64 sum;
        if (__builtin_add_overflow(m_value, other.m_value, &sum))
            sum = other.m_value > 0 ? INT64_MAX : INT64_MIN;
        return Nanoseconds(sum);
    }
    constexpr Nanoseconds operator-(Nanoseconds other) const
    {
        i64 difference;
        if (__builtin_sub_overflow(m_value, other.m_value, &difference))
            difference = other.m_value < 0 ? INT64_MAX : INT64_MIN;
        return Nanoseconds(difference);
    }

private:
    i64 m_value { 0 };
};

constexpr bool is_page_aligned(u64 value)
{
    return (value & (k_page_size - 1)) == 0;
}

/// `alignment` is a power of two. align_up may wrap to 0; callers check lengths first.
constexpr u64 align_down(u64 value, u64 alignment)
{
    return value & ~(alignment - 1);
}
constexpr u64 align_up(u64 value, u64 alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}
constexpr bool is_power_of_two(u64 value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

} // namespace eremite
