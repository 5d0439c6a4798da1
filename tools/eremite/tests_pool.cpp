// Runs test cases in parallel and reports them.
#include "tests.h"

#include "process.h"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace tool {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t k_shown_log = 12'000; // bytes of a failed test's log, its end

struct Report {
    const TestCase* test;
    TestResult result;
    double seconds;
    Path log;
};

void end_on_signal(int number)
{
    end_all_groups();
    ::_exit(128 + number);
}

std::string xml_escaped(std::string_view text)
{
    std::string result;
    for (const char c : text) {
        switch (c) {
        case '<':
            result += "&lt;";
            break;
        case '>':
            result += "&gt;";
            break;
        case '&':
            result += "&amp;";
            break;
        case '"':
            result += "&quot;";
            break;
        default:
            result += (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') ? '?' : c;
        }
    }
    return result;
}

std::string tail_of(const Path& log)
{
    if (!fs::exists(log))
        return {};
    std::ifstream file(log, std::ios::binary);
    const auto size = fs::file_size(log);
    if (size > k_shown_log)
        file.seekg(static_cast<std::streamoff>(size - k_shown_log));
    std::string text { std::istreambuf_iterator<char>(file), {} };
    if (size > k_shown_log)
        text = fmt::format("... ({} bytes before)\n{}", size - k_shown_log, text);
    return text;
}

class Pool {
public:
    Pool(std::vector<TestCase> tests, unsigned jobs)
        : m_tests(std::move(tests))
        , m_jobs(std::max(1u, jobs))
    {
        // Long ones first, so that no core is idle at the end; exclusive ones after all others.
        std::ranges::sort(m_tests, [](const TestCase& a, const TestCase& b) {
            return std::tie(a.exclusive, b.timeout, a.name) < std::tie(b.exclusive, a.timeout, b.name);
        });
        m_reports.reserve(m_tests.size());
    }

    void run()
    {
        std::vector<std::jthread> workers;
        for (unsigned i = 0; i < m_jobs; ++i)
            workers.emplace_back([this] { work(); });
        // The workers stay until all is done: a child ends when the thread that started it does.
        workers.clear();
        for (const auto& test : m_tests) {
            if (test.exclusive)
                run_one(test);
        }
    }

    unsigned count(Verdict verdict) const
    {
        return static_cast<unsigned>(
            std::ranges::count_if(m_reports, [=](const Report& report) { return report.result.verdict == verdict; }));
    }

    void write_junit(const Path& path) const
    {
        double total = 0;
        std::string cases;
        for (const auto& report : m_reports) {
            total += report.seconds;
            const auto slash = report.test->name.rfind('/');
            const auto group = slash == std::string::npos ? "" : report.test->name.substr(0, slash);
            const auto name = slash == std::string::npos ? report.test->name : report.test->name.substr(slash + 1);
            cases += fmt::format("  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", xml_escaped(group),
                xml_escaped(name), report.seconds);
            if (report.result.verdict == Verdict::Failed)
                cases += fmt::format("><failure message=\"{}\">{}</failure></testcase>\n",
                    xml_escaped(report.result.reason), xml_escaped(tail_of(report.log)));
            else if (report.result.verdict == Verdict::Skipped)
                cases += fmt::format("><skipped message=\"{}\"/></testcase>\n", xml_escaped(report.result.reason));
            else
                cases += "/>\n";
        }
        write_file(path,
            fmt::format(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"eremite\" tests=\"{}\" failures=\"{}\" "
                "skipped=\"{}\" time=\"{:.3f}\">\n{}</testsuite>\n",
                m_reports.size(), count(Verdict::Failed), count(Verdict::Skipped), total, cases));
    }

    Strings failed_names() const
    {
        Strings names;
        for (const auto& report : m_reports) {
            if (report.result.verdict == Verdict::Failed)
                names.push_back(report.test->name);
        }
        return names;
    }

private:
    void work()
    {
        while (true) {
            const auto index = m_next.fetch_add(1);
            if (index >= m_tests.size())
                return;
            if (!m_tests[index].exclusive)
                run_one(m_tests[index]);
        }
    }

    void run_one(const TestCase& test)
    {
        auto file = test.name;
        std::ranges::replace(file, '/', '.');
        const auto log = build_root() / "test/logs" / (file + ".log");
        fs::create_directories(log.parent_path());
        fs::remove(log);
        const auto begin = Clock::now();
        TestResult result;
        try {
            result = test.body(test, log);
        } catch (const std::exception& error) {
            result = { Verdict::Failed, error.what() };
        }
        const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        const std::scoped_lock lock(m_mutex);
        m_reports.push_back({ &test, result, seconds, log });
        print(m_reports.back());
    }

    void print(const Report& report) const
    {
        const auto verdict = report.result.verdict;
        const auto* word = verdict == Verdict::Passed ? "pass" : verdict == Verdict::Failed ? "FAIL" : "skip";
        fmt::print("[{}/{}] {} {} ({:.1f} s){}{}\n", m_reports.size(), m_tests.size(), word, report.test->name,
            report.seconds, report.result.reason.empty() ? "" : ": ", report.result.reason);
        if (verdict == Verdict::Failed) {
            const auto text = tail_of(report.log);
            fmt::print("---- log of {}\n{}{}----\n", report.test->name, text,
                text.empty() || text.ends_with('\n') ? "" : "\n");
        }
        std::fflush(stdout);
    }

    std::vector<TestCase> m_tests;
    unsigned m_jobs;
    std::atomic<std::size_t> m_next { 0 };
    std::mutex m_mutex;
    std::vector<Report> m_reports;
};

} // namespace

