// Host tests: each suite of the GoogleTest binary, and each fuzzer over its corpus with a bound.
#include "tests.h"

#include "process.h"

#include <algorithm>

namespace tool {

namespace fs = std::filesystem;

namespace {

TestCase suite_test(const Path& binary, const std::string& suite)
{
    return { .name = "host/" + suite,
        .timeout = std::chrono::seconds(180),
        .body = [binary, suite](const TestCase& self, const Path& log) -> TestResult {
            const auto outcome
                = run({ .arguments = { binary.string(), "--gtest_filter=" + suite + ".*", "--gtest_color=no" },
                    .output_file = log,
                    .timeout = self.timeout });
            if (outcome.timed_out)
                return { Verdict::Failed, "time limit" };
            if (!outcome.ok())
                return { Verdict::Failed, fmt::format("status {}", outcome.status) };
            // A suite of which nothing ran has not passed.
            if (!read_file(log).contains("[  PASSED  ]") || read_file(log).contains("Running 0 tests"))
                return { Verdict::Failed, "it ran no test" };
            return {};
        } };
}

TestCase fuzz_test(const Path& binary)
{
    const auto name = binary.filename().string().substr(5);
    return { .name = "fuzz/" + name,
        .timeout = std::chrono::seconds(90),
        .body = [binary, name](const TestCase& self, const Path& log) -> TestResult {
            const auto corpus = root() / "tests/fuzz/corpus" / name;
            if (!fs::is_directory(corpus) || fs::is_empty(corpus))
                return { Verdict::Failed, "no corpus in tests/fuzz/corpus/" + name };
            const auto grown = build_root() / "host/corpus" / name;
            fs::create_directories(grown);
            const auto artifacts = build_root() / "host/artifacts" / (name + "-");
            fs::create_directories(artifacts.parent_path());
            const auto outcome = run({ .arguments
                = { binary.string(), "-max_total_time=10", "-timeout=10", "-rss_limit_mb=2048", "-seed=1",
                    "-print_final_stats=1", "-artifact_prefix=" + artifacts.string(), grown.string(), corpus.string() },
                .output_file = log,
                .timeout = self.timeout });
            if (outcome.timed_out)
                return { Verdict::Failed, "time limit" };
            if (!outcome.ok())
                return { Verdict::Failed,
                    fmt::format("status {}: the input that did it is {}*", outcome.status, artifacts.string()) };
            return {};
        } };
}

} // namespace

void find_host_tests(const TestSelection& selection, bool list_only, std::vector<TestCase>& tests)
{
    const auto source = root() / "tests/host";
    if (!fs::exists(source / "CMakeLists.txt"))
        return;
    const auto folder = build_root() / "host";
    // Only when a host test could be meant is the host build worth its time.
    const auto meant = [](const std::string& name) {
        return name.starts_with("host") || name.starts_with("fuzz") || !name.contains('/');
    };
    if (!selection.names.empty() && std::ranges::none_of(selection.names, meant))
        return;
    try {
        if (!list_only || !fs::exists(folder / "host-tests")) {
            say("building the host tests");
            const auto log = build_root() / "host.log";
            const FileLock lock(build_root() / ".host.lock");
            run_step({ "cmake", "-S", source.string(), "-B", folder.string(), "-G", "Ninja",
                         "-DCMAKE_C_COMPILER=clang-19", "-DCMAKE_CXX_COMPILER=clang++-19" },
                log, "the host build");
            run_step({ "ninja", "-C", folder.string() }, log, "the host build");
        }
        const auto binary = folder / "host-tests";
        for (const auto& line : split(output_of({ binary.string(), "--gtest_list_tests" }), '\n')) {
            // "Suite." or "Suite.  # type"; tests are indented.
            if (line.starts_with(' ') || !line.contains('.') || line.starts_with("Running main"))
                continue;
            const auto suite = line.substr(0, line.find('.'));
            if (selection.wants("host/" + suite))
                tests.push_back(suite_test(binary, suite));
        }
        std::vector<Path> fuzzers;
        for (const auto& entry : fs::directory_iterator(folder)) {
            const auto name = entry.path().filename().string();
            if (entry.is_regular_file() && name.starts_with("fuzz-") && !name.contains('.'))
                fuzzers.push_back(entry.path());
        }
        std::ranges::sort(fuzzers);
        for (const auto& fuzzer : fuzzers) {
            auto test = fuzz_test(fuzzer);
            if (selection.wants(test.name))
                tests.push_back(std::move(test));
        }
    } catch (const Failure& failure) {
        tests.push_back(failed_test("host/build", failure.what()));
    }
}

} // namespace tool
