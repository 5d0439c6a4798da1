#include "device/console.h"

#include "arch/platform.h"
#include <atomic>

namespace eremite {

namespace {

class SerialConsole final : public ConsoleDevice {
public:
    void write(std::string_view text) override { arch::early_console_write(text); }
    usize read(std::span<char> buffer) override
    {
        usize count = 0;
        for (char& c : buffer) {
            int byte = ER_PART(serial_input).read();
            if (byte < 0)
                break;
            c = static_cast<char>(byte);
            ++count;
        }
        return count;
    }
    Result<> enable_input(void (*handler)()) override { return ER_PART(serial_input).enable(handler); }
};

constinit SerialConsole s_serial;
constinit std::atomic<ConsoleDevice*> s_console { &s_serial };

} // namespace

bool ConsoleDevice::size(u16&, u16&)
{
    return false;
}

constinit std::atomic<void (*)()> g_console_input_handler { nullptr };

constinit bool g_has_virtio_console = false;

ConsoleDevice& console()
{
    return *s_console.load(std::memory_order_acquire);
}

void set_console(ConsoleDevice& device)
{
    s_console.store(&device, std::memory_order_release);
    if (auto* handler = g_console_input_handler.load(std::memory_order_acquire))
        static_cast<void>(device.enable_input(handler).is_error());
}

} // namespace eremite
