#include "builder.h"

#include "process.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/statvfs.h>
#include <unistd.h>

namespace tool {

namespace fs = std::filesystem;

namespace {

// What building a sysroot takes at most, sources and intermediate files included.
constexpr std::uint64_t k_sysroot_space = 2'500'000'000;

bool looks_like_error(std::string_view line)
{
    return line.contains("error") || line.contains("Error") || line.contains("undefined") || line.contains("FAILED");
}

std::string important_lines(const Path& log)
{
    const auto lines = split(read_file(log), '\n');
    Strings chosen;
    for (const auto& line : lines) {
        if (looks_like_error(line) && chosen.size() < 20)
            chosen.push_back("  " + line.substr(0, 300));
    }
    for (std::size_t i = lines.size() - std::min<std::size_t>(lines.size(), 12); chosen.empty() && i < lines.size();
        ++i)
        chosen.push_back("  " + lines[i].substr(0, 300));
    return join(chosen, "\n");
}

/// A step that leaves a stamp: skipped while what it is made from is as it was.
class Step {
public:
    Step(Path stamp, std::initializer_list<Path> inputs, std::string_view text)
        : m_stamp(std::move(stamp))
    {
        m_fingerprint.add(text);
        for (const auto& input : inputs)
            m_fingerprint.add_tree(input);
    }
    bool is_done(const Path& product) const { return fs::exists(product) && m_fingerprint.matches(m_stamp); }
    void done() const { write_file(m_stamp, m_fingerprint.text() + "\n"); }

private:
    Path m_stamp;
    Fingerprint m_fingerprint;
};

void check_cache()
{
    const auto cache = cache_folder();
    std::error_code error;
    fs::create_directories(cache, error);
    if (error || ::access(cache.c_str(), W_OK) != 0)
        fail("cannot write to the cache {}: set EREMITE_CACHE to a folder that you may write to", cache.string());
    struct statvfs space {};
    if (::statvfs(cache.c_str(), &space) != 0)
        fail("cannot look at the cache {}: {}", cache.string(), std::strerror(errno));
    const std::uint64_t free = std::uint64_t(space.f_bavail) * space.f_frsize;
    if (free < k_sysroot_space)
        fail("no space for the cache in {}: {} MB free, {} MB needed to build a sysroot; make room, or set "
             "EREMITE_CACHE to a folder elsewhere",
            cache.string(), free / 1'000'000, k_sysroot_space / 1'000'000);
}

Path ensure_sysroot(Arch arch)
{
    // The recipe and the place of the cache decide; with both as they were, the path is as it was.
    const auto remembered = build_folder(arch) / "sysroot.path";
    const Step step(build_folder(arch) / "sysroot.stamp", { root() / "libc", root() / "kernel/syscall/table.inc" },
        cache_folder().string());
    if (fs::exists(remembered)) {
        const Path path = trim(read_file(remembered));
        if (step.is_done(path))
            return path;
    }
    const auto prefix = fmt::format("sysroot-{}-", name_of(arch));
    bool any = false;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(cache_folder(), error))
        any = any || entry.path().filename().string().starts_with(prefix);
    if (!any)
        check_cache();
    const auto outcome = run(
        { .arguments = { (root() / "libc/sysroot.sh").string(), std::string(name_of(arch)) }, .inherit_error = true });
    const auto lines = split(outcome.output, '\n');
    if (!outcome.ok() || lines.empty())
        fail("the {} sysroot could not be built (libc/sysroot.sh, status {}): see the lines above", name_of(arch),
            outcome.status);
    write_file(remembered, lines.back() + "\n");
    step.done();
    return lines.back();
}

void cmake_build(std::string_view what, const Path& source, const Path& folder, const Strings& definitions)
{
    const auto log = Path(folder.string() + ".log");
    Strings configure { "cmake", "-S", source.string(), "-B", folder.string(), "-G", "Ninja" };
    configure.insert(configure.end(), definitions.begin(), definitions.end());
    run_step(configure, log, what);
    run_step({ "ninja", "-C", folder.string() }, log, what);
}

/// libext2fs for the kernel, in the cache.
Path ensure_ext2fs(Arch arch, const Path& sysroot)
{
    const auto outcome = run(
        { .arguments = { (root() / "libc/ext2fs/build.sh").string(), std::string(name_of(arch)), sysroot.string() },
            .output_file = build_folder(arch) / "ext2fs.log" });
    const auto lines = split(read_file(build_folder(arch) / "ext2fs.log"), '\n');
    if (!outcome.ok() || lines.empty())
        fail("libext2fs could not be built for {} (log: {})", name_of(arch),
            (build_folder(arch) / "ext2fs.log").string());
    return lines.back();
}

Strings kernel_definitions(Target target, const Path& sysroot)
{
    return { fmt::format("-DEXT2FS={}", ensure_ext2fs(target.arch, sysroot).string()),
        fmt::format("-DARCH={}", name_of(target.arch)), fmt::format("-DISOLATION={}", name_of(target.isolation)),
        fmt::format("-DSYSROOT={}", sysroot.string()), "-DCMAKE_C_COMPILER=clang-19", "-DCMAKE_CXX_COMPILER=clang++-19",
        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON" };
}

} // namespace

Isolation default_isolation(Arch arch)
{
    const char* given = std::getenv("EREMITE_ISOLATION");
    const auto level = given && *given ? isolation_named(given) : Isolation::Stack;
    // aarch64 has no such keys.
    return level == Isolation::Mpk && arch != Arch::x86_64 ? Isolation::Stack : level;
}

void run_step(const Strings& arguments, const Path& log, std::string_view what,
    const std::vector<std::pair<std::string, std::string>>& environment, const Path& directory)
{
    const auto outcome
        = run({ .arguments = arguments, .environment = environment, .directory = directory, .output_file = log });
    if (!outcome.ok())
        fail("{} failed (log: {}):\n{}", what, log.string(), important_lines(log));
}

std::string missing_toolchain_part()
{
    for (const char* part : { "libc/sysroot.sh", "libc/sdk.sh", "kernel/CMakeLists.txt" }) {
        if (!fs::exists(root() / part))
            return part;
    }
    return {};
}

void ensure_toolchain(Target target)
{
    if (const auto part = missing_toolchain_part(); !part.empty())
        fail("{} is not in the tree: this checkout is not complete", part);
    const auto arch = name_of(target.arch);
    const auto level = name_of(target.isolation);
    const auto folder = build_folder(target.arch);
    const FileLock lock(folder / ".lock");

    const auto sysroot = ensure_sysroot(target.arch);

    const auto kernel = folder / fmt::format("kernel-{}", level);
    const Step kernel_step(folder / fmt::format("kernel-{}.stamp", level),
        { root() / "kernel", root() / "libc/ext2fs" }, sysroot.string());
    if (!kernel_step.is_done(kernel / "liberemite.a")) {
        say(fmt::format("building the kernel library ({}, isolation {})", arch, level));
        cmake_build("the kernel library", root() / "kernel", kernel, kernel_definitions(target, sysroot));
        kernel_step.done();
    }

    const Step sdk_step(folder / "sdk.stamp", { root() / "libc" }, sysroot.string());
    if (!sdk_step.is_done(folder / "sdk/eremite.cmake")) {
        say(fmt::format("laying out the SDK ({})", arch));
        run_step({ (root() / "libc/sdk.sh").string(), std::string(arch), (folder / "sdk").string(), folder.string() },
            folder / "sdk.log", "libc/sdk.sh");
        sdk_step.done();
    }

    const Step loader_step(folder / "loader.stamp", { root() / "loader", root() / "kernel" }, sysroot.string());
    if (!loader_step.is_done(loader_path(target.arch))) {
        say(fmt::format("building the loader ({})", arch));
        cmake_build("the loader", root() / "loader", folder / "loader", kernel_definitions(target, sysroot));
        loader_step.done();
    }
}

Path loader_path(Arch arch)
{
    return build_folder(arch) / "loader/eremite-loader";
}

Path sdk_program(Arch arch, std::string_view name)
{
    return build_folder(arch) / "sdk/bin" / name;
}

} // namespace tool
