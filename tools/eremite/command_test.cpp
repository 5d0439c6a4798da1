// test: the one way to run tests of all kinds.
#include "commands.h"

#include "tests.h"

#include <thread>

namespace tool {

namespace {

struct TestArguments {
    std::string arch = "both";
    Strings isolations;
    unsigned jobs = 0;
    bool list = false;
    bool with_check = false;
    std::string mutate;
    Strings names;
};

int test(const TestArguments& arguments)
{
    TestSelection selection;
    if (arguments.arch == "both")
        selection.archs = { Arch::x86_64, Arch::aarch64 };
    else
        selection.archs = { arch_named(arguments.arch) };
    for (const auto& level : arguments.isolations) {
        if (level == "all")
            selection.isolations = { Isolation::Stack, Isolation::None, Isolation::Mpk };
        else
            selection.isolations.push_back(isolation_named(level));
    }
    selection.names = arguments.names;
    selection.with_check = arguments.with_check;

    if (!arguments.mutate.empty())
        return run_mutations(arguments.mutate, selection);
    std::vector<TestCase> tests;
    find_host_tests(selection, arguments.list, tests);
    find_guest_tests(selection, arguments.list, tests);
    find_system_tests(selection, arguments.list, tests);
    if (selection.with_check)
        find_check_tests(selection, arguments.list, tests);
    if (arguments.list) {
        for (const auto& each : tests)
            fmt::print("{}\n", each.name);
        return 0;
    }
    if (tests.empty())
        fail("no test is called {}: `./eremite test --list` names them all", join(arguments.names, " or "));
    const auto cores = std::max(1u, std::thread::hardware_concurrency());
    return run_tests(std::move(tests), arguments.jobs ? arguments.jobs : cores) ? 1 : 0;
}

} // namespace

void add_test_command(CLI::App& app, int& status)
{
    auto* command = app.add_subcommand("test", "Runs tests: host, guest, system, fuzzers");
    auto arguments = std::make_shared<TestArguments>();
    command->add_option("names", arguments->names, "run tests whose name contains one of these; all otherwise");
    command->add_option("--arch", arguments->arch, "x86_64, aarch64 or both (default)");
    command
        ->add_option("--isolation", arguments->isolations,
            "only at none, stack or mpk (repeatable), or `all`: each test at each level")
        ->allow_extra_args(false);
    command->add_option("--jobs,-j", arguments->jobs, "how many at a time (default: one per core)");
    command->add_flag("--list", arguments->list, "print the tests' names and run none");
    command->add_flag("--with-check", arguments->with_check, "also each part of `./eremite check`, as a test");
    command->add_option("--mutate", arguments->mutate,
        "take out one defence after the other (tests/mutations/NAME) and show that a test fails: isolation");
    command->callback([arguments, &status] { status = test(*arguments); });
}

} // namespace tool
