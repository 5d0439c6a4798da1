// A host process has no kernel command line.
#include "boot/options.h"

namespace eremite {

std::optional<std::string_view> boot_option(std::string_view)
{
    return std::nullopt;
}

} // namespace eremite
