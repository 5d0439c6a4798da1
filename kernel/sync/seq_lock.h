// A sequence lock: readers take no lock and retry if a writer came between. For small, trivially copyable data that is
// read far more often than written (the clock's conversion, a cache line of statistics).
#pragma once

#include "sync/spin_lock.h"
#include <array>
#include <type_traits>

namespace eremite {

template<typename T> class SeqLocked {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    constexpr SeqLocked() = default;

    /// A consistent copy. May be called in any context, a writer's own interrupt excepted.
    T read() const
    {
        while (true) {
            u32 before = m_sequence.load(std::memory_order_acquire);
            Words words;
            for (usize i = 0; i < k_words; ++i)
                words[i] = m_words[i].load(std::memory_order_relaxed);
            std::atomic_thread_fence(std::memory_order_acquire);
            if ((before & 1) == 0 && m_sequence.load(std::memory_order_relaxed) == before)
                return from_words(words);
            arch::relax();
        }
    }

    void write(const T& value)
    {
        Locked lock(m_lock);
        Words words {};
        __builtin_memcpy(words.data(), &value, sizeof(T));
        m_sequence.fetch_add(1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        for (usize i = 0; i < k_words; ++i)
            m_words[i].store(words[i], std::memory_order_relaxed);
        m_sequence.fetch_add(1, std::memory_order_release);
    }

private:
    static constexpr usize k_words = (sizeof(T) + 7) / 8;
    using Words = std::array<u64, k_words>;
    static T from_words(const Words& words)
    {
        T value;
        __builtin_memcpy(&value, words.data(), sizeof(T));
        return value;
    }

    InterruptSpinLock m_lock;
    std::atomic<u32> m_sequence { 0 };
    std::array<std::atomic<u64>, k_words> m_words {};
};

} // namespace eremite
