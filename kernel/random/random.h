// The kernel's random numbers: a ChaCha20 generator with fast key erasure, seeded by what the boot protocol brought,
// the processor's generator, devices (virtio-rng), and the jitter of the clock where there is nothing better.
#pragma once

#include "base/result.h"
#include "random/chacha20.h"
#include "sync/spin_lock.h"
#include <span>

namespace eremite {

/// Each output makes the next key first, and what was handed out is erased, so a later look at the state tells nothing
/// of earlier output. As a class, so that tests can have their own.
class RandomGenerator {
public:
    constexpr RandomGenerator() = default;

    /// Mixes `bytes` into the key. `credited_bits`: how much of it an attacker can't know. Any context.
    void add(std::span<const u8> bytes, u32 credited_bits);
    /// Whether 256 bits have been credited.
    bool is_seeded() const { return m_credit.load(std::memory_order_acquire) >= k_seed_bits; }
    /// Output, seeded or not.
    void fill(std::span<u8> bytes);
    /// As fill(), and faster for more than some words.
    void fill_long(std::span<u8> bytes);
    u64 next();

private:
    static constexpr u32 k_seed_bits = 256;
    static constexpr usize k_words = 32; // of one refill: the next key, then output

    void refill() REQUIRES(m_lock);

    InterruptSpinLock m_lock;
    ChaChaKey m_key GUARDED_BY(m_lock) {};
    std::array<u32, k_words> m_output GUARDED_BY(m_lock) {};
    usize m_used GUARDED_BY(m_lock) { k_words };
    std::atomic<u32> m_credit { 0 };
};

/// A number that an attacker can't guess as far as the sources allow: never blocks, so what must not be predictable at
/// any price (keys) waits for random_is_seeded(). Any context.
u64 random_u64();
/// Likewise.
void random_fill(std::span<u8> bytes);
/// Likewise, and faster for more than some words.
void random_fill_long(std::span<u8> bytes);
/// Whether enough has been gathered; tries to gather it from the processor and the clock if not.
bool random_is_seeded();
/// For devices and for whoever notices that this machine is a copy of another (VM generation ID).
void random_add(std::span<const u8> bytes, u32 credited_bits);

} // namespace eremite
