// Guest tests: programs of tests/guest, run in QEMU; what their comments may say is in tests/guest/check.h.
#include "tests.h"

#include "process.h"

#include <algorithm>
#include <regex>

namespace tool {

namespace fs = std::filesystem;

namespace {

constexpr int k_default_timeout = 60; // seconds

struct GuestTest {
    std::string name;
    std::vector<Path> sources;
    Path root_folder; // NAME.root beside it: its --root
};

std::vector<Path> sources_in(const Path& folder)
{
    std::vector<Path> sources;
    for (const auto& entry : fs::directory_iterator(folder)) {
        const auto extension = entry.path().extension();
        if (extension == ".c" || extension == ".cpp")
            sources.push_back(entry.path());
    }
    // The one that carries the comments comes first.
    std::ranges::sort(sources, {}, [](const Path& source) { return std::pair(source.stem() != "main", source); });
    return sources;
}

std::vector<GuestTest> all_guest_tests()
{
    std::vector<GuestTest> tests;
    const auto folder = root() / "tests/guest";
    if (!fs::is_directory(folder))
        return tests;
    for (const auto& entry : fs::directory_iterator(folder)) {
        const auto& path = entry.path();
        const auto extension = path.extension();
        GuestTest test { path.stem().string(), {}, folder / (path.stem().string() + ".root") };
        if (entry.is_directory() && extension != ".root")
            test.sources = sources_in(path);
        else if (entry.is_regular_file() && (extension == ".c" || extension == ".cpp"))
            test.sources = { path };
        if (!test.sources.empty())
            tests.push_back(std::move(test));
    }
    std::ranges::sort(tests, {}, &GuestTest::name);
    return tests;
}

/// Checks status and output against what the comments say.
TestResult judge(const Outcome& outcome, const TestHeader& header, std::string_view level, const Path& log)
{
    // What is said of one level counts there in place of what is said of all.
    const auto all = [&](std::string_view key) {
        const auto special = header.all(fmt::format("{}-{}", key, level));
        return special.empty() ? header.all(key) : special;
    };
    if (outcome.timed_out || outcome.status == 124)
        return { Verdict::Failed, "time limit" };
    const auto text = fs::exists(log) ? read_file(log) : std::string();
    // One status, or several with `|` between them.
    const auto statuses = all("exit");
    const auto expected = statuses.empty() ? "0" : statuses.front();
    if (std::ranges::count(split(expected, '|'), std::to_string(outcome.status)) == 0)
        return { Verdict::Failed, fmt::format("status {} instead of {}", outcome.status, expected) };
    for (const auto& pattern : all("expect")) {
        if (!std::regex_search(text, std::regex(pattern)))
            return { Verdict::Failed, "not in the output: " + pattern };
    }
    for (const auto& pattern : all("reject")) {
        if (std::regex_search(text, std::regex(pattern)))
            return { Verdict::Failed, "in the output: " + pattern };
    }
    return {};
}

Path input_of(const TestHeader& header, const Path& log)
{
    const auto text = header.one("stdin");
    if (!text)
        return {};
    auto file = log;
    file.replace_extension(".in");
    write_file(file, *text + "\n");
    return file;
}

Strings test_flags(const TestHeader& header)
{
    Strings flags { "-g", "-I" + (root() / "tests/guest").string() };
    for (const auto& flag : header.words("cflags", { "-O2" }))
        flags.push_back(flag);
    return flags;
}

TestResult run_in_guest(const GuestTest& guest, const TestHeader& header, Target target, const std::string& machine,
    const TestCase& self, const Path& log)
{
    if (machine == "kvm" && (!kvm_works() || host_arch() != target.arch))
        return { Verdict::Skipped, "no KVM here" };
    const auto program
        = build_folder(target.arch) / "tests" / fmt::format("{}-{}", guest.name, name_of(target.isolation));
    {
        // Machines share the program; the first to come builds it.
        const FileLock lock(Path(program.string() + ".lock"));
        Fingerprint fingerprint;
        for (const auto& source : guest.sources)
            fingerprint.add_tree(source);
        fingerprint.add_tree(root() / "tests/guest/check.h");
        fingerprint.add_tree(
            build_folder(target.arch) / fmt::format("kernel-{}/liberemite.a", name_of(target.isolation)));
        fingerprint.add_tree(build_folder(target.arch) / "sdk.stamp");
        const Path stamp = program.string() + ".stamp";
        if (!fs::exists(program) || !fingerprint.matches(stamp)) {
            if (!compile(target, guest.sources, test_flags(header), program, log))
                return { Verdict::Failed, "it does not compile" };
            write_file(stamp, fingerprint.text() + "\n");
        }
    }
    auto command = eremite_command({ "run", "--timeout", std::to_string(self.timeout.count()) });
    const auto add = [&](std::initializer_list<std::string> words) { command.insert(command.end(), words); };
    if (machine == "kvm")
        add({ "--kvm" });
    else if (machine == "loader")
        add({ "--loader" });
    else
        add({ "--machine", machine });
    if (fs::is_directory(guest.root_folder))
        add({ "--root", guest.root_folder.string() });
    if (const auto options = header.one("options")) {
        for (const auto& word : split_quoted(*options))
            command.push_back(word);
    }
    command.push_back(program.string());
    if (const auto arguments = header.one("arguments")) {
        for (const auto& word : split_quoted(*arguments))
            command.push_back(word);
    }
    const auto outcome = run({ .arguments = command,
        .input_file = input_of(header, log),
        .output_file = log,
        .append_output = true,
        .timeout = self.timeout + std::chrono::seconds(5),
        .file_size_limit = 1ull << 32 });
    return judge(outcome, header, name_of(target.isolation), log);
}

TestResult run_natively(const GuestTest& guest, const TestHeader& header, const TestCase& self, const Path& log)
{
    const auto program = build_root() / "host-programs" / guest.name;
    fs::create_directories(program.parent_path());
    const bool cpp = std::ranges::any_of(guest.sources, [](const Path& source) { return source.extension() != ".c"; });
    Strings arguments { cpp ? "clang++-19" : "clang-19", "-D_GNU_SOURCE", "-pthread" };
    if (cpp)
        arguments.push_back("-std=c++23");
    for (const auto& source : guest.sources)
        arguments.push_back(source.string());
    for (const auto& flag : test_flags(header))
        arguments.push_back(flag);
    arguments.insert(arguments.end(), { "-o", program.string() });
    if (!run({ .arguments = arguments, .output_file = log }).ok())
        return { Verdict::Failed, "it does not compile for Linux" };
    Strings command { program.string() };
    if (const auto words = header.one("arguments")) {
        for (const auto& word : split_quoted(*words))
            command.push_back(word);
    }
    const ScratchFolder scratch;
    if (fs::is_directory(guest.root_folder))
        fs::copy(guest.root_folder, scratch.path(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    const auto outcome = run({ .arguments = command,
        .directory = scratch.path(),
        .input_file = input_of(header, log),
        .output_file = log,
        .append_output = true,
        .timeout = self.timeout });
    return judge(outcome, header, "native", log);
}

Strings machines_for(const TestHeader& header, Arch arch)
{
    const Strings x86 { "pc", "q35", "microvm" };
    Strings machines;
    const auto add = [&](const std::string& machine) {
        if (std::ranges::find(machines, machine) == machines.end())
            machines.push_back(machine);
    };
    for (const auto& machine : header.words("machines", { "q35", "virt" })) {
        const bool pc_like = std::ranges::find(x86, machine) != x86.end();
        if (machine == "loader" || machine == "kvm")
            add(machine);
        else if (!pc_like && machine != "virt")
            fail("there is no machine {}", machine);
        else if (arch == Arch::x86_64 && pc_like)
            add(machine);
        else if (arch == Arch::aarch64)
            add("virt"); // its counterpart of whichever was named
    }
    return machines;
}

/// Without a word in the test: the default level on all its machines and, on x86_64, each other level on the first,
/// unless it takes long.
std::vector<std::pair<Isolation, std::string>> places_for(
    const TestHeader& header, const TestSelection& selection, Arch arch)
{
    const auto machines = machines_for(header, arch);
    const auto named = header.words("isolation");
    std::vector<std::pair<Isolation, std::string>> places;
    const bool all = arch == Arch::x86_64 && header.number("timeout", k_default_timeout) <= k_default_timeout;
    for (const auto level : levels_for(header, selection, arch, all)) {
        const bool everywhere = !named.empty() || !selection.isolations.empty() || level == default_isolation(arch);
        for (const auto& machine : machines) {
            if (everywhere || machine == machines.front())
                places.emplace_back(level, machine);
        }
    }
    return places;
}

} // namespace

void find_guest_tests(const TestSelection& selection, bool list_only, std::vector<TestCase>& tests)
{
    const auto guests = all_guest_tests();
    if (guests.empty())
        return;
    if (const auto part = missing_toolchain_part(); !part.empty()) {
        say(fmt::format("no guest test is run: {} is not there yet", part));
        return;
    }
    std::vector<TestCase> found;
    std::vector<std::pair<Arch, Isolation>> targets;
    for (const auto& guest : guests) {
        const TestHeader header(guest.sources.front());
        const auto timeout = std::chrono::seconds(header.number("timeout", k_default_timeout));
        const auto archs = header.words("arch", { "x86_64", "aarch64" });
        for (const auto arch : selection.archs) {
            if (std::ranges::find(archs, name_of(arch)) == archs.end())
                continue;
            for (const auto& [level, machine] : places_for(header, selection, arch)) {
                auto name
                    = fmt::format("guest/{}/{}{}/{}", name_of(arch), machine, level_suffix(arch, level), guest.name);
                if (!selection.wants(name))
                    continue;
                if (std::ranges::find(targets, std::pair(arch, level)) == targets.end())
                    targets.emplace_back(arch, level);
                found.push_back(
                    { .name = std::move(name), .timeout = timeout, .body = [=](const TestCase& self, const Path& log) {
                         return run_in_guest(guest, header, { arch, level }, machine, self, log);
                     } });
            }
        }
        const auto native = "native/" + guest.name;
        const bool for_host = host_arch() && std::ranges::find(archs, name_of(*host_arch())) != archs.end();
        if (header.one("oracle") == "native" && for_host && selection.wants(native))
            found.push_back({ .name = native, .timeout = timeout, .body = [=](const TestCase& self, const Path& log) {
                                 return run_natively(guest, header, self, log);
                             } });
    }
    if (!list_only) {
        for (const auto& [arch, level] : targets) {
            try {
                ensure_toolchain({ arch, level });
            } catch (const Failure& failure) {
                // One failure that tells why, instead of hundreds that don't.
                tests.push_back(
                    failed_test(fmt::format("guest/{}/toolchain-{}", name_of(arch), name_of(level)), failure.what()));
                const auto prefix = fmt::format("guest/{}/", name_of(arch));
                std::erase_if(found, [&](const TestCase& test) { return test.name.starts_with(prefix); });
            }
        }
    }
    tests.insert(tests.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
}

} // namespace tool
