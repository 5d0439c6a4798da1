// Mutations: does a test fail when what it is about is taken out? tests/mutations/SET/NAME.patch takes one thing out of
// a copy of the tree; above the patch stands what it is (`What: `) and which tests must then fail (`Tests: `).
#include "tests.h"

#include "process.h"

#include <algorithm>
#include <fstream>
#include <map>

namespace tool {

namespace fs = std::filesystem;

namespace {

/// A kernel that does not run at all would fail any test: this one must still pass.
constexpr std::string_view k_control = "guest/x86_64/q35-mpk/efault";

struct Mutation {
    std::string name;
    Path patch;
    std::string what;
    Strings tests;
};

std::vector<Mutation> mutations_in(const Path& folder, const TestSelection& selection)
{
    std::vector<Mutation> mutations;
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.path().extension() != ".patch" || !selection.wants(entry.path().stem().string()))
            continue;
        Mutation mutation { entry.path().stem().string(), entry.path(), {}, {} };
        for (const auto& line : split(read_file(entry.path()), '\n')) {
            if (line.starts_with("What: "))
                mutation.what = line.substr(6);
            else if (line.starts_with("Tests: "))
                mutation.tests = split_words(line.substr(7));
            else if (line.starts_with("--- "))
                break;
        }
        if (mutation.what.empty() || mutation.tests.empty())
            fail("{}: `What: ` or `Tests: ` is missing", entry.path().string());
        mutations.push_back(std::move(mutation));
    }
    // Those of the tool come last: it is built for them.
    std::ranges::sort(mutations, {}, [](const Mutation& mutation) {
        return std::pair(read_file(mutation.patch).contains("+++ b/tools/"), mutation.name);
    });
    return mutations;
}

/// Copies what has another content, so that what is built there stays valid; removes what is no longer here.
void mirror(const Path& from, const Path& to)
{
    fs::create_directories(to);
    for (const auto& entry : fs::directory_iterator(from)) {
        const auto target = to / entry.path().filename();
        if (entry.is_directory() && !entry.is_symlink()) {
            mirror(entry.path(), target);
        } else if (!fs::exists(fs::symlink_status(target)) || entry.is_symlink()
            || read_file(entry.path()) != read_file(target)) {
            fs::remove(target);
            fs::copy(entry.path(), target, fs::copy_options::copy_symlinks);
        }
    }
    for (const auto& entry : fs::directory_iterator(to)) {
        if (!fs::exists(fs::symlink_status(from / entry.path().filename())))
            fs::remove_all(entry.path());
    }
}

Path copy_of_tree()
{
    const auto tree = build_root() / "mutate/tree";
    fs::create_directories(tree);
    for (const auto* part : { "kernel", "libc", "loader", "tools", "tests" })
        mirror(root() / part, tree / part);
    fs::copy_file(root() / "eremite", tree / "eremite", fs::copy_options::overwrite_existing);
    // The tool is the same there, until a mutation changes it.
    const auto tool = tree / "build/host-tool/eremite";
    fs::create_directories(tool.parent_path());
    fs::remove(tool);
    fs::copy_file(fs::read_symlink("/proc/self/exe"), tool);
    return tree;
}

/// Runs tests in the copy; of each, the word in the report and the reason behind it.
std::map<std::string, std::string> run_in(const Path& tree, const Strings& tests, const Path& log)
{
    Strings command { (tree / "eremite").string(), "test", "--jobs", "1", "--arch", "x86_64" };
    command.insert(command.end(), tests.begin(), tests.end());
    fs::remove(log);
    run({ .arguments = command,
        .environment = { { "EREMITE_ROOT", tree.string() } },
        .directory = tree,
        .output_file = log,
        .timeout = std::chrono::minutes(20) });
    std::map<std::string, std::string> results;
    for (const auto& line : split(read_file(log), '\n')) {
        const auto words = split_words(line);
        if (words.size() < 3 || !words[0].starts_with('[') || (words[1] != "pass" && words[1] != "FAIL"))
            continue;
        const auto reason = line.find("): ");
        results[words[2]] = words[1] + (reason == std::string::npos ? "" : line.substr(reason + 1));
    }
    return results;
}

