// The command line, taken apart as docs/boot.md says: kernel options, `--`, the program's arguments; double quotes.
// No allocation, no relocated data: it also runs before the image is relocated.
#pragma once

#include "base/types.h"
#include <span>
#include <string_view>

namespace eremite {

/// Words packed one after the other, each ending in NUL, in the buffer that was parsed.
struct CommandLine {
    std::string_view options; // before `--`
    std::string_view arguments; // after it
    std::string_view appended; // options that a monitor put after the arguments (QEMU's microvm: virtio_mmio.device=)
};

/// Takes apart the first `length` characters of `buffer`, in place; buffer.size() must be at least length + 1.
/// Any text is valid: a quote that nobody closes ends with the text.
CommandLine parse_command_line(std::span<char> buffer, usize length);

/// Takes the first word off `packed`; false at the end. The word is followed by a NUL in memory.
bool next_word(std::string_view& packed, std::string_view& word);

/// Calls `function(word)` for each word.
template<typename Function> void for_each_word(std::string_view packed, Function function)
{
    std::string_view word;
    while (next_word(packed, word))
        function(word);
}

/// If `word` is `name=VALUE` puts VALUE into `value` (empty for a bare `name`), else returns false.
bool match_option(std::string_view word, std::string_view name, std::string_view& value);

} // namespace eremite
