// The console: where log lines and file descriptor 1 end up, and where typed input comes from. The serial port of
// arch/platform.h, until a driver takes its place.
#pragma once

#include "base/component.h"
#include "base/result.h"
#include "base/types.h"
#include <atomic>
#include <span>
#include <string_view>

namespace eremite {

class ConsoleDevice {
public:
    /// Writes all of `text`, polling if need be. Any context.
    virtual void write(std::string_view text) = 0;
    /// Takes what has been typed, up to the size of `buffer`; 0 if nothing. Any context.
    virtual usize read(std::span<char> buffer) = 0;
    /// Has `handler` called, in interrupt context, whenever input has come. It reads until nothing is left.
    virtual Result<> enable_input(void (*handler)()) = 0;
    /// Size of the terminal in characters; false if unknown.
    virtual bool size(u16& columns, u16& rows);

protected:
    ~ConsoleDevice() = default;
};

/// Whether the image holds a driver that could take the serial port's place.
extern bool g_has_virtio_console;

/// Input of the serial port (console_input.cpp): in the image of a program that reads.
struct SerialInputPart {
    int (*read)();
    Result<> (*enable)(void (*handler)());
};
ER_DECLARE_PART(SerialInputPart, serial_input);

/// The one in use. Any context.
ConsoleDevice& console();
/// Replaces it (Stage::Device); input that was enabled is enabled on the new one as well. It lives for ever.
void set_console(ConsoleDevice& device);
/// What enable_console_input() was given.
extern std::atomic<void (*)()> g_console_input_handler;
/// enable_input() of the console in use, and of whatever replaces it.
Result<> enable_console_input(void (*handler)());

} // namespace eremite
