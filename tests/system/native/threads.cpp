// Threads, thread-local variables, exceptions that cross threads.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <future>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#define CHECK(condition)                                                                                               \
    ((condition) ? void() : (std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition), std::abort()))

static thread_local int t_counter = 7;
alignas(128) static thread_local int t_aligned = 1;
static thread_local std::string t_string = "initialised at first use";

int main()
{
    std::atomic<int> sum = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; i++) {
        threads.emplace_back([&, i] {
            CHECK(t_counter == 7);
            CHECK(reinterpret_cast<std::uintptr_t>(&t_aligned) % 128 == 0);
            CHECK(t_string.size() == 24);
            t_counter = i;
            for (int n = 0; n < 1000; n++)
                sum += t_aligned;
        });
    }
    threads.clear();
    CHECK(sum == 8000);
    CHECK(t_counter == 7);

    auto future = std::async(std::launch::async, []() -> int { throw std::runtime_error("from a thread"); });
    try {
        future.get();
        CHECK(false);
    } catch (const std::runtime_error& error) {
        CHECK(std::string(error.what()) == "from a thread");
    }

    std::atomic<bool> waiting = true;
    std::jthread waker([&] {
        waiting = false;
        waiting.notify_all();
    });
    waiting.wait(true);
    std::once_flag once;
    std::call_once(once, [] { });
}
