// Composes QEMU's command line and the kernel's, and runs the machine to its end. docs/boot.md is the contract.
#pragma once

#include "builder.h"

#include <chrono>

namespace tool {

struct VmOptions {
    Arch arch = Arch::x86_64;
    std::string machine {}; // pc, q35, microvm; virt. Empty: q35, virt.
    std::string memory = "128M";
    unsigned processors = 1;
    std::string cpu {}; // empty: max, or host with KVM
    bool kvm = false;
    std::string network = "user"; // user, none, tap=NAME
    Strings published {}; // HOST:GUEST[/udp]
    std::string pcap {};
    Strings shares {}; // DIR:TARGET[:ro]
    Strings disks {}; // FILE[:TARGET]
    std::string root {};
    Strings environment {}; // NAME=VALUE
    unsigned gdb_port = 0; // 0: nobody is waited for
    bool strace = false;
    bool boot_trace = false;
    bool loader = false;
    bool virtio_console = false;
    std::string isolation {}; // wanted at run time
    std::string append {}; // further kernel options
    Strings qemu_arguments {};
    double timeout_seconds = 0;
    bool dry_run = false;
};

/// One word of the kernel's command line, in double quotes where need be.
std::string command_line_word(std::string_view text);

/// Boots the ELF file `image` with `arguments` for its main, console on standard input and output. The result is the
/// program's status; 124 after the time limit, 125 when the machine ended without a status.
int run_machine(const Path& image, const Strings& arguments, const VmOptions& options);

/// The program that emulates `arch`.
std::string qemu_program(Arch arch);

} // namespace tool
