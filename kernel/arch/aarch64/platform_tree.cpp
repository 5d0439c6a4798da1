// What the device tree tells of console and power. Shared with the loader; runs before relocation.
#include "arch/aarch64/early.h"

#include <algorithm>

namespace eremite::arch {

bool has_option(std::string_view command_line, std::string_view name)
{
    while (!command_line.empty()) {
        std::string_view word = command_line.substr(0, command_line.find(' '));
        if (word == name)
            return true;
        if (word == "--")
            return false;
        command_line.remove_prefix(std::min(word.size() + 1, command_line.size()));
    }
    return false;
}

DeviceTree::Node find_console(const DeviceTree& tree)
{
    DeviceTree::Node uart = tree.known(DeviceTree::Known::Uart);
    std::string_view path = tree.known(DeviceTree::Known::Chosen).property("stdout-path").text();
    path = path.substr(0, path.find(':'));
    if (uart && !path.empty() && !uart.is_at(path)) {
        if (DeviceTree::Node other = tree.find_path(path); other && other.is_compatible("arm,pl011"))
            uart = other;
    }
    return uart;
}

void read_platform(const DeviceTree& tree, std::string_view command_line, Platform& platform)
{
    platform.semihosting = has_option(command_line, "exit=semihosting");
    if (auto psci = tree.known(DeviceTree::Known::Psci))
        platform.conduit = psci.property("method").text() == "smc" ? Conduit::Smc : Conduit::Hvc;
    DeviceTree::Node uart = find_console(tree);
    if (!uart)
        return;
    if (auto registers = uart.reg(0); registers.has_value())
        platform.uart = registers.value().start.value();
}

} // namespace eremite::arch
