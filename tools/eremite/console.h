// Carries a machine's console output to standard output, and adds function, file and line to the frames of backtraces.
//
// Every byte passes at once, but for lines that begin with "  #": these wait for their end, since that is where the
// addition goes (docs/boot.md, "Crash reports").
#pragma once

#include "support.h"

#include <memory>

namespace tool {

/// Addresses to places in the source, by llvm-symbolizer; started when first asked.
class Symbolizer {
public:
    explicit Symbolizer(Path image);
    ~Symbolizer();
    Symbolizer(const Symbolizer&) = delete;
    Symbolizer& operator=(const Symbolizer&) = delete;

    /// "function at file:line", innermost (inlined) first; nothing where the image does not tell.
    Strings look_up(std::uint64_t address);

private:
    struct Process;
    bool start();
    Path m_image;
    std::unique_ptr<Process> m_process;
    bool m_failed = false;
};

class ConsoleRelay {
public:
    ConsoleRelay(int output, Path image)
        : m_output(output)
        , m_symbolizer(std::move(image))
    {
    }

    void receive(std::string_view bytes);
    /// What is held back goes out; called at the end, and when a held line has waited too long.
    void flush();
    bool holds_something() const { return !m_held.empty(); }

private:
    void end_of_line();
    void write(std::string_view bytes);

    int m_output;
    Symbolizer m_symbolizer;
    std::string m_line {}; // the current line as far as it came
    std::string m_held {}; // its part that was not yet written
    bool m_holding = true; // a line begins: it may be a frame
    std::uint64_t m_base = 0;
};

} // namespace tool
