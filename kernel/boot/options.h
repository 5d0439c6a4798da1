// The command line's options, for whoever has one. Valid from kernel_main's first lines on, for ever.
#pragma once

#include "boot/command_line.h"
#include <optional>

namespace eremite {

/// Takes apart the command line of boot_info(). Once.
void initialize_options();
/// What it was taken apart into.
const CommandLine& boot_command_line();

/// The value of option `name` (empty for a bare one), of the last if it is given several times. The text is followed by
/// a NUL.
std::optional<std::string_view> boot_option(std::string_view name);

/// The values of an option that may be given several times, in order.
class BootOptionValues {
public:
    explicit BootOptionValues(std::string_view name);
    /// False at the end.
    bool next(std::string_view& value);

private:
    std::string_view m_name;
    std::string_view m_words;
    std::string_view m_more;
};

/// Calls `function(value)` for each time that option `name` is given, in order.
template<typename Function> void for_each_boot_option(std::string_view name, Function function)
{
    BootOptionValues values(name);
    std::string_view value;
    while (values.next(value))
        function(value);
}

} // namespace eremite
