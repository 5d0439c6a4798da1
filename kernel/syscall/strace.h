// Prints system calls as strace does, each on a line, when it returns: command line `strace`.
#pragma once

namespace eremite {

/// Traces all threads from now on. Once, on the boot processor, before there are others.
void enable_strace();

} // namespace eremite
