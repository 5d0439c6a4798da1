// A growable array whose growth can fail: try_append() and try_resize() return ENOMEM and leave it as it was.
#pragma once

#include "base/owned.h"
#include <span>

namespace eremite {

template<typename T> class Vector {
public:
    constexpr Vector() = default;
    Vector(Vector&& other)
        : m_data(std::exchange(other.m_data, nullptr))
        , m_size(std::exchange(other.m_size, 0))
        , m_capacity(std::exchange(other.m_capacity, 0))
    {
    }
    Vector& operator=(Vector&& other)
    {
        std::swap(m_data, other.m_data);
        std::swap(m_size, other.m_size);
        std::swap(m_capacity, other.m_capacity);
        return *this;
    }
    ~Vector()
    {
        clear();
        kfree(m_data, m_capacity * sizeof(T));
    }

    usize size() const { return m_size; }
    bool is_empty() const { return m_size == 0; }
    std::span<T> span() { return { m_data, m_size }; }
    std::span<const T> span() const { return { m_data, m_size }; }
    T& operator[](usize index) { return span()[index]; }
    const T& operator[](usize index) const { return span()[index]; }
    T& last() { return span()[m_size - 1]; }
    T* begin() { return m_data; }
    const T* begin() const { return m_data; }
#pragma clang unsafe_buffer_usage begin // the end of what the container holds
    T* end() { return m_data + m_size; }
    const T* end() const { return m_data + m_size; }
#pragma clang unsafe_buffer_usage end

    Result<> try_reserve(usize capacity)
    {
        if (capacity <= m_capacity)
            return {};
        usize bytes;
        if (__builtin_mul_overflow(capacity, sizeof(T), &bytes))
            return Errno::ENOMEM;
        auto* data = static_cast<T*>(kmalloc(bytes, alignof(T)));
        if (!data)
            return Errno::ENOMEM;
#pragma clang unsafe_buffer_usage begin // the container itself: indices are bounded by m_size
        for (usize i = 0; i < m_size; ++i) {
            ::new (&data[i]) T(std::move(m_data[i]));
            m_data[i].~T();
        }
#pragma clang unsafe_buffer_usage end
        kfree(m_data, m_capacity * sizeof(T));
        m_data = data;
        m_capacity = capacity;
        return {};
    }
    Result<> try_append(T value)
    {
        if (m_size == m_capacity)
            TRY(try_reserve(m_capacity == 0 ? 4 : m_capacity * 2));
#pragma clang unsafe_buffer_usage begin // m_size < m_capacity after the reserve
        ::new (&m_data[m_size]) T(std::move(value));
#pragma clang unsafe_buffer_usage end
        ++m_size;
        return {};
    }
    Result<> try_append(std::span<const T> values)
    {
        TRY(try_reserve(m_size + values.size()));
        if constexpr (std::is_trivially_copyable_v<T>) {
            if (!values.empty()) {
#pragma clang unsafe_buffer_usage begin // m_size + values.size() <= m_capacity after the reserve
                __builtin_memcpy(static_cast<void*>(m_data + m_size), values.data(), values.size_bytes());
#pragma clang unsafe_buffer_usage end
            }
            m_size += values.size();
        } else {
            for (const T& value : values)
                TRY(try_append(value));
        }
        return {};
    }
    Result<> try_resize(usize size)
    {
        TRY(try_reserve(size));
#pragma clang unsafe_buffer_usage begin // size <= m_capacity after the reserve
        for (; m_size < size; ++m_size)
            ::new (&m_data[m_size]) T {};
#pragma clang unsafe_buffer_usage end
        while (m_size > size)
            remove_last();
        return {};
    }
    void remove_last()
    {
        ASSERT(m_size > 0);
        span()[--m_size].~T();
    }
    /// Order changes: the last element takes the place.
    void remove_unordered(usize index)
    {
        if (index + 1 != m_size)
            span()[index] = std::move(last());
        remove_last();
    }
    void clear()
    {
        while (m_size > 0)
            remove_last();
    }

private:
    T* m_data { nullptr };
    usize m_size { 0 };
    usize m_capacity { 0 };
};

} // namespace eremite