void apply(const Path& tree, const Path& patch, bool reverse)
{
    Strings command { "patch", "-p1", "-s", "--no-backup-if-mismatch", "-i", patch.string() };
    if (reverse)
        command.push_back("-R");
    const auto outcome = run({ .arguments = command, .directory = tree });
    if (!outcome.ok())
        fail("{} does not apply: bring it up to date with what it takes out\n{}", patch.string(), outcome.output);
}

/// Why the mutation shows nothing, or empty.
std::string problem_of(const Mutation& mutation, const std::map<std::string, std::string>& results)
{
    const auto of = [&](std::string_view test) {
        const auto found = results.find(std::string(test));
        return found == results.end() ? std::string("not run") : found->second;
    };
    if (of(k_control) != "pass")
        return fmt::format("the mutated kernel does not work: {}", of(k_control));
    for (const auto& test : mutation.tests) {
        if (of(test) == "pass")
            return test + " still passes";
        if (!of(test).starts_with("FAIL") || of(test).contains("compile"))
            return fmt::format("{}: {}", test, of(test));
    }
    return {};
}

} // namespace

int run_mutations(const std::string& set, const TestSelection& selection)
{
    const auto folder = root() / "tests/mutations" / set;
    if (!fs::is_directory(folder)) {
        Strings sets;
        for (const auto& entry : fs::directory_iterator(root() / "tests/mutations"))
            sets.push_back(entry.path().filename().string());
        fail("there are no mutations called {}; there are {}", set, join(sets, ", "));
    }
    const auto mutations = mutations_in(folder, selection);
    if (mutations.empty())
        fail("no mutation of {} is called {}", set, join(selection.names, " or "));
    say("copying the tree");
    const auto tree = copy_of_tree();
    const auto logs = build_root() / "mutate/logs";
    fs::create_directories(logs);

    Strings tests { std::string(k_control) };
    for (const auto& mutation : mutations) {
        for (const auto& test : mutation.tests) {
            if (std::ranges::find(tests, test) == tests.end())
                tests.push_back(test);
        }
    }
    say(fmt::format("running {} tests as they are", tests.size()));
    const auto before = run_in(tree, tests, logs / "unchanged.log");
    for (const auto& test : tests) {
        const auto found = before.find(test);
        if (found == before.end() || found->second != "pass")
            fail("{} does not pass without any mutation (log: {})", test, (logs / "unchanged.log").string());
    }

    std::string table = fmt::format("{:<16} {:<72} {}\n", "taken out", "what holds", "then");
    unsigned shown = 0;
    for (const auto& mutation : mutations) {
        say(fmt::format("without {}", mutation.name));
        apply(tree, mutation.patch, false);
        auto wanted = mutation.tests;
        wanted.emplace_back(k_control);
        const auto results = run_in(tree, wanted, logs / (mutation.name + ".log"));
        apply(tree, mutation.patch, true);
        const auto problem = problem_of(mutation, results);
        std::string then = problem;
        if (problem.empty()) {
            ++shown;
            Strings parts;
            for (const auto& test : mutation.tests)
                parts.push_back(
                    fmt::format("{} fails{}", test.substr(test.rfind('/') + 1), results.at(test).substr(4)));
            then = join(parts, "; ");
        }
        table += fmt::format(
            "{:<16} {:<72} {}{}\n", mutation.name, mutation.what, problem.empty() ? "" : "NOT SHOWN: ", then);
    }
    fmt::print("{}{} of {} mutations are found by their tests\n", table, shown, mutations.size());
    return shown == mutations.size() ? 0 : 1;
}

} // namespace tool
