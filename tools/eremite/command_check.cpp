// check: all that is looked at in the project without running it.
#include "commands.h"

#include "checks.h"
#include "tests.h"

#include <algorithm>

namespace tool {

namespace {

int check(const Strings& names, bool tidy)
{
    unsigned passed = 0;
    unsigned failed = 0;
    unsigned skipped = 0;
    for (const auto& each : all_checks()) {
        if (!names.empty() && std::ranges::find(names, each.name) == names.end())
            continue;
        if (names.empty() && each.slow && !tidy)
            continue;
        const auto result = each.run();
        (result.skipped ? skipped : result.good ? passed : failed)++;
        const auto* word = result.skipped ? "skip" : result.good ? "pass" : "FAIL";
        const bool one_line = !result.text.contains('\n');
        fmt::print("{} {}{}{}\n", word, each.name, result.text.empty() ? "" : one_line ? ": " : "\n", result.text);
        std::fflush(stdout);
    }
    if (passed + failed + skipped == 0)
        fail("there is no check called {}: `./eremite check --list` names them", join(names, " or "));
    fmt::print("{} passed, {} failed", passed, failed);
    if (skipped)
        fmt::print(", {} skipped", skipped);
    fmt::print("\n");
    return failed ? 1 : 0;
}

} // namespace

void add_check_command(CLI::App& app, int& status)
{
    struct Arguments {
        Strings names;
        bool tidy = false;
        bool list = false;
        bool fix = false;
    };
    auto* command = app.add_subcommand("check", "Looks at the code: format, layers, symbols, generated pages");
    auto arguments = std::make_shared<Arguments>();
    command->add_option("names", arguments->names, "which checks; all fast ones otherwise");
    command->add_flag("--tidy", arguments->tidy, "also clang-tidy over all files, which takes minutes");
    command->add_flag("--list", arguments->list, "what checks there are");
    command->add_flag("--fix", arguments->fix, "first format the sources and make generated pages anew");
    command->callback([arguments, &status] {
        if (arguments->fix)
            fix_all();
        if (arguments->list) {
            for (const auto& each : all_checks())
                fmt::print("{:14} {}{}\n", each.name, each.purpose, each.slow ? " (slow: by name, or --tidy)" : "");
            status = 0;
            return;
        }
        status = check(arguments->names, arguments->tidy);
    });
}

void find_check_tests(const TestSelection& selection, bool, std::vector<TestCase>& tests)
{
    for (const auto& each : all_checks()) {
        const auto name = "check/" + each.name;
        if (each.slow || !selection.wants(name))
            continue;
        tests.push_back(
            { .name = name, .timeout = std::chrono::seconds(300), .body = [&each](const TestCase&, const Path& log) {
                 const auto result = each.run();
                 write_file(log, result.text + "\n");
                 const auto verdict = result.skipped ? Verdict::Skipped
                     : result.good                   ? Verdict::Passed
                                                     : Verdict::Failed;
                 return TestResult { verdict, result.text.substr(0, result.text.find('\n')) };
             } });
    }
}

} // namespace tool
