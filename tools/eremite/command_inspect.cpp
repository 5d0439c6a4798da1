#include "commands.h"

#include "support.h"

namespace tool {

void add_inspect_command(CLI::App&, int&) { }

} // namespace tool
