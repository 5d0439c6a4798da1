// clang-tidy over the files that a compilation database names.
#include "checks.h"

#include "process.h"
#include "project.h"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

namespace tool {

namespace fs = std::filesystem;

namespace {

struct Unit {
    Path file;
    Path database; // the folder of its compile_commands.json
};

/// Each project file once, with the first database that has it.
std::vector<Unit> units()
{
    std::vector<Unit> found;
    std::set<std::string> seen;
    for (const auto& folder :
        { build_folder(Arch::x86_64) / "kernel-stack", build_folder(Arch::aarch64) / "kernel-stack",
            build_root() / "host", build_root() / "host-tool", build_folder(Arch::x86_64) / "loader" }) {
        const auto database = folder / "compile_commands.json";
        if (!fs::exists(database))
            continue;
        for (const auto& entry : nlohmann::json::parse(read_file(database))) {
            const auto file = entry.value("file", "");
            if (file.ends_with(".cpp") && file.starts_with(root().string()) && !file.contains("/build/")
                && seen.insert(file).second)
                found.push_back({ file, folder });
        }
    }
    return found;
}

std::set<std::string> changed_files()
{
    std::set<std::string> files;
    const Strings git { "git", "-c", "safe.directory=*" };
    for (const auto& tail :
        { Strings { "diff", "--name-only", "main" }, Strings { "diff", "--name-only", "HEAD~1" } }) {
        auto command = git;
        command.insert(command.end(), tail.begin(), tail.end());
        for (const auto& name : split(run({ .arguments = command, .directory = root() }).output, '\n'))
            files.insert((root() / name).string());
    }
    return files;
}

} // namespace

CheckResult check_tidy(bool all_files)
{
    auto work = units();
    if (!all_files) {
        const auto changed = changed_files();
        std::erase_if(work, [&](const Unit& unit) { return !changed.contains(unit.file.string()); });
    }
    if (work.empty())
        return { .skipped = true, .text = "nothing to look at: build first, `./eremite build`" };
    std::atomic<std::size_t> next = 0;
    std::mutex mutex;
    std::string text;
    std::vector<std::jthread> workers;
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
        workers.emplace_back([&] {
            for (auto index = next++; index < work.size(); index = next++) {
                const auto outcome = run({ .arguments = { "clang-tidy-19", "--quiet", "--warnings-as-errors=*", "-p",
                                               work[index].database.string(), work[index].file.string() },
                    .timeout = std::chrono::minutes(5) });
                if (outcome.ok())
                    continue;
                const std::scoped_lock lock(mutex);
                for (const auto& line : split(outcome.output, '\n')) {
                    if (line.contains("error:") || line.contains("warning:"))
                        text += line + "\n";
                }
                if (outcome.timed_out)
                    text += work[index].file.string() + ": it took longer than 5 minutes\n";
            }
        });
    }
    workers.clear();
    if (text.empty())
        return { .text = fmt::format("{} files", work.size()) };
    return { .good = false, .text = trim(text) };
}

} // namespace tool
