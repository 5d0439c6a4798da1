// The test runner's parts. A test case is a name, a time limit and a function; discovery makes them, the pool runs
// them.
#pragma once

#include "builder.h"

#include <chrono>
#include <functional>

namespace tool {

enum class Verdict { Passed, Failed, Skipped };

struct TestResult {
    Verdict verdict = Verdict::Passed;
    /// Why it failed or was skipped, one line.
    std::string reason {};
};

struct TestCase {
    /// kind/…/NAME, as in guest/x86_64/q35/hello.
    std::string name;
    std::chrono::seconds timeout { 60 };
    /// Alone on the machine: nothing else runs beside it.
    bool exclusive = false;
    /// Runs the test; what it prints goes to `log`.
    std::function<TestResult(const TestCase& self, const Path& log)> body;
};

struct TestSelection {
    std::vector<Arch> archs;
    /// Only at these; empty: what each test asks for.
    std::vector<Isolation> isolations {};
    /// A test is run when its name contains one of these; all when empty.
    Strings names {};
    bool with_check = false;

    bool wants(std::string_view name) const;
};

/// Comments `// key: value` (or `# key: value`) in a test's first lines.
class TestHeader {
public:
    explicit TestHeader(const Path& file);
    /// All values of a key, in order.
    Strings all(std::string_view key) const;
    std::optional<std::string> one(std::string_view key) const;
    Strings words(std::string_view key, Strings otherwise = {}) const;
    int number(std::string_view key, int otherwise) const;

private:
    std::vector<std::pair<std::string, std::string>> m_entries;
    Path m_file;
};

/// The levels of a test: those it can run at, by its header's `isolation`; where that is missing, all if `all`, else
/// the default one and those of `also`, unless levels are selected. Of these the selected ones. On aarch64, which has
/// no `mpk`, the default one alone unless others are selected.
std::vector<Isolation> levels_for(const TestHeader& header, const TestSelection& selection, Arch arch, bool all);

/// What a test's name says of its level: nothing of the default, else "-LEVEL".
std::string level_suffix(Arch arch, Isolation level);

// Discovery. Each appends what is selected, building what must be built to know; a build that fails becomes a failed
// test case that shows its log.
void find_host_tests(const TestSelection& selection, bool list_only, std::vector<TestCase>& tests);
void find_guest_tests(const TestSelection& selection, bool list_only, std::vector<TestCase>& tests);
void find_system_tests(const TestSelection& selection, bool list_only, std::vector<TestCase>& tests);
void find_check_tests(const TestSelection& selection, bool list_only, std::vector<TestCase>& tests);

/// A test case that fails with `reason`: something that had to be there for others was not.
TestCase failed_test(std::string name, std::string reason);

/// Runs all, `jobs` at a time; prints a line for each, the log of each that failed, and the closing line; writes
/// JUnit's XML to build/test/junit.xml. The number of failed tests.
unsigned run_tests(std::vector<TestCase> tests, unsigned jobs);

/// `test --mutate SET`: takes out what tests/mutations/SET says, one after the other, in a copy of the tree in
/// build/mutate, runs the tests that must then fail, and prints a table. 0 if each was found.
int run_mutations(const std::string& set, const TestSelection& selection);

/// ./eremite itself, with what every child of a test is told.
Strings eremite_command(std::initializer_list<std::string> arguments);

} // namespace tool
