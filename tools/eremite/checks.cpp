#include "checks.h"

#include "process.h"
#include "project.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>

namespace tool {

namespace fs = std::filesystem;

namespace {

const Strings k_sources { ".h", ".cpp", ".c" };

CheckResult verdict_of(const Outcome& outcome)
{
    return { .good = outcome.ok(), .text = trim(outcome.output) };
}

CheckResult check_format()
{
    Strings arguments { "clang-format-19", "--dry-run", "-Werror", "--ferror-limit=1" };
    const auto files = tracked_files(k_sources);
    if (files.empty())
        return { .skipped = true, .text = "git names no source file here" };
    for (const auto& file : files)
        arguments.push_back(file.string());
    const auto outcome = run({ .arguments = arguments, .directory = root() });
    if (outcome.ok())
        return { .text = fmt::format("{} files", files.size()) };
    std::set<std::string> bad;
    for (const auto& line : split(outcome.output, '\n')) {
        if (line.contains(": error:"))
            bad.insert(line.substr(0, line.find(':')));
    }
    std::string text = "not formatted (`./eremite check --fix` does it):";
    for (const auto& file : bad)
        text += "\n  " + fs::path(file).lexically_relative(root()).string();
    return { .good = false, .text = text };
}

CheckResult run_script(const char* name)
{
    return verdict_of(run({ .arguments = { "bash", (root() / "tools/check" / name).string() }, .directory = root() }));
}

/// Names that the toolchain demands or that are ours by prefix; everything else must be in our namespace.
bool is_allowed_symbol(std::string_view name)
{
    return name.starts_with("_ZN7eremite") || name.starts_with("_ZNK7eremite") || name.starts_with("__eremite_")
        || name.contains("7eremite") || name.contains("9__eremite") || name.starts_with("_ZN13eremite_boost");
}

std::set<std::string> symbols_of(const Path& library, const char* which)
{
    std::set<std::string> names;
    const auto listing = output_of({ "llvm-nm-19", which, "--extern-only", "--format=just-symbols", library.string() });
    for (const auto& line : split(listing, '\n')) {
        if (!line.ends_with(':'))
            names.insert(line);
    }
    return names;
}

/// Global symbols of each liberemite.a that is built: what it defines is not in the application's way, and what it uses
/// is its own or the link script's, never the C library's.
CheckResult check_symbols()
{
    std::set<std::string> listed;
    if (std::ifstream file(root() / "tools/check/symbols.txt"); file) {
        for (std::string line; std::getline(file, line);) {
            const auto words = split_words(line.substr(0, line.find('#')));
            listed.insert(words.begin(), words.end());
        }
    }
    const auto allowed = [&](const std::string& name) { return is_allowed_symbol(name) || listed.contains(name); };
    Strings bad;
    std::size_t count = 0;
    for (const auto arch : { Arch::x86_64, Arch::aarch64 }) {
        for (const auto level : { Isolation::None, Isolation::Stack, Isolation::Mpk }) {
            const auto library = build_folder(arch) / fmt::format("kernel-{}/liberemite.a", name_of(level));
            if (!fs::exists(library))
                continue;
            const auto defined = symbols_of(library, "--defined-only");
            count += defined.size();
            for (const auto& name : defined) {
                if (!allowed(name))
                    bad.push_back(fmt::format("  defines {} ({}, {})", name, name_of(arch), name_of(level)));
            }
            for (const auto& name : symbols_of(library, "--undefined-only")) {
                // Bounds of the section arrays come from the linker.
                if (!allowed(name) && name != "_start" && !name.starts_with("__start_") && !name.starts_with("__stop_"))
                    bad.push_back(fmt::format("  uses {} ({}, {})", name, name_of(arch), name_of(level)));
            }
        }
    }
    if (count == 0)
        return { .skipped = true, .text = "no kernel library is built" };
    if (bad.empty())
        return { .text = fmt::format("{} global symbols", count) };
    return { .good = false,
        .text = "symbols that are not the kernel's (namespace eremite, __eremite_, or tools/check/symbols.txt):\n"
            + join(bad, "\n") };
}

/// Share of the trusted kernel's lines between `unsafe_buffer_usage begin` and `end`.
CheckResult check_unsafe()
{
    constexpr double k_limit = 3.0;
    std::size_t lines = 0;
    std::size_t unsafe_lines = 0;
    std::size_t regions = 0;
    Strings open;
    for (const auto& file : tracked_files({ ".h", ".cpp" })) {
        const auto relative = file.lexically_relative(root()).string();
        if (!relative.starts_with("kernel/"))
            continue;
        std::ifstream stream(file);
        bool inside = false;
        for (std::string line; std::getline(stream, line);) {
            const auto text = trim(line);
            if (text.empty() || text.starts_with("//"))
                continue;
            ++lines;
            if (text.contains("unsafe_buffer_usage begin") || text.contains("ER_UNSAFE_BEGIN")) {
                inside = true;
                ++regions;
            } else if (text.contains("unsafe_buffer_usage end") || text.contains("ER_UNSAFE_END")) {
                inside = false;
            } else if (inside) {
                ++unsafe_lines;
            }
        }
        if (inside)
            open.push_back(relative);
    }
    if (lines == 0)
        return { .skipped = true, .text = "no kernel" };
    const double share = 100.0 * static_cast<double>(unsafe_lines) / static_cast<double>(lines);
    auto text = fmt::format("{} unsafe-buffer regions, {} of {} lines ({:.1f} %, limit {:.0f} %)", regions,
        unsafe_lines, lines, share, k_limit);
    if (!open.empty())
        text += "\n  a region is not closed in " + join(open, ", ");
    return { .good = share <= k_limit && open.empty(), .text = text };
}

/// Pages that are made from the sources: what makes each, and what it is made of.
struct GeneratedPage {
    const char* page;
    const char* script;
};
constexpr std::array k_pages {
    GeneratedPage { "docs/syscalls.md", "tools/check/syscalls-page.sh" },
    GeneratedPage { "docs/unsafe-regions.md", "tools/check/unsafe-regions-page.sh" },
};

std::string generate(const GeneratedPage& page)
{
    return output_of({ "bash", (root() / page.script).string() }) + "\n";
}

CheckResult check_docs()
{
    Strings stale;
    for (const auto& each : k_pages) {
        const auto path = root() / each.page;
        if (!fs::exists(path) || read_file(path) != generate(each))
            stale.push_back(each.page);
    }
    if (stale.empty())
        return {};
    return { .good = false,
        .text = join(stale, ", ") + ": not what the sources say: `./eremite check --fix` makes it anew" };
}

} // namespace

std::vector<Path> tracked_files(const Strings& suffixes)
{
    std::vector<Path> files;
    // -c safe.directory: the folder may belong to somebody else, as in a container.
    const auto outcome
        = run({ .arguments = { "git", "-c", "safe.directory=*", "ls-files", "-z" }, .directory = root() });
    if (!outcome.ok())
        fail("git does not list the project's files: {}", trim(outcome.output));
    for (const auto& name : split(outcome.output, '\0')) {
        const auto ends = [&](const std::string& suffix) { return name.ends_with(suffix); };
        if (std::ranges::any_of(suffixes, ends) && fs::exists(root() / name))
            files.push_back(root() / name);
    }
    return files;
}

void fix_all()
{
    Strings arguments { "clang-format-19", "-i" };
    for (const auto& file : tracked_files(k_sources))
        arguments.push_back(file.string());
    output_of(arguments);
    for (const auto& each : k_pages)
        write_file(root() / each.page, generate(each));
}

const std::vector<Check>& all_checks()
{
    static const std::vector<Check> checks {
        { "format", "clang-format-19 has nothing to change", false, check_format },
        { "layers", "who may include whom; no architecture conditional outside arch/ and libc/", false,
            [] { return run_script("layers.sh"); } },
        { "symbols", "the kernel library takes no name from the application", false, check_symbols },
        { "unsafe", "how much of the kernel lies in unsafe-buffer regions", false, check_unsafe },
        { "docs", "generated pages are up to date", false, check_docs },
        { "third-party", "no source of others in the tree", false, [] { return run_script("third-party.sh"); } },
        { "tidy-changed", "clang-tidy-19 over files that differ from main", true, [] { return check_tidy(false); } },
        { "tidy", "clang-tidy-19 over all files", true, [] { return check_tidy(true); } },
    };
    return checks;
}

} // namespace tool
