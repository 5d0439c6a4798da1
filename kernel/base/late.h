// A global whose constructor can't run at compile time: construct() makes it once, nothing ever destroys it.
#pragma once

#include "base/assert.h"
#include "base/types.h"
#include <new>
#include <utility>

namespace eremite {

template<typename T> class Late {
public:
    constexpr Late() = default;
    Late(const Late&) = delete;
    Late& operator=(const Late&) = delete;

    template<typename... Arguments> T& construct(Arguments&&... arguments)
    {
        ASSERT(!m_is_there);
        m_is_there = true;
        return *::new (m_storage) T(std::forward<Arguments>(arguments)...);
    }
    bool is_constructed() const { return m_is_there; }
    T& operator*() { return *reinterpret_cast<T*>(m_storage); }
    T* operator->() { return reinterpret_cast<T*>(m_storage); }

private:
    alignas(T) unsigned char m_storage[sizeof(T)] {};
    bool m_is_there { false };
};

} // namespace eremite
