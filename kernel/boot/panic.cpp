#include "boot/panic.h"

#include "arch/cpu.h"
#include "arch/platform.h"
#include "arch/user_copy.h"
#include "base/assert.h"
#include "base/format.h"
#include "boot/image.h"

#include <array>
#include <atomic>
#include <new>

namespace eremite {

namespace {

/// Straight to the serial port.
class EarlySink final : public TextSink {
public:
    void write(std::string_view text) override { arch::early_console_write(text); }
};

constexpr unsigned k_max_frames = 32;

bool read_word(u64 address, u64& value)
{
    return (address & 7) == 0 && address != 0
        && arch::copy_user(&value, reinterpret_cast<const void*>(address), sizeof(value)) == 0;
}

} // namespace

void print_backtrace(u64 instruction, u64 frame_pointer)
{
    EarlySink sink;
    format_to(sink, "image base {:x}\n", image_base());
    format_to(sink, "  #0 {:x}\n", instruction);
    for (unsigned i = 1; i < k_max_frames; ++i) {
        // A frame begins with the caller's frame pointer, then the return address, on both architectures.
        u64 next;
        u64 return_address;
        if (!read_word(frame_pointer, next) || !read_word(frame_pointer + 8, return_address)
            || !is_text(return_address))
            return;
        format_to(sink, "  #{} {:x}\n", i, return_address);
        // From the kernel's stack to the application's the chain jumps; on one stack it only goes up.
        if (next == frame_pointer)
            return;
        frame_pointer = next;
    }
}

void print_crash_report(const arch::TrapFrame& frame)
{
    EarlySink sink;
    arch::begin_crash_report();
    arch::print_registers(sink, frame);
    print_backtrace(frame.instruction_pointer(), frame.frame_pointer());
}

void panic(const char* message, const char* file, int line)
{
    static constinit std::atomic<bool> s_panicking { false };
    arch::disable_interrupts();
    if (s_panicking.exchange(true))
        arch::power_off(arch::k_kernel_failure);
    EarlySink sink;
    arch::begin_crash_report();
    format_to(sink, "\neremite: panic: {}", message);
    if (file)
        format_to(sink, " ({}:{})", file, line);
    format_to(sink, "\n");
    print_backtrace(
        reinterpret_cast<u64>(__builtin_return_address(0)), reinterpret_cast<u64>(__builtin_frame_address(0)));
    arch::power_off(arch::k_kernel_failure);
}

} // namespace eremite

extern "C" {
[[noreturn]] void __eremite_libcxx_assert(const char* message);
[[noreturn]] void __eremite_check_failed();
[[noreturn]] void __stack_chk_fail();
}

void __eremite_assertion_failed()
{
    eremite::panic("an assertion failed: frame 0 says which");
}

void __eremite_check_failed()
{
    eremite::panic("a bounds check failed");
}

void __eremite_libcxx_assert(const char* message)
{
    eremite::panic(message);
}

/// The build gives it a name of the kernel's own.
void __stack_chk_fail()
{
    eremite::panic("stack smashed: the canary has changed");
}

// What virtual functions refer to. The build gives these names of the kernel's own too: the application may replace
// operator delete. The kernel never calls it; objects are freed with the size that their owner remembers.
extern "C" [[noreturn]] void __cxa_pure_virtual();
void __cxa_pure_virtual()
{
    eremite::panic("a pure virtual function was called");
}
void operator delete(void*) noexcept
{
    ASSERT_NOT_REACHED();
}
void operator delete(void*, std::size_t) noexcept
{
    ASSERT_NOT_REACHED();
}
void operator delete(void*, std::size_t, std::align_val_t) noexcept
{
    ASSERT_NOT_REACHED();
}
