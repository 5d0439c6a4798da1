// Standard input, output and error: the console as a terminal. All that a program holds of files if it only prints.
#pragma once

#include "file/file.h"

namespace eremite {

/// Opens the console and installs it as descriptors 0, 1 and 2: the component of whoever names the descriptor table.
/// ENOMEM.
Result<> open_standard_files();

/// Another open file description of the console (/dev/console, /dev/tty). ENOMEM.
Result<RefPtr<File>> open_console(u32 flags);

/// Takes input from now on, so that Ctrl-C (SIGINT) and Ctrl-\ (SIGQUIT) work though nobody reads; reading does so by
/// itself.
void watch_console_input();

} // namespace eremite
