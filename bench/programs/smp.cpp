// What more processors bring: a fixed amount of work, shared by as many threads as there are processors. The same
// program runs on Eremite and in the Linux guest. Cases are as in core.c.
#include "mark.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace {

/// Something that the compiler can't take together: an xorshift generator's steps.
std::uint64_t compute(std::uint64_t seed, long steps)
{
    for (long i = 0; i < steps; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
    }
    return seed;
}

template<typename Work> void share(unsigned threads, Work work)
{
    std::vector<std::thread> others;
    for (unsigned i = 1; i < threads; i++)
        others.emplace_back(work, i);
    work(0u);
    for (std::thread& other : others)
        other.join();
}

double now()
{
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::mutex s_mutex;
long s_counter;

} // namespace

int main(int argc, char** argv)
{
    const long scale = argc > 1 ? std::max(1l, std::atol(argv[1])) : 1;
    const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
    std::vector<std::uint64_t> results(threads * 16);

    // No thread waits for another before the end: 64 pieces, dealt out.
    const long steps = 4'000'000 / scale;
    double start = now();
    MARK(32);
    share(threads, [&](unsigned self) {
        for (unsigned piece = self; piece < 64; piece += threads)
            results[self * 16] += compute(piece + 1, steps);
    });
    MARK(33);
    std::printf("case 0 parallel 1 %.0f\n", now() - start);

    // All of it under one lock, and little else.
    const long turns = 400'000 / scale;
    start = now();
    MARK(34);
    share(threads, [&](unsigned self) {
        for (long i = self; i < turns; i += threads) {
            std::lock_guard lock(s_mutex);
            s_counter++;
        }
    });
    MARK(35);
    std::printf("case 1 mutex %ld %.1f\n", turns, (now() - start) / static_cast<double>(turns));
    std::fflush(stdout);

    std::uint64_t sum = 0;
    for (std::uint64_t result : results)
        sum += result;
    std::printf("threads %u, sum %llx\n", threads, static_cast<unsigned long long>(sum));
    return s_counter == turns ? 0 : 1;
}
