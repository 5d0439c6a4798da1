// The texts of /proc that are the kernel's own.
#pragma once

#include <string_view>

namespace eremite {

/// Registers them.
void register_kernel_proc_files();
/// Where /proc/self/exe leads: the program as argv[0] names it, made absolute.
std::string_view program_path();

} // namespace eremite
