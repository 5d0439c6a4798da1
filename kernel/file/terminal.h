// The console's other half: what is typed, and the settings of a terminal. A component (`terminal`) of those system
// calls that read or poll: a program that only prints does without.
#pragma once

#include "file/file.h"

namespace eremite {

/// Any thread; none of them holds a lock while it touches application memory.
class Terminal {
public:
    /// As File's methods of these names; window sizes are ConsoleFile's own business.
    virtual Result<usize> read(IoBuffer buffer, bool nonblocking) = 0;
    virtual u32 poll(PollTable* table) = 0;
    virtual Result<long> ioctl(u32 request, u64 argument) = 0;

protected:
    ~Terminal() = default;
};

/// Makes it the one that all descriptions of the console read from. Once; it lives for ever.
void set_terminal(Terminal& terminal);
/// From now on what is typed is taken when it comes, and its keys send signals, though nobody reads.
/// ER_NEEDS(terminal).
void watch_console_input();
/// Whether a newline is written as carriage return and newline (OPOST, ONLCR).
void set_console_translation(bool translate);

} // namespace eremite
