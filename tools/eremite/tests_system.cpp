// System tests: tests/system/NAME/test.sh, a script that uses ./eremite as a user does. Status 0 passes, 77 skips.
// Comments: `# arch: host` (once, not per architecture) or a list of architectures; `# timeout: SECONDS` (default 120);
// `# alone: yes` (nothing beside it); `# isolation: stack mpk` (the levels it can run at; all otherwise); `# also: mpk`
// (beside the default level; the others by --isolation).
#include "tests.h"

#include "process.h"

#include <algorithm>

namespace tool {

namespace fs = std::filesystem;

namespace {

constexpr int k_skip_status = 77;

TestCase script_test(const Path& folder, const std::string& name, std::optional<Arch> arch, Isolation level)
{
    const TestHeader header(folder / "test.sh");
    return { .name = name,
        .timeout = std::chrono::seconds(header.number("timeout", 120)),
        .exclusive = header.one("alone") == "yes",
        .body = [=](const TestCase& self, const Path& log) -> TestResult {
            const ScratchFolder scratch;
            std::vector<std::pair<std::string, std::string>> environment {
                { "EREMITE_ROOT", root().string() },
                { "EREMITE", (root() / "eremite").string() },
                { "TEST_SOURCE", folder.string() },
                { "TEST_DIR", scratch.path().string() },
                { "ARCH", std::string(arch ? name_of(*arch) : "host") },
                { "ISOLATION", std::string(name_of(level)) },
                { "EREMITE_ISOLATION", std::string(name_of(level)) },
            };
            const auto outcome = run({ .arguments = { "bash", "-eu", "-o", "pipefail", (folder / "test.sh").string() },
                .environment = environment,
                .directory = scratch.path(),
                .output_file = log,
                .timeout = self.timeout });
            if (outcome.timed_out)
                return { Verdict::Failed, "time limit" };
            if (outcome.status == k_skip_status) {
                const auto lines = split(read_file(log), '\n');
                return { Verdict::Skipped, lines.empty() ? "" : lines.back() };
            }
            if (outcome.status != 0)
                return { Verdict::Failed, fmt::format("status {}", outcome.status) };
            return {};
        } };
}

} // namespace

void find_system_tests(const TestSelection& selection, bool list_only, std::vector<TestCase>& tests)
{
    const auto folder = root() / "tests/system";
    if (!fs::is_directory(folder))
        return;
    std::vector<Path> scripts;
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (fs::exists(entry.path() / "test.sh"))
            scripts.push_back(entry.path());
    }
    std::ranges::sort(scripts);
    const bool toolchain = missing_toolchain_part().empty();
    std::vector<std::pair<Arch, Isolation>> needed;
    for (const auto& script : scripts) {
        const TestHeader header(script / "test.sh");
        const auto archs = header.words("arch", { "x86_64", "aarch64" });
        const auto base = script.filename().string();
        if (archs == Strings { "host" }) {
            if (selection.wants("system/" + base))
                tests.push_back(script_test(script, "system/" + base, std::nullopt, Isolation::Stack));
            continue;
        }
        for (const auto arch : selection.archs) {
            if (std::ranges::find(archs, name_of(arch)) == archs.end())
                continue;
            for (const auto level : levels_for(header, selection, arch, false)) {
                const auto name = fmt::format("system/{}{}/{}", name_of(arch), level_suffix(arch, level), base);
                if (!selection.wants(name))
                    continue;
                if (!toolchain) {
                    say(fmt::format("{} is not run: {} is not there yet", name, missing_toolchain_part()));
                    continue;
                }
                if (std::ranges::find(needed, std::pair(arch, level)) == needed.end())
                    needed.emplace_back(arch, level);
                tests.push_back(script_test(script, name, arch, level));
            }
        }
    }
    if (list_only)
        return;
    for (const auto& [arch, level] : needed) {
        try {
            ensure_toolchain({ arch, level });
        } catch (const Failure& failure) {
            const auto prefix = fmt::format("system/{}{}/", name_of(arch), level_suffix(arch, level));
            std::erase_if(tests, [&](const TestCase& test) { return test.name.starts_with(prefix); });
            tests.push_back(failed_test(prefix + "toolchain", failure.what()));
        }
    }
}

} // namespace tool
