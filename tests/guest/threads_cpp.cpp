// What libc++ makes of threads: thread, mutexes, condition variables, futures, barriers, latches, semaphores, waiting
// on atomics, thread_local with destructors, call_once, streams used in parallel. Repeated, for what goes wrong seldom.
// machines: q35 virt
// options: --smp 4
// oracle: native
// arguments: 50
// cflags: -O2 -std=c++23 -pthread
// timeout: 240
#include "check.h"

#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <latch>
#include <mutex>
#include <numeric>
#include <semaphore>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

void test_thread_and_mutex()
{
    std::mutex mutex;
    long sum = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 500; ++j) {
                std::lock_guard lock(mutex);
                ++sum;
            }
        });
    for (auto& thread : threads)
        thread.join();
    CHECK_EQ(sum, 4000);

    std::timed_mutex timed;
    timed.lock();
    std::thread([&] { CHECK(!timed.try_lock_for(5ms)); }).join();
    timed.unlock();

    std::recursive_mutex recursive;
    std::lock_guard one(recursive);
    std::lock_guard two(recursive);

    std::shared_mutex shared;
    std::shared_lock reader(shared);
    std::thread([&] {
        CHECK(shared.try_lock_shared());
        shared.unlock_shared();
        CHECK(!shared.try_lock());
    }).join();
}

void test_condition()
{
    std::mutex mutex;
    std::condition_variable condition;
    std::vector<int> queue;
    bool done = false;
    long received = 0;
    std::thread consumer([&] {
        std::unique_lock lock(mutex);
        while (true) {
            condition.wait(lock, [&] { return done || !queue.empty(); });
            for (int value : queue)
                received += value;
            queue.clear();
            if (done)
                return;
        }
    });
    for (int i = 1; i <= 200; ++i) {
        std::lock_guard lock(mutex);
        queue.push_back(i);
        condition.notify_one();
    }
    {
        std::lock_guard lock(mutex);
        done = true;
    }
    condition.notify_all();
    consumer.join();
    CHECK_EQ(received, 200 * 201 / 2);

    std::unique_lock lock(mutex);
    auto before = std::chrono::steady_clock::now();
    CHECK(condition.wait_for(lock, 10ms, [] { return false; }) == false);
    CHECK(std::chrono::steady_clock::now() - before >= 10ms);
}

void test_future()
{
    auto future = std::async(std::launch::async, [] { return 6 * 7; });
    CHECK_EQ(future.get(), 42);
    auto failing = std::async(std::launch::async, []() -> int { throw std::runtime_error("no"); });
    bool caught = false;
    try {
        failing.get();
    } catch (const std::runtime_error& error) {
        caught = std::string(error.what()) == "no";
    }
    CHECK(caught);
    std::promise<std::string> promise;
    auto text = promise.get_future();
    CHECK(text.wait_for(1ms) == std::future_status::timeout);
    std::thread setter([&] { promise.set_value("text"); });
    CHECK_STR(text.get().c_str(), "text");
    setter.join();
    std::packaged_task<int(int)> task([](int x) { return x + 1; });
    auto result = task.get_future();
    std::thread(std::move(task), 1).join();
    CHECK_EQ(result.get(), 2);
}

void test_barrier_and_latch()
{
    constexpr int count = 6;
    std::atomic<int> phase_sum { 0 };
    int completions = 0;
    std::barrier barrier(count, [&]() noexcept { ++completions; });
    std::latch latch(count);
    std::counting_semaphore<3> semaphore(3);
    std::atomic<int> inside { 0 }, most { 0 };
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i)
        threads.emplace_back([&] {
            for (int phase = 0; phase < 10; ++phase) {
                phase_sum += phase;
                barrier.arrive_and_wait();
            }
            semaphore.acquire();
            int now = ++inside;
            for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);)
                ;
            std::this_thread::yield();
            --inside;
            semaphore.release();
            latch.count_down();
        });
    latch.wait();
    for (auto& thread : threads)
        thread.join();
    CHECK_EQ(completions, 10);
    CHECK_EQ(phase_sum.load(), 45 * count);
    CHECK(most.load() <= 3);
}

void test_atomic_wait()
{
    std::atomic<int> value { 0 };
    std::thread thread([&] {
        for (int i = 0; i < 100; ++i) {
            value.wait(2 * i);
            ++value;
            value.notify_one();
        }
    });
    for (int i = 0; i < 100; ++i) {
        ++value;
        value.notify_one();
        value.wait(2 * i + 1);
    }
    thread.join();
    CHECK_EQ(value.load(), 200);
    std::atomic_flag flag;
    std::thread setter([&] {
        flag.test_and_set();
        flag.notify_all();
    });
    flag.wait(false);
    setter.join();
}

std::atomic<int> s_constructed { 0 }, s_destroyed { 0 };

struct Counted {
    Counted() { ++s_constructed; }
    ~Counted() { ++s_destroyed; }
    int value { 0 };
};
thread_local Counted s_local;

void test_thread_local()
{
    int before = s_destroyed;
    std::vector<std::thread> threads;
    for (int i = 0; i < 5; ++i)
        threads.emplace_back([i] { s_local.value = i; });
    for (auto& thread : threads)
        thread.join();
    CHECK_EQ(s_destroyed - before, 5);
    std::once_flag once;
    std::atomic<int> called { 0 };
    threads.clear();
    for (int i = 0; i < 5; ++i)
        threads.emplace_back([&] { std::call_once(once, [&] { ++called; }); });
    for (auto& thread : threads)
        thread.join();
    CHECK_EQ(called.load(), 1);
}

void test_streams()
{
    std::vector<std::future<std::string>> results;
    for (int i = 0; i < 6; ++i)
        results.push_back(std::async(std::launch::async, [i] {
            std::ostringstream stream;
            for (int j = 0; j < 50; ++j)
                stream << i << ' ' << j << ' ' << 0.5 * j << '\n';
            return stream.str();
        }));
    std::size_t length = 0;
    for (auto& result : results)
        length += result.get().size();
    CHECK(length > 1000);
}

} // namespace

int main(int argc, char** argv)
{
    int rounds = argc > 1 ? std::atoi(argv[1]) : 1;
    for (int i = 0; i < rounds; ++i) {
        test_thread_and_mutex();
        test_condition();
        test_future();
        test_barrier_and_latch();
        test_atomic_wait();
        test_thread_local();
        test_streams();
    }
    return check_result();
}
