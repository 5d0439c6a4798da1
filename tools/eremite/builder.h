// Builds what a program needs (sysroot, kernel library, SDK, loader) and the program itself, each only when its inputs
// have changed. Progress goes to standard error, a line per step; the output of a step goes to a log, of which the
// errors are shown when it fails.
#pragma once

#include "project.h"

namespace tool {

/// What a program is built for.
struct Target {
    Arch arch = Arch::x86_64;
    Isolation isolation = Isolation::Stack;
};

/// The level that is built when none is named: EREMITE_ISOLATION (as eremite-clang has it), or `stack`.
Isolation default_isolation(Arch arch);

/// Makes the toolchain complete for `target`: sysroot in the cache; kernel library, SDK and loader in build/ARCH.
void ensure_toolchain(Target target);

/// What of the toolchain is not in the tree (while it is being written); empty when all is there.
std::string missing_toolchain_part();

/// build/ARCH/loader/eremite-loader; ensure_toolchain() first.
Path loader_path(Arch arch);
Path sdk_program(Arch arch, std::string_view name);

/// What `APP` on the command line can be.
enum class AppKind { Elf, SourceFile, Folder, Recipe };
struct App {
    AppKind kind;
    Path path;
    std::string name;
};

/// Finds out what `text` names: an ELF file, a .c or .cpp file, a folder with CMakeLists.txt, or a recipe in apps/.
/// Fails, saying what it could have been, where it is none of these.
App find_app(const std::string& text);

struct BuildOptions {
    Target target;
    /// Packed into the image, when not empty: a folder or an archive.
    Path packed_root {};
    /// Which program of a CMake project that makes several.
    std::string program {};
    bool lto = false;
    /// The image holds the file systems for disks, whether or not it reaches mount(2).
    bool disk = false;
    /// Whether the image can trace system calls.
    bool strace = false;
    /// The image holds the driver of virtio-console, which nothing in it would refer to.
    bool virtio_console = false;
    bool quiet = false;
};

/// The ELF file of the application, built when need be. An ELF file is itself.
Path build_app(const App& app, const BuildOptions& options);

/// All programs that `app` makes.
std::vector<Path> build_programs(const App& app, const BuildOptions& options);

/// Compiles and links C or C++ files into `output` with the SDK; `log` receives the compiler's output. True if it
/// worked.
bool compile(
    Target target, const std::vector<Path>& sources, const Strings& flags, const Path& output, const Path& log);

/// Runs a build step with its output in `log`; fails with the errors that are found in the log.
void run_step(const Strings& arguments, const Path& log, std::string_view what,
    const std::vector<std::pair<std::string, std::string>>& environment = {}, const Path& directory = {});

} // namespace tool
