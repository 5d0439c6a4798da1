#include "commands.h"

#include "support.h"

namespace tool {

void add_image_command(CLI::App&, int&) { }

} // namespace tool
