#include "random/random.h"

#include "arch/cpu.h"
#include "boot/boot_info.h"

#include <algorithm>
#include <utility>

namespace eremite {

namespace {

constinit RandomGenerator s_generator;
constinit std::atomic<bool> s_began { false };
constinit std::atomic<u32> s_until_reseed { 0 };

constexpr u32 k_outputs_between_reseeds = 1u << 16;

template<typename T> std::span<const u8> bytes_of(const T& value)
{
    return { reinterpret_cast<const u8*>(&value), sizeof(T) };
}

/// Forgets a secret; the compiler may not leave it out.
template<typename T> void erase(T& value)
{
    std::ranges::fill(value, typename T::value_type {});
    asm volatile("" : : "r"(&value) : "memory");
}

/// 256 bits of the processor's generator; false where there is none. The cycle counter goes with them: should the
/// generator be a bad one, machines still differ.
bool add_hardware(RandomGenerator& generator)
{
    std::array<u64, 4> words;
    for (u64& word : words) {
        bool there = false;
        for (unsigned attempt = 0; attempt < 10 && !there; ++attempt)
            there = arch::hardware_random(word);
        if (!there)
            return false;
    }
    words[0] ^= arch::cycle_counter();
    generator.add(bytes_of(words), 256);
    erase(words);
    return true;
}

/// How long the same bit of work takes varies, by caches, the host's interrupts, its other guests. Credited carefully:
/// half a bit for a sample whose second difference is none of the last few. A clock that always ticks alike brings
/// nothing; so that nothing but the clock makes a difference, the samples are taken first, and those at the start, when
/// caches are cold, don't count.
void add_jitter(RandomGenerator& generator)
{
    constexpr usize not_counted = 8;
    std::array<u64, 40> samples;
    u64 work = arch::cycle_counter();
    for (u64& sample : samples) {
        for (unsigned turn = 0; turn < 6; ++turn)
            work = work * 0x5851'f42d'4c95'7f2d + 0x1405'7b7e'f767'814f;
        asm volatile("" : "+r"(work));
        sample = arch::cycle_counter();
    }
    std::array<u64, 4> seen {};
    u32 half_bits = 0;
    for (usize i = not_counted; i < samples.size(); ++i) {
        u64 change = samples[i] - 2 * samples[i - 1] + samples[i - 2];
        if (std::ranges::find(seen, change) == seen.end()) {
            seen[half_bits % seen.size()] = change;
            ++half_bits;
        }
    }
    generator.add(bytes_of(samples), half_bits / 2);
}

void begin(RandomGenerator& generator)
{
    if (s_began.exchange(true, std::memory_order_acq_rel))
        return;
    BootInfo& info = boot_info();
    auto seed = std::span(info.seed).first(std::min<usize>(info.seed_length, info.seed.size()));
    generator.add(seed, static_cast<u32>(seed.size() * 8));
    std::ranges::fill(seed, u8 { 0 });
    if (!add_hardware(generator))
        add_jitter(generator);
}

RandomGenerator& generator()
{
    if (!s_began.load(std::memory_order_relaxed)) [[unlikely]]
        begin(s_generator);
    if (s_until_reseed.fetch_add(1, std::memory_order_relaxed) >= k_outputs_between_reseeds) [[unlikely]] {
        s_until_reseed.store(0, std::memory_order_relaxed);
        if (!add_hardware(s_generator))
            add_jitter(s_generator);
    }
    return s_generator;
}

} // namespace

void RandomGenerator::add(std::span<const u8> bytes, u32 credited_bits)
{
    {
        Locked lock(m_lock);
        for (usize i = 0; i < bytes.size(); ++i) {
            m_key[i % 32 / 4] ^= u32 { bytes[i] } << (i % 4 * 8);
            if (i % 32 != 31 && i + 1 != bytes.size())
                continue;
            // Under a key that nobody knows, what comes out can't be steered by what goes in.
            auto block = chacha20_block(m_key, 0, { 1, 0, 0 });
            for (usize j = 0; j < m_key.size(); ++j)
                m_key[j] = block[j];
        }
        erase(m_output);
        m_used = k_words;
    }
    u32 before = m_credit.load(std::memory_order_relaxed);
    while (before < k_seed_bits
        && !m_credit.compare_exchange_weak(before, before + std::min(credited_bits, k_seed_bits),
            std::memory_order_release, std::memory_order_relaxed)) { }
}

void RandomGenerator::refill()
{
    for (u32 i = 0; i < k_words / 16; ++i) {
        auto block = chacha20_block(m_key, i, { 0, 0, 0 });
        for (u32 j = 0; j < 16; ++j)
            m_output[i * 16 + j] = block[j];
    }
    for (u32 i = 0; i < m_key.size(); ++i)
        m_key[i] = std::exchange(m_output[i], 0);
    m_used = m_key.size();
}

u64 RandomGenerator::next()
{
    Locked lock(m_lock);
    if (m_used + 2 > k_words)
        refill();
    u64 result = m_output[m_used] | (u64 { m_output[m_used + 1] } << 32);
    m_output[m_used++] = 0;
    m_output[m_used++] = 0;
    return result;
}

void RandomGenerator::fill(std::span<u8> bytes)
{
    u64 word = 0;
    for (usize i = 0; i < bytes.size(); ++i) {
        word = i % 8 == 0 ? next() : word >> 8;
        bytes[i] = static_cast<u8>(word);
    }
}

void RandomGenerator::fill_long(std::span<u8> bytes)
{
    if (bytes.size() <= 32)
        return fill(bytes);
    // A key stream of their own, computed outside the lock.
    ChaChaKey key;
    for (usize i = 0; i < key.size(); i += 2) {
        u64 word = next();
        key[i] = static_cast<u32>(word);
        key[i + 1] = static_cast<u32>(word >> 32);
    }
    for (u32 counter = 0; !bytes.empty(); ++counter) {
        auto block = chacha20_block(key, counter, { 2, 0, 0 });
        usize length = std::min<usize>(bytes.size(), sizeof(block));
        std::ranges::copy(bytes_of(block).first(length), bytes.begin());
        bytes = bytes.subspan(length);
        erase(block);
    }
    erase(key);
}

u64 random_u64()
{
    return generator().next();
}

void random_fill(std::span<u8> bytes)
{
    generator().fill(bytes);
}

void random_fill_long(std::span<u8> bytes)
{
    generator().fill_long(bytes);
}

bool random_is_seeded()
{
    RandomGenerator& random = generator();
    if (random.is_seeded() || add_hardware(random))
        return true;
    // Gathers a few hundred bits at most; a clock that brings nothing must not hold us here.
    for (unsigned turn = 0; turn < 64 && !random.is_seeded(); ++turn)
        add_jitter(random);
    return random.is_seeded();
}

void random_add(std::span<const u8> bytes, u32 credited_bits)
{
    generator().add(bytes, credited_bits);
}

} // namespace eremite
