// A piece of the kernel heap, of a size that is known when it is made: what messages and blocks are put together in.
#pragma once

#include "base/owned.h"
#include <span>
#include <utility>

namespace eremite {

class Bytes {
public:
    Bytes() = default;
    /// With whatever the memory holds. ENOMEM.
    static Result<Bytes> create(usize size)
    {
        void* memory = kmalloc(size);
        if (!memory)
            return Errno::ENOMEM;
        return Bytes(static_cast<u8*>(memory), size);
    }
    /// All zero. ENOMEM.
    static Result<Bytes> create_zeroed(usize size)
    {
        Bytes result = TRY(create(size));
        __builtin_memset(result.m_data, 0, size);
        return result;
    }
    Bytes(Bytes&& other)
        : m_data(std::exchange(other.m_data, nullptr))
        , m_size(std::exchange(other.m_size, 0))
    {
    }
    Bytes& operator=(Bytes&& other)
    {
        std::swap(m_data, other.m_data);
        std::swap(m_size, other.m_size);
        return *this;
    }
    ~Bytes() { kfree(m_data, m_size); }

    std::span<u8> span() { return { m_data, m_size }; }
    std::span<const u8> span() const { return { m_data, m_size }; }

private:
    Bytes(u8* data, usize size)
        : m_data(data)
        , m_size(size)
    {
    }
    u8* m_data { nullptr };
    usize m_size { 0 };
};

} // namespace eremite
