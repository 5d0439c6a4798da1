// The command line: words lie in the buffer, each ends in NUL, and none is lost on a second look.
#include "boot/command_line.h"

#include <cstdlib>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace eremite;
    std::vector<char> buffer(data, data + size);
    buffer.push_back('x');
    CommandLine line = parse_command_line(buffer, size);
    for (std::string_view packed : { line.options, line.arguments, line.appended }) {
        size_t length = 0;
        for_each_word(packed, [&](std::string_view word) {
            if (*(word.data() + word.size()) != '\0')
                std::abort();
            length += word.size() + 1;
        });
        if (length != packed.size())
            std::abort();
    }
    return 0;
}
