#include "commands.h"
#include "support.h"

#include <cstdio>

int main(int argc, char** argv)
{
    CLI::App app { "Creates, builds, runs, tests, measures and inspects unikernels." };
    app.name("eremite");
    app.require_subcommand(0, 1);
    app.allow_extras();
    app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
        auto name = failed->get_name();
        for (const auto* sub : failed->get_subcommands())
            name += " " + sub->get_name();
        return fmt::format("eremite: {}\n  `./{} --help` tells what there is\n", error.what(), name);
    });
    int status = 0;
    tool::add_run_command(app, status);
    tool::add_build_command(app, status);
    tool::add_new_command(app, status);
    tool::add_test_command(app, status);
    tool::add_inspect_command(app, status);
    tool::add_doctor_command(app, status);
    tool::add_check_command(app, status);
    tool::add_bench_command(app, status);
    tool::add_image_command(app, status);
    tool::add_completion_command(app, status);
    try {
        app.parse(argc, argv);
        if (app.get_subcommands().empty()) {
            if (const auto words = app.remaining(); !words.empty())
                throw tool::Failure(
                    fmt::format("there is no command {}: `./eremite --help` lists them", words.front()), 2);
            fmt::print("{}", app.help());
            return 2;
        }
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const tool::Failure& failure) {
        std::fflush(stdout);
        tool::say(failure.what());
        return failure.status;
    } catch (const std::exception& error) {
        std::fflush(stdout);
        tool::say(error.what());
        return 1;
    }
    return status;
}