bool TestSelection::wants(std::string_view name) const
{
    return names.empty() || std::ranges::any_of(names, [&](const std::string& part) { return name.contains(part); });
}

TestHeader::TestHeader(const Path& file)
    : m_file(file)
{
    std::ifstream stream(file);
    std::string line;
    for (int i = 0; i < 40 && std::getline(stream, line); ++i) {
        std::string_view text = line;
        if (text.starts_with("// "))
            text.remove_prefix(3);
        else if (text.starts_with("# "))
            text.remove_prefix(2);
        else
            continue;
        const auto colon = text.find(": ");
        if (colon != std::string_view::npos && !text.substr(0, colon).contains(' '))
            m_entries.emplace_back(text.substr(0, colon), trim(text.substr(colon + 2)));
    }
}

Strings TestHeader::all(std::string_view key) const
{
    Strings values;
    for (const auto& [name, value] : m_entries) {
        if (name == key)
            values.push_back(value);
    }
    return values;
}

std::optional<std::string> TestHeader::one(std::string_view key) const
{
    const auto values = all(key);
    if (values.size() > 1)
        fail("{}: `{}` stands there more than once", m_file.string(), key);
    return values.empty() ? std::nullopt : std::optional(values.front());
}

Strings TestHeader::words(std::string_view key, Strings otherwise) const
{
    const auto value = one(key);
    return value ? split_words(*value) : otherwise;
}

int TestHeader::number(std::string_view key, int otherwise) const
{
    const auto value = one(key);
    return value ? std::stoi(*value) : otherwise;
}

std::vector<Isolation> levels_for(const TestHeader& header, const TestSelection& selection, Arch arch, bool all)
{
    const auto otherwise = default_isolation(arch);
    const bool select = !selection.isolations.empty();
    const auto has = [](const std::vector<Isolation>& levels, Isolation level) {
        return std::ranges::find(levels, level) != levels.end();
    };
    auto unnamed = header.words("also");
    unnamed.insert(unnamed.begin(), std::string(name_of(otherwise)));
    if (all || select)
        unnamed = { "stack", "none", "mpk" };
    std::vector<Isolation> levels;
    for (const auto& word : header.words("isolation", unnamed)) {
        const auto level = isolation_named(word);
        if (level != Isolation::Mpk || arch == Arch::x86_64)
            levels.push_back(level);
    }
    if (select)
        std::erase_if(levels, [&](Isolation level) { return !has(selection.isolations, level); });
    else if (arch != Arch::x86_64 && has(levels, otherwise))
        levels = { otherwise };
    return levels;
}

std::string level_suffix(Arch arch, Isolation level)
{
    return level == default_isolation(arch) ? "" : fmt::format("-{}", name_of(level));
}

TestCase failed_test(std::string name, std::string reason)
{
    return { .name = std::move(name), .body = [reason = std::move(reason)](const TestCase&, const Path& log) {
                write_file(log, reason + "\n");
                return TestResult { Verdict::Failed, reason.substr(0, reason.find('\n')) };
            } };
}

Strings eremite_command(std::initializer_list<std::string> arguments)
{
    Strings command { (root() / "eremite").string() };
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
}

unsigned run_tests(std::vector<TestCase> tests, unsigned jobs)
{
    ::signal(SIGINT, end_on_signal);
    ::signal(SIGTERM, end_on_signal);
    Pool pool(std::move(tests), jobs);
    pool.run();
    pool.write_junit(build_root() / "test/junit.xml");
    const auto failed = pool.count(Verdict::Failed);
    const auto skipped = pool.count(Verdict::Skipped);
    if (failed) {
        fmt::print("failed:\n");
        for (const auto& name : pool.failed_names())
            fmt::print("  {}\n", name);
    }
    fmt::print("{} passed, {} failed", pool.count(Verdict::Passed), failed);
    if (skipped)
        fmt::print(", {} skipped", skipped);
    fmt::print("\n");
    std::fflush(stdout);
    return failed;
}

} // namespace tool
