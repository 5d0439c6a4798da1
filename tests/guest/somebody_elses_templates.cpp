// The program instantiates the templates that the kernel uses too, compiled with AVX2 and exceptions, and computes in
// vector registers while timer interrupts come in: neither gets the other's copy, and no interrupt changes a register.
// arch: x86_64
// cflags: -O3 -mavx2 -mfma
// machines: q35
// timeout: 120
// oracle: native
#include "check.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <csignal>
#include <immintrin.h>
#include <span>
#include <string_view>
#include <sys/time.h>
#include <unistd.h>
#include <vector>

static volatile std::sig_atomic_t alarms;

static void on_alarm(int)
{
    alarms = alarms + 1;
}

[[gnu::noinline]] static unsigned long sum(std::span<const unsigned char> bytes)
{
    unsigned long total = 0;
    for (unsigned char byte : bytes)
        total += byte;
    return total;
}

[[gnu::noinline]] static bool registers_survive(int rounds)
{
    __m256d a = _mm256_set_pd(1.0, 2.0, 3.0, 4.0);
    __m256d b = _mm256_set_pd(0.5, 0.25, 0.125, 0.0625);
    __m256d x = a;
    for (int i = 0; i < rounds; ++i) {
        x = _mm256_fmadd_pd(x, b, a);
        asm volatile("" : "+x"(x));
    }
    double result[4], expected[4] = { 4.0, 3.0, 2.0, 1.0 }, start[4] = { 4.0, 3.0, 2.0, 1.0 };
    double factor[4] = { 0.0625, 0.125, 0.25, 0.5 };
    _mm256_storeu_pd(result, x);
    bool good = true;
    for (int lane = 0; lane < 4; ++lane) {
        expected[lane] = start[lane] / (1.0 - factor[lane]); // the fixed point
        good = good && std::abs(result[lane] - expected[lane]) < 1e-9;
    }
    return good;
}

int main()
{
    std::vector<unsigned char> bytes(100000);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<unsigned char>(i * 7);
    unsigned long expected = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        expected += static_cast<unsigned char>(i * 7);

    std::signal(SIGALRM, on_alarm);
    itimerval timer { { 0, 2000 }, { 0, 2000 } };
    CHECK_EQ(setitimer(ITIMER_REAL, &timer, nullptr), 0);
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(600);
    int rounds = 0;
    while (std::chrono::steady_clock::now() < end) {
        if (!CHECK(registers_survive(20000)) || !CHECK_EQ(sum(bytes), expected))
            break;
        ++rounds;
    }
    CHECK(rounds > 0);
    CHECK(alarms > 10);
    std::array<std::string_view, 3> words { "b", "c", "a" };
    std::ranges::sort(words);
    CHECK(words[0] == "a");
    try {
        (void)std::vector<int>().at(3);
        CHECK(!"at() must throw");
    } catch (const std::exception&) {
    }
    return check_result();
}
