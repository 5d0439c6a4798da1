#include "syscall/sys_random.h"

#include "abi/memory.h"
#include "arch/clock.h"
#include "base/log.h"
#include "random/random.h"
#include "sched/wait_queue.h"

#include <algorithm>

namespace eremite {

namespace {

/// EINTR.
Result<> wait_until_seeded()
{
    bool was_said = false;
    while (!random_is_seeded()) {
        if (!was_said)
            log_warning(
                "getrandom waits for entropy: this processor has no generator; add -device virtio-rng-pci, or a "
                "-cpu with RDRAND");
        was_said = true;
        TRY(sleep_until(arch::now() + Nanoseconds::from_milliseconds(10)));
    }
    return {};
}

} // namespace

Result<long> sys_getrandom(UserPointer<u8> buffer, usize length, u32 flags)
{
    constexpr u32 known = abi::k_grnd_nonblock | abi::k_grnd_random | abi::k_grnd_insecure;
    constexpr u32 exclusive = abi::k_grnd_random | abi::k_grnd_insecure;
    if ((flags & ~known) != 0 || (flags & exclusive) == exclusive)
        return Errno::EINVAL;
    if ((flags & abi::k_grnd_insecure) == 0 && !random_is_seeded()) {
        if ((flags & abi::k_grnd_nonblock) != 0)
            return Errno::EAGAIN;
        TRY(wait_until_seeded());
    }
    length = std::min<usize>(length, INT32_MAX);
    UserSpan<u8> rest(buffer, length);
    std::array<u8, 256> bytes;
    for (usize done = 0; done < length;) {
        auto part = std::span(bytes).first(std::min(length - done, bytes.size()));
        random_fill_long(part);
        auto result = rest.subspan(done).copy_from_kernel(part);
        std::ranges::fill(part, u8 { 0 });
        asm volatile("" : : "r"(bytes.data()) : "memory");
        if (result.is_error())
            return done != 0 ? Result<long>(static_cast<long>(done)) : result.error();
        done += part.size();
    }
    return static_cast<long>(length);
}

} // namespace eremite
