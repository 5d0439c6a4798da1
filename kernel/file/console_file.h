// Standard input, output and error: the console. All that a program holds of files if it only prints; terminal.h is for
// those that read. (Without it terminal settings are ENOTTY.)
#pragma once

#include "file/file.h"

namespace eremite {

/// Opens the console and installs it as descriptors 0, 1 and 2: the component of whoever names the descriptor table.
/// ENOMEM.
Result<> open_standard_files();

/// Another open file description of the console (/dev/console, /dev/tty). ENOMEM.
Result<RefPtr<File>> open_console(u32 flags);

} // namespace eremite
