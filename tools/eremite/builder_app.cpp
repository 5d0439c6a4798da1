// Applications: what the user may name, and how each kind is built.
#include "builder.h"

#include "cpio.h"
#include "mender.h"
#include "process.h"

#include <algorithm>
#include <fstream>

namespace tool {

namespace fs = std::filesystem;

namespace {

bool is_elf(const Path& path)
{
    std::ifstream file(path, std::ios::binary);
    char magic[4] {};
    return file.read(magic, 4)
        && std::string_view(magic, 4)
        == "\x7f"
           "ELF";
}

Path library_folder(Target target)
{
    return build_folder(target.arch) / fmt::format("kernel-{}", name_of(target.isolation));
}

// Isolation is a matter of which liberemite.a the linker finds first. The map and the relocations are for `inspect`;
// neither is loaded.
Strings link_flags(Target target, const BuildOptions* options, const Path& packed)
{
    Strings flags { fmt::format("--isolation={}", name_of(target.isolation)) };
    if (options && options->lto)
        flags.push_back("-flto");
    if (options && options->disk)
        flags.push_back("-Wl,-u,__eremite_component_ext");
    if (options && options->strace)
        flags.push_back("--strace");
    if (options && options->virtio_console)
        flags.push_back("--console=virtio");
    if (!packed.empty())
        flags.push_back(packed.string());
    return flags;
}

/// No image for protection keys leaves the build with an instruction that could undo them.
void verify_if_needed(Target target, const Path& image)
{
    if (target.isolation == Isolation::Mpk)
        verify_image(image);
}

/// An object file that holds an archive between __eremite_packed_root_start and _end.
Path packed_object(const App& app, const BuildOptions& options, const Path& folder)
{
    if (options.packed_root.empty())
        return {};
    const auto archive = folder / "root.cpio";
    const auto bytes
        = fs::is_directory(options.packed_root) ? pack_cpio(options.packed_root) : read_bytes(options.packed_root);
    write_file(archive, bytes);
    const auto source = folder / "root.S";
    write_file(source,
        fmt::format(".section eremite_root, \"a\"\n.incbin \"{}\"\n.section .note.GNU-stack, \"\", %progbits\n",
            archive.string()));
    const auto object = folder / "root.o";
    run_step(
        { sdk_program(options.target.arch, "eremite-clang").string(), "-c", source.string(), "-o", object.string() },
        folder / "root.log", fmt::format("packing the root of {}", app.name));
    return object;
}

Path app_folder(const App& app, const BuildOptions& options)
{
    const auto target = options.target;
    const auto where = fs::weakly_canonical(app.path);
    Fingerprint fingerprint;
    fingerprint.add(where.string());
    const auto relative = where.lexically_relative(root());
    const bool inside = !relative.empty() && *relative.begin() != "..";
    const auto name = inside ? app.name : fmt::format("{}-{}", app.name, fingerprint.text().substr(0, 8));
    return build_folder(target.arch) / "apps"
        / fmt::format("{}-{}{}{}", name, name_of(target.isolation), options.disk ? "-disk" : "",
            options.virtio_console ? "-virtio-console" : "");
}

/// The programs that a ninja build links, as paths relative to its folder.
Strings programs_of(const Path& folder)
{
    Strings programs;
    for (const auto& line : split(output_of({ "ninja", "-C", folder.string(), "-t", "targets", "all" }), '\n')) {
        const auto colon = line.find(": ");
        if (colon != std::string::npos && line.contains("_EXECUTABLE_LINKER"))
            programs.push_back(line.substr(0, colon));
    }
    return programs;
}

/// Configures and builds; the programs that come of it.
std::vector<Path> build_folder_programs(const App& app, const BuildOptions& options)
{
    const auto folder = app_folder(app, options);
    const FileLock lock(Path(folder.string() + ".lock"));
    fs::create_directories(folder);
    const auto log = Path(folder.string() + ".log");
    const auto packed = packed_object(app, options, Path(folder.string() + ".packed"));
    const auto sdk = build_folder(options.target.arch) / "sdk";
    const auto flags = join(link_flags(options.target, &options, packed), " ");

    const Strings configure { "cmake", "-S", app.path.string(), "-B", folder.string(), "-G", "Ninja", "--toolchain",
        (sdk / "eremite.cmake").string(), "-DCMAKE_EXE_LINKER_FLAGS=" + flags,
        "-DCMAKE_PROJECT_INCLUDE=" + (root() / "tools/eremite/application.cmake").string(),
        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON" };
    Fingerprint configuration;
    configuration.add(join(configure, "\n"));
    configuration.add_tree(root() / "tools/eremite/application.cmake");
    configuration.add_tree(sdk / "eremite.cmake");
    const auto stamp = folder / "eremite.stamp";
    if (!fs::exists(folder / "build.ninja") || !configuration.matches(stamp)) {
        if (!options.quiet)
            say(fmt::format("configuring {} ({})", app.name, name_of(options.target.arch)));
        run_step(configure, log, fmt::format("configuring {}", app.name));
        write_file(stamp, configuration.text() + "\n");
        fs::remove(folder / "programs.txt");
    }

    // CMake knows nothing of the kernel library: what is older than that is linked anew.
    const auto list = folder / "programs.txt";
    if (!fs::exists(list) || fs::last_write_time(list) < fs::last_write_time(folder / "build.ninja"))
        write_file(list, join(programs_of(folder), "\n") + "\n");
    const auto programs = split(read_file(list), '\n');
    const auto library = library_folder(options.target) / "liberemite.a";
    for (const auto& program : programs) {
        std::error_code error;
        const auto time = fs::last_write_time(folder / program, error);
        if (!error && (time < fs::last_write_time(library) || (!packed.empty() && time < fs::last_write_time(packed))))
            fs::remove(folder / program);
    }
    run_step({ "ninja", "-C", folder.string() }, log, fmt::format("building {}", app.name));
    if (programs.empty())
        fail("{}: its CMakeLists.txt has no add_executable()", app.path.string());
    std::vector<Path> paths;
    for (const auto& program : programs) {
        paths.push_back(folder / program);
        verify_if_needed(options.target, paths.back());
    }
    return paths;
}

Path build_folder_app(const App& app, const BuildOptions& options)
{
    const auto programs = build_folder_programs(app, options);
    const auto wanted = options.program.empty() ? app.name : options.program;
    const auto found
        = std::ranges::find_if(programs, [&](const Path& program) { return program.filename() == wanted; });
    if (found != programs.end())
        return *found;
    if (programs.size() == 1 && options.program.empty())
        return programs.front();
    Strings names;
    for (const auto& program : programs)
        names.push_back(program.filename().string());
    fail("{} makes {} programs and none is called {}: choose one by --program: {}", app.path.string(), programs.size(),
        wanted, join(names, ", "));
}

Path build_source_file(const App& app, const BuildOptions& options)
{
    const auto folder = app_folder(app, options);
    const FileLock lock(Path(folder.string() + ".lock"));
    fs::create_directories(folder);
    const auto output = folder / app.name;
    Fingerprint fingerprint;
    fingerprint.add_tree(app.path);
    fingerprint.add_tree(library_folder(options.target) / "liberemite.a");
    fingerprint.add_tree(build_folder(options.target.arch) / "sdk.stamp");
    const auto packed = packed_object(app, options, folder / "packed");
    if (!packed.empty())
        fingerprint.add_tree(packed);
    Strings flags { "-O2", "-g" };
    for (const auto& flag : link_flags(options.target, &options, packed))
        flags.push_back(flag);
    fingerprint.add(join(flags, " "));
    const auto stamp = folder / "eremite.stamp";
    if (fs::exists(output) && fingerprint.matches(stamp))
        return output;
    const auto log = folder / "build.log";
    if (!compile(options.target, { app.path }, flags, output, log))
        throw Failure(trim(read_file(log)));
    write_file(stamp, fingerprint.text() + "\n");
    return output;
}

// A recipe is a bash script that builds a program from its own sources; docs/apps.md says what it is given.
Path build_recipe(const App& app, const BuildOptions& options)
{
    const auto arch = std::string(name_of(options.target.arch));
    const auto folder = app_folder(app, options);
    const FileLock lock(Path(folder.string() + ".lock"));
    const auto output = folder / app.name;
    Fingerprint fingerprint;
    fingerprint.add_tree(app.path);
    fingerprint.add_tree(library_folder(options.target) / "liberemite.a");
    fingerprint.add_tree(build_folder(options.target.arch) / "sdk.stamp");
    const auto packed = packed_object(app, options, Path(folder.string() + ".packed"));
    if (!packed.empty())
        fingerprint.add_tree(packed);
    fingerprint.add(join(link_flags(options.target, &options, packed), " "));
    const auto stamp = Path(folder.string() + ".stamp");
    if (fs::exists(output) && fingerprint.matches(stamp))
        return output;
    if (!options.quiet)
        say(fmt::format("building {} ({}) by apps/{}/recipe", app.name, arch, app.name));
    fs::create_directories(folder);
    const auto program = [&](std::string_view name) { return sdk_program(options.target.arch, name).string(); };
    const auto log = Path(folder.string() + ".log");
    run_step({ "bash", "-eu", "-o", "pipefail", (app.path / "recipe").string() }, log,
        fmt::format("building {}", app.name),
        {
            { "EREMITE_ROOT", root().string() },
            { "ARCH", arch },
            { "ISOLATION", std::string(name_of(options.target.isolation)) },
            { "HOST", arch + "-linux-musl" },
            { "CC", program("eremite-clang") },
            { "CXX", program("eremite-clang++") },
            { "AR", "llvm-ar-19" },
            { "RANLIB", "llvm-ranlib-19" },
            { "STRIP", "llvm-strip-19" },
            { "LDFLAGS", join(link_flags(options.target, &options, packed), " ") },
            { "SDK", (build_folder(options.target.arch) / "sdk").string() },
            { "RECIPE", app.path.string() },
            { "FETCH", (root() / "libc/fetch.sh").string() },
            { "OUT", output.string() },
            { "JOBS", "2" },
        },
        folder);
    if (!fs::exists(output))
        fail("apps/{}/recipe ended well, and left no {}", app.name, output.string());
    verify_if_needed(options.target, output);
    write_file(stamp, fingerprint.text() + "\n");
    return output;
}

} // namespace

App find_app(const std::string& text)
{
    const Path path = text;
    const auto name_of_folder = [](const Path& folder) {
        const auto whole = fs::weakly_canonical(folder);
        return whole.filename().string();
    };
    if (fs::is_directory(path)) {
        if (fs::exists(path / "CMakeLists.txt"))
            return { AppKind::Folder, path, name_of_folder(path) };
        if (fs::exists(path / "recipe"))
            return { AppKind::Recipe, path, name_of_folder(path) };
        fail("{} holds neither a CMakeLists.txt nor a recipe: `./eremite new NAME` makes a folder that can be built",
            text);
    }
    if (fs::exists(path)) {
        const auto extension = path.extension();
        if (extension == ".c" || extension == ".cpp" || extension == ".cc" || extension == ".cxx")
            return { AppKind::SourceFile, path, path.stem().string() };
        if (is_elf(path))
            return { AppKind::Elf, path, path.filename().string() };
        fail(
            "{} is no ELF file, and no C or C++ source: give a program built by eremite-clang, a .c or .cpp file, or a "
            "folder with CMakeLists.txt",
            text);
    }
    if (!text.contains('/')) {
        if (fs::exists(root() / "apps" / text / "recipe"))
            return { AppKind::Recipe, root() / "apps" / text, text };
        if (fs::exists(root() / "examples" / text / "CMakeLists.txt"))
            return { AppKind::Folder, root() / "examples" / text, text };
    }
    Strings recipes;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root() / "apps", error)) {
        if (fs::exists(entry.path() / "recipe"))
            recipes.push_back(entry.path().filename().string());
    }
    std::ranges::sort(recipes);
    fail("there is no {}: give a folder with CMakeLists.txt, a .c or .cpp file, an ELF file{}{}", text,
        recipes.empty() ? "" : ", or one of the recipes ", join(recipes, ", "));
}

