// build: a program as a bootable ELF file.
#include "commands.h"

#include "builder.h"
#include "mender.h"

namespace tool {

namespace fs = std::filesystem;

namespace {

struct BuildArguments {
    std::string app;
    std::string arch = "x86_64";
    std::string isolation;
    std::string output;
    std::string root;
    std::string program;
    bool lto = false;
    bool verify = false;
    bool disk = false;
    bool strace = false;
    std::string console;
};

void build(const BuildArguments& arguments)
{
    BuildOptions options;
    options.target.arch = arch_named(arguments.arch);
    options.target.isolation
        = arguments.isolation.empty() ? default_isolation(options.target.arch) : isolation_named(arguments.isolation);
    options.program = arguments.program;
    options.lto = arguments.lto;
    options.disk = arguments.disk;
    options.strace = arguments.strace;
    options.virtio_console = arguments.console == "virtio";
    if (!arguments.root.empty()) {
        if (!fs::exists(arguments.root))
            fail("--root {}: there is no such file or folder", arguments.root);
        options.packed_root = fs::absolute(arguments.root);
    }
    if (arguments.app.empty()) {
        ensure_toolchain(options.target);
        fmt::print("{}\n", (build_folder(options.target.arch) / "sdk").string());
        return;
    }
    auto image = build_app(find_app(arguments.app), options);
    if (arguments.verify)
        verify_image(image);
    if (!arguments.output.empty()) {
        fs::copy_file(image, arguments.output, fs::copy_options::overwrite_existing);
        image = arguments.output;
    }
    fmt::print("{}\n", image.string());
}

} // namespace

void add_build_command(CLI::App& app, int& status)
{
    auto* command = app.add_subcommand("build", "Builds an application, and prints where its ELF file is");
    auto arguments = std::make_shared<BuildArguments>();
    command->add_option("app", arguments->app,
        "a folder with CMakeLists.txt, a .c or .cpp file, or the name of a recipe in apps/; none for the SDK alone");
    command->add_option("--arch", arguments->arch, "x86_64 (default) or aarch64");
    command->add_option("--isolation", arguments->isolation, "none, stack (default) or mpk");
    command->add_option(
        "--root", arguments->root, "a folder or archive to pack into the image as its root file system");
    command->add_option("--program", arguments->program, "which program, if the project makes several");
    command->add_option("--output,-o", arguments->output, "copy the ELF file to here");
    command->add_flag("--lto", arguments->lto, "link-time optimisation");
    command->add_flag("--verify", arguments->verify,
        "take out key-changing instructions that are there by chance, refuse others; always so with mpk");
    command->add_flag("--disk", arguments->disk, "the image can mount ext2, ext3 and ext4 file systems on disks");
    command->add_flag("--strace", arguments->strace, "an image that can print its system calls (kernel option strace)");
    command->add_option("--console", arguments->console, "serial (default) or virtio: an image with a driver for that")
        ->check(CLI::IsMember({ "serial", "virtio" }));
    command->callback([arguments, &status] {
        build(*arguments);
        status = 0;
    });
}

} // namespace tool
