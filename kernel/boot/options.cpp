#include "boot/options.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/owned.h"
#include "boot/boot_info.h"

#include <algorithm>

namespace eremite {

namespace {

constinit CommandLine s_command_line;

bool is_known(std::string_view word)
{
    std::string_view value;
#define OPTION(name, has_value)                                                                                        \
    if (match_option(word, #name, value))                                                                              \
        return true;
#include "boot/options.inc"
#undef OPTION
    return false;
}

} // namespace

void initialize_options()
{
    std::string_view text = boot_info().command_line;
    auto* memory = static_cast<char*>(kmalloc(text.size() + 1));
    if (!memory)
        panic("no memory for the command line");
    std::span<char> buffer(memory, text.size() + 1);
    std::ranges::copy(text, buffer.begin());
    s_command_line = parse_command_line(buffer, text.size());

    if (auto level = boot_option("loglevel")) {
        if (level->size() == 1 && level->front() >= '0' && level->front() <= '4')
            set_log_level(static_cast<LogLevel>(level->front() - '0'));
        else
            log_warning("boot: loglevel is a number from 0 to 4, not \"{}\"", *level);
    }
    for_each_word(s_command_line.options, [](std::string_view word) {
        if (!is_known(word))
            log_warning("boot: unknown option \"{}\" is ignored", word);
    });
}

const CommandLine& boot_command_line()
{
    return s_command_line;
}

std::optional<std::string_view> boot_option(std::string_view name)
{
    std::optional<std::string_view> result;
    for_each_boot_option(name, [&](std::string_view value) { result = value; });
    return result;
}

} // namespace eremite
