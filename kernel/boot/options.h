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

/// Calls `function(value)` for each time that option `name` is given, in order.
template<typename Function> void for_each_boot_option(std::string_view name, Function function)
{
    auto visit = [&](std::string_view word) {
        std::string_view value;
        if (match_option(word, name, value))
            function(value);
    };
    for_each_word(boot_command_line().options, visit);
    for_each_word(boot_command_line().appended, visit);
}

} // namespace eremite
