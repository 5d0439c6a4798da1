// run: builds a program if it is given as source, and boots it.
#include "commands.h"

#include "elf_file.h"
#include "qemu.h"

#include <algorithm>

namespace tool {

namespace {

struct RunArguments {
    VmOptions vm;
    std::string arch;
    std::string isolation;
    std::string program;
    std::string console;
    bool lto = false;
    bool quiet = false;
};

int run_app(RunArguments& arguments, const Strings& words)
{
    if (words.empty())
        fail("run what? Give a folder with CMakeLists.txt, a .c or .cpp file, a recipe's name or an ELF file: "
             "`./eremite run examples/hello`");
    if (words.front().size() > 1 && words.front().starts_with('-'))
        fail(
            "there is no option {}: `./eremite run --help` lists them (the program's own arguments go behind its name)",
            words.front());
    const auto app = find_app(words.front());
    auto& vm = arguments.vm;
    if (app.kind == AppKind::Elf && arguments.arch.empty())
        arguments.arch = name_of(Elf::load(app.path).arch());
    vm.arch = arguments.arch.empty() ? Arch::x86_64 : arch_named(arguments.arch);
    vm.virtio_console = arguments.console == "virtio";

    BuildOptions build;
    build.target.arch = vm.arch;
    build.target.isolation
        = arguments.isolation.empty() ? default_isolation(vm.arch) : isolation_named(arguments.isolation);
    build.program = arguments.program;
    build.lto = arguments.lto;
    build.strace = vm.strace;
    build.virtio_console = vm.virtio_console;
    build.quiet = arguments.quiet;
    // FILE alone is a device; FILE:/TARGET is to be mounted.
    build.disk = std::ranges::any_of(vm.disks, [](const std::string& disk) { return disk.contains(":/"); });
    if (app.kind == AppKind::Elf)
        vm.isolation = arguments.isolation;
    // The loader hands an archive on; nothing need be packed into the image.
    const auto image = build_app(app, build);
    return run_machine(image, Strings(words.begin() + 1, words.end()), vm);
}

} // namespace

void add_run_command(CLI::App& app, int& status)
{
    auto* command = app.add_subcommand("run", "Builds an application if need be, and boots it in QEMU");
    auto arguments = std::make_shared<RunArguments>();
    auto& vm = arguments->vm;
    command->footer(
        "eremite run [OPTIONS] APP [ARGUMENTS...]\n"
        "APP is a folder with CMakeLists.txt, a .c or .cpp file, the name of a recipe in apps/, or an ELF file.\n"
        "What follows it goes to the program. The exit status is the program's.");
    command->add_option("--arch", arguments->arch, "x86_64 (default) or aarch64; of an ELF file, its own");
    command->add_option("--isolation", arguments->isolation, "none, stack (default) or mpk");
    command->add_option("--program", arguments->program, "which program, if the project makes several");
    command->add_flag("--lto", arguments->lto, "link-time optimisation");
    command->add_option("--memory,-m", vm.memory, "size of memory, as 64M or 2G (default 128M)");
    command->add_option("--smp", vm.processors, "number of processors (default 1)")->check(CLI::Range(1, 255));
    command->add_option("--cpu", vm.cpu, "QEMU's -cpu (default max; with --kvm, host)");
    command->add_option("--machine", vm.machine, "pc, q35 (default), microvm; virt on aarch64");
    command->add_flag("--kvm", vm.kvm, "use KVM instead of emulation");
    command->add_flag("--loader", vm.loader, "boot through the separate loader");
    command->add_option("--net", vm.network, "user (default), tap=NAME or none");
    command->add_option("--publish,-p", vm.published, "[ADDRESS:]HOSTPORT:GUESTPORT[/udp], with --net user; repeatable")
        ->allow_extra_args(false);
    command->add_option("--pcap", vm.pcap, "write what passes the network device to this file");
    command->add_option("--share", vm.shares, "DIR:/TARGET[:ro], a folder of the host by virtio-fs; repeatable")
        ->allow_extra_args(false);
    command->add_option("--disk", vm.disks, "FILE[:/TARGET[:ro|:discard]], a disk image by virtio-blk; repeatable")
        ->allow_extra_args(false);
    command->add_option("--root", vm.root, "a folder, or a tar or cpio archive, that fills the root file system");
    command->add_option("--env,-e", vm.environment, "NAME=VALUE for the program's environment; repeatable")
        ->allow_extra_args(false);
    command
        ->add_option(
            "--console", arguments->console, "serial (default) or virtio (an ELF file must have been built with that)")
        ->check(CLI::IsMember({ "serial", "virtio" }));
    command->add_flag("--strace", vm.strace, "print each system call (an ELF file must have been built with --strace)");
    command->add_flag("--boot-trace", vm.boot_trace, "print the stages of the boot");
    command
        ->add_flag("--gdb{1234}", vm.gdb_port,
            "wait for gdb before the first instruction, on port 1234 of this machine or that of --gdb=PORT")
        ->check(CLI::Range(1, 65535));
    command->add_option("--append", vm.append, "further kernel options, as in docs/boot.md");
    command->add_option("--timeout", vm.timeout_seconds, "end the machine after this many seconds, with status 124");
    command->add_flag("--dry-run", vm.dry_run, "print QEMU's command line and do nothing");
    command->add_option("--qemu-args", vm.qemu_arguments, "further arguments for QEMU, one string; repeatable")
        ->allow_extra_args(false);
    command->prefix_command();
    command->callback([arguments, command, &status] { status = run_app(*arguments, command->remaining()); });
}

} // namespace tool
