// The subcommands. Each function adds its command to the command line, and runs it by callback; the command's exit
// status is what it leaves in `status`.
#pragma once

#include <CLI/CLI.hpp>

namespace tool {

void add_run_command(CLI::App& app, int& status);
void add_build_command(CLI::App& app, int& status);
void add_new_command(CLI::App& app, int& status);
void add_test_command(CLI::App& app, int& status);
void add_inspect_command(CLI::App& app, int& status);
void add_doctor_command(CLI::App& app, int& status);
void add_check_command(CLI::App& app, int& status);
void add_bench_command(CLI::App& app, int& status);
void add_image_command(CLI::App& app, int& status);
void add_completion_command(CLI::App& app, int& status);

} // namespace tool
