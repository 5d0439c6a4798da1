#include "boot/options.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/owned.h"
#include "boot/boot_info.h"

#include <algorithm>

namespace eremite {

namespace {

constinit CommandLine s_command_line;

/// All names, each ending in NUL.
constexpr char k_names[] =
#define OPTION(name, has_value) #name "\0"
#include "boot/options.inc"
#undef OPTION
    ;

bool is_known(std::string_view word)
{
    std::string_view names(&k_names[0], sizeof(k_names) - 1);
    std::string_view name;
    std::string_view value;
    while (next_word(names, name)) {
        if (match_option(word, name, value))
            return true;
    }
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
    std::string_view words = s_command_line.options;
    std::string_view word;
    while (next_word(words, word)) {
        if (!is_known(word))
            log_warning("boot: unknown option \"{}\" is ignored", word);
    }
}

const CommandLine& boot_command_line()
{
    return s_command_line;
}

std::optional<std::string_view> boot_option(std::string_view name)
{
    std::optional<std::string_view> result;
    BootOptionValues values(name);
    std::string_view value;
    while (values.next(value))
        result = value;
    return result;
}

BootOptionValues::BootOptionValues(std::string_view name)
    : m_name(name)
    , m_words(s_command_line.options)
    , m_more(s_command_line.appended)
{
}

bool BootOptionValues::next(std::string_view& value)
{
    std::string_view word;
    while (next_word(m_words, word) || next_word(m_more, word)) {
        if (match_option(word, m_name, value))
            return true;
    }
    return false;
}

} // namespace eremite
