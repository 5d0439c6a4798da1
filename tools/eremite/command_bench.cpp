// bench: runs what stands in bench/: each benchmark is a program bench/NAME.sh (or bench/NAME/run.sh) that prints its
// table.
#include "commands.h"

#include "process.h"
#include "project.h"

#include <algorithm>

namespace tool {

namespace fs = std::filesystem;

namespace {

std::vector<std::pair<std::string, Path>> benchmarks()
{
    std::vector<std::pair<std::string, Path>> found;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root() / "bench", error)) {
        if (fs::exists(entry.path() / "run.sh"))
            found.emplace_back(entry.path().filename().string(), entry.path() / "run.sh");
        else if (entry.path().extension() == ".sh")
            found.emplace_back(entry.path().stem().string(), entry.path());
    }
    std::ranges::sort(found);
    return found;
}

int bench(const std::string& name, const std::string& arch, const Strings& rest)
{
    const auto all = benchmarks();
    const auto found = std::ranges::find(all, name, &std::pair<std::string, Path>::first);
    if (found == all.end()) {
        Strings names;
        for (const auto& each : all)
            names.push_back(each.first);
        fail("there is no benchmark {}: {}", name.empty() ? "without a name" : name,
            names.empty() ? "bench/ holds none" : join(names, ", "));
    }
    Strings command { "bash", "-eu", "-o", "pipefail", found->second.string() };
    command.insert(command.end(), rest.begin(), rest.end());
    return run({ .arguments = command,
                   .environment = { { "EREMITE_ROOT", root().string() }, { "EREMITE", (root() / "eremite").string() },
                       { "ARCH", arch } },
                   .inherit_input = true,
                   .inherit_error = true,
                   .inherit_output = true })
        .status;
}

} // namespace

void add_bench_command(CLI::App& app, int& status)
{
    struct Arguments {
        std::string arch = "x86_64";
        bool list = false;
    };
    auto* command = app.add_subcommand("bench", "Measures: `eremite bench NAME [ARGUMENTS...]`");
    auto arguments = std::make_shared<Arguments>();
    command->add_option("--arch", arguments->arch, "x86_64 (default) or aarch64");
    command->add_flag("--list", arguments->list, "what benchmarks there are");
    command->prefix_command();
    command->callback([arguments, command, &status] {
        if (arguments->list) {
            for (const auto& each : benchmarks())
                fmt::print("{}\n", each.first);
            status = 0;
            return;
        }
        auto words = command->remaining();
        const auto name = words.empty() ? std::string() : words.front();
        if (!words.empty())
            words.erase(words.begin());
        status = bench(name, std::string(name_of(arch_named(arguments->arch))), words);
    });
}

} // namespace tool
