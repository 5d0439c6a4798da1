// A device's registers in memory: every access is one of the width asked for, and within bounds.
#pragma once

#include "base/assert.h"
#include "base/types.h"
#include <span>

namespace eremite {

class Registers {
public:
    constexpr Registers() = default;
    constexpr explicit Registers(std::span<u8> bytes)
        : m_bytes(bytes)
    {
    }
    /// As map_device_memory() gave it.
    Registers(void* mapped, usize length)
        : m_bytes(static_cast<u8*>(mapped), length)
    {
    }

    usize size() const { return m_bytes.size(); }
    explicit operator bool() const { return !m_bytes.empty(); }
    Registers part(usize offset, usize length) const { return Registers(m_bytes.subspan(offset, length)); }

#pragma clang unsafe_buffer_usage begin // the span's bounds are checked by subspan(), then it is one access
    template<typename T> T read(usize offset) const
    {
        return *reinterpret_cast<const volatile T*>(m_bytes.subspan(offset, sizeof(T)).data());
    }
    template<typename T> void write(usize offset, T value) const
    {
        *reinterpret_cast<volatile T*>(m_bytes.subspan(offset, sizeof(T)).data()) = value;
    }
#pragma clang unsafe_buffer_usage end
    u8 read8(usize offset) const { return read<u8>(offset); }
    u16 read16(usize offset) const { return read<u16>(offset); }
    u32 read32(usize offset) const { return read<u32>(offset); }
    void write8(usize offset, u8 value) const { write(offset, value); }
    void write16(usize offset, u16 value) const { write(offset, value); }
    void write32(usize offset, u32 value) const { write(offset, value); }
    /// As two halves: not every device takes 64 bits at once.
    void write64(usize offset, u64 value) const
    {
        write32(offset, static_cast<u32>(value));
        write32(offset + 4, static_cast<u32>(value >> 32));
    }

private:
    std::span<u8> m_bytes;
};

} // namespace eremite