bool compile(Target target, const std::vector<Path>& sources, const Strings& flags, const Path& output, const Path& log)
{
    const bool cpp = std::ranges::any_of(sources, [](const Path& source) { return source.extension() != ".c"; });
    Strings arguments { sdk_program(target.arch, cpp ? "eremite-clang++" : "eremite-clang").string() };
    if (cpp)
        arguments.push_back("-std=c++23");
    for (const auto& source : sources)
        arguments.push_back(source.string());
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    for (const auto& flag : link_flags(target, nullptr, {}))
        arguments.push_back(flag);
    // For `inspect`; neither is loaded.
    arguments.push_back(fmt::format("-Wl,-Map={}.map", output.string()));
    arguments.push_back("-Wl,--emit-relocs");
    arguments.push_back("-o");
    arguments.push_back(output.string());
    fs::create_directories(output.parent_path());
    if (!run({ .arguments = arguments, .output_file = log }).ok())
        return false;
    try {
        verify_if_needed(target, output);
    } catch (const Failure& failure) {
        write_file(log, std::string(failure.what()) + "\n");
        return false;
    }
    return true;
}

std::vector<Path> build_programs(const App& app, const BuildOptions& options)
{
    if (app.kind != AppKind::Folder)
        return { build_app(app, options) };
    ensure_toolchain(options.target);
    return build_folder_programs(app, options);
}

Path build_app(const App& app, const BuildOptions& options)
{
    if (app.kind == AppKind::Elf)
        return app.path;
    ensure_toolchain(options.target);
    switch (app.kind) {
    case AppKind::Folder:
        return build_folder_app(app, options);
    case AppKind::SourceFile:
        return build_source_file(app, options);
    case AppKind::Recipe:
        return build_recipe(app, options);
    case AppKind::Elf:
        break;
    }
    std::unreachable();
}

} // namespace tool
