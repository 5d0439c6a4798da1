#include "qemu.h"

#include "cpio.h"
#include "elf_file.h"
#include "vm.h"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace tool {

namespace fs = std::filesystem;

namespace {

/// QEMU's sizes: MiB unless a letter says otherwise; 0 if it is none.
std::uint64_t bytes_of(const std::string& size)
{
    char* end = nullptr;
    const std::uint64_t number = std::strtoull(size.c_str(), &end, 10);
    switch (*end) {
    case 'K':
    case 'k':
        return number << 10;
    case 'G':
    case 'g':
        return number << 30;
    case 'T':
    case 't':
        return number << 40;
    default:
        return number << 20;
    }
}

/// A machine without memory where the image goes cannot even say so.
void check_memory(const Elf& elf, const std::string& memory)
{
    const std::uint64_t bytes = bytes_of(memory);
    const std::uint64_t base = elf.arch() == Arch::aarch64 ? 0x4000'0000 : 0;
    std::uint64_t end = 0;
    for (const auto& segment : elf.segments()) {
        if (segment.type == 1 && segment.physical_address >= base)
            end = std::max(end, segment.physical_address - base + segment.memory_size);
    }
    if (bytes < end)
        fail("--memory {}: too little memory: {} alone reaches up to {} KiB", memory, elf.path().string(),
            (end + 1023) >> 10);
}

/// A value within a comma-separated QEMU option.
std::string in_option(std::string_view text)
{
    std::string result;
    for (const char c : text) {
        result += c;
        if (c == ',')
            result += ',';
    }
    return result;
}

std::string absolute(const std::string& path)
{
    return fs::absolute(path).string();
}

std::string chosen_machine(const VmOptions& options)
{
    const auto machine = options.machine.empty() ? (options.arch == Arch::x86_64 ? "q35" : "virt") : options.machine;
    const Strings known = options.arch == Arch::x86_64 ? Strings { "pc", "q35", "microvm" } : Strings { "virt" };
    if (std::ranges::find(known, machine.substr(0, machine.find(','))) == known.end())
        fail("there is no machine {} for {}: {}", machine, name_of(options.arch), join(known, ", "));
    return machine;
}

class Composer {
public:
    Composer(const VmOptions& options, VmPlan& plan)
        : m_options(options)
        , m_plan(plan)
        , m_machine(chosen_machine(options))
        , m_mmio(m_machine.starts_with("microvm") || m_machine.starts_with("virt"))
    {
    }

    void compose(const Path& image, const Strings& arguments)
    {
        machine();
        network();
        shares();
        disks();
        ending();
        kernel(image);
        add("-append", command_line(image, arguments));
        if (m_options.gdb_port) {
            add("-gdb", fmt::format("tcp:127.0.0.1:{}", m_options.gdb_port));
            m_plan.arguments.push_back("-S");
        }
        for (const auto& argument : m_options.qemu_arguments) {
            for (const auto& word : split_quoted(argument))
                m_plan.arguments.push_back(word);
        }
    }

private:
    void add(std::string option, std::string value)
    {
        m_plan.arguments.push_back(std::move(option));
        m_plan.arguments.push_back(std::move(value));
    }

    /// A virtio device, on PCI or memory-mapped as the machine has it.
    void virtio(std::string_view kind, std::string_view properties)
    {
        if (m_mmio)
            add("-device", fmt::format("{}-device,{}", kind, properties));
        else if (kind == "vhost-user-fs") // modern only, and QEMU doesn't know the property there
            add("-device", fmt::format("{}-pci,{}", kind, properties));
        else
            add("-device", fmt::format("{}-pci,disable-legacy=on,{}", kind, properties));
    }

    void machine()
    {
        m_plan.arguments
            = { qemu_program(m_options.arch), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot" };
        std::string machine = m_machine;
        if (!m_options.shares.empty())
            machine += ",memory-backend=memory";
        add("-machine", machine);
        if (m_options.kvm) {
            if (!kvm_works())
                fail("KVM does not work here: /dev/kvm cannot be opened or makes no machine; run without --kvm");
            add("-accel", "kvm");
        } else {
            add("-accel", "tcg");
        }
        add("-cpu", processor());
        add("-m", m_options.memory);
        add("-smp", std::to_string(m_options.processors));
        if (m_mmio)
            add("-global", "virtio-mmio.force-legacy=false");
        // Ctrl-C ends QEMU; all else passes through raw.
        add("-chardev", "stdio,id=console,signal=on");
        if (!m_options.virtio_console) {
            add("-serial", "chardev:console");
        } else {
            // The serial port, by which early output comes, writes to the same place and has no input. (QEMU's own way
            // to share a console, mux=on, loses bytes that come in faster than the guest takes them.)
            add("-chardev", "file,id=serial,path=/dev/stdout");
            add("-serial", "chardev:serial");
            virtio("virtio-serial", "id=serial0");
            add("-device", "virtconsole,chardev=console");
        }
    }

    std::string processor() const
    {
        if (m_options.kvm)
            return m_options.cpu.empty() ? "host" : m_options.cpu;
        auto cpu = m_options.cpu.empty() ? "max" : m_options.cpu;
        // QEMU emulates the architected algorithm of pointer authentication at several times the cost of all the rest;
        // any other that is hard to guess serves as well.
        if (m_options.arch == Arch::aarch64 && cpu.substr(0, cpu.find(',')) == "max" && !cpu.contains("pauth"))
            cpu += ",pauth-impdef=on";
        return cpu;
    }

    void network()
    {
        const auto& kind = m_options.network;
        if (kind == "none") {
            if (!m_options.published.empty())
                fail("--publish needs a network: --net user");
            if (!m_options.pcap.empty())
                fail("--pcap needs a network: --net user or --net tap=NAME");
            return;
        }
        std::string backend;
        if (kind == "user") {
            backend = "user,id=net0";
            for (const auto& published : m_options.published)
                backend += ",hostfwd=" + forwarding(published);
        } else if (kind.starts_with("tap=") && kind.size() > 4) {
            if (!m_options.published.empty())
                fail("--publish is for --net user: on a tap the guest has an address of its own");
            backend = fmt::format("tap,id=net0,ifname={},script=no,downscript=no", in_option(kind.substr(4)));
            // With offloads a capture would hold unfinished frames, and QEMU's own header before each.
            if (!m_options.pcap.empty())
                backend += ",vnet_hdr=off";
        } else {
            fail("there is no network {}: user, tap=NAME or none", kind);
        }
        add("-netdev", backend);
        virtio("virtio-net", m_mmio ? "netdev=net0" : "netdev=net0,romfile=");
        if (!m_options.pcap.empty())
            add("-object", "filter-dump,id=pcap0,netdev=net0,file=" + in_option(absolute(m_options.pcap)));
    }

    /// 8080:80, 127.0.0.1:8080:80, 5353:53/udp
    static std::string forwarding(const std::string& text)
    {
        auto ports = text;
        std::string protocol = "tcp";
        if (const auto slash = ports.find('/'); slash != std::string::npos) {
            protocol = ports.substr(slash + 1);
            ports.resize(slash);
        }
        const auto parts = split(ports, ':', true);
        const auto is_port = [](const std::string& part) {
            return !part.empty() && part.size() <= 5
                && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; }) && std::stoi(part) >= 1
                && std::stoi(part) <= 65535;
        };
        if (parts.size() < 2 || parts.size() > 3 || !is_port(parts.back()) || !is_port(parts[parts.size() - 2])
            || (protocol != "tcp" && protocol != "udp"))
            fail("--publish {}: give [ADDRESS:]HOSTPORT:GUESTPORT, with /udp behind it for UDP", text);
        const auto address = parts.size() == 3 ? parts[0] : std::string("127.0.0.1");
        return fmt::format("{}:{}:{}-:{}", protocol, address, parts[parts.size() - 2], parts.back());
    }

    void shares()
    {
        if (m_options.shares.empty())
            return;
        add("-object", fmt::format("memory-backend-memfd,id=memory,size={},share=on", m_options.memory));
        for (const auto& text : m_options.shares) {
            const auto parts = split(text, ':', true);
            if (parts.size() < 2 || parts.size() > 3 || !parts[1].starts_with('/')
                || (parts.size() == 3 && parts[2] != "ro"))
                fail("--share {}: give DIR:/TARGET or DIR:/TARGET:ro", text);
            if (!fs::is_directory(parts[0]))
                fail("--share {}: {} is no folder", text, parts[0]);
            const auto number = m_plan.shared_folders.size();
            const auto tag = fmt::format("share{}", number);
            const auto socket = m_plan.scratch.path() / (tag + ".sock");
            m_plan.shared_folders.push_back({ absolute(parts[0]), socket });
            add("-chardev", fmt::format("socket,id={},path={}", tag, in_option(socket.string())));
            virtio("vhost-user-fs", fmt::format("chardev={},tag={}", tag, tag));
            m_kernel_options.push_back(
                fmt::format("mount=virtiofs:{}:{}{}", tag, parts[1], parts.size() == 3 ? ":ro" : ""));
        }
    }

    void disks()
    {
        unsigned number = 0;
        for (const auto& text : m_options.disks) {
            const auto parts = split(text, ':', true);
            if (parts.size() > 3 || (parts.size() > 1 && !parts[1].starts_with('/'))
                || (parts.size() == 3 && parts[2] != "ro" && parts[2] != "discard"))
                fail("--disk {}: give FILE, FILE:/TARGET, FILE:/TARGET:ro or FILE:/TARGET:discard", text);
            if (!fs::exists(parts[0]))
                fail("--disk {}: there is no {}: `qemu-img create {} 1G` makes one", text, parts[0], parts[0]);
            const auto format = parts[0].ends_with(".qcow2") ? "qcow2" : "raw";
            const std::string mode = parts.size() == 3 ? parts[2] : "";
            add("-drive",
                fmt::format("if=none,id=disk{},format={},file={}{}", number, format, in_option(absolute(parts[0])),
                    mode == "ro"            ? ",readonly=on"
                        : mode == "discard" ? ",discard=unmap"
                                            : ""));
            virtio("virtio-blk", fmt::format("drive=disk{}", number));
            if (parts.size() > 1)
                m_kernel_options.push_back(
                    fmt::format("mount=ext2:vd{:c}:{}{}", 'a' + number, parts[1], mode.empty() ? "" : ":" + mode));
            ++number;
        }
    }

    void ending()
    {
        if (m_options.arch == Arch::aarch64) {
            if (!m_options.kvm) {
                add("-semihosting-config", "enable=on,target=native");
                m_kernel_options.push_back("exit=semihosting");
            }
            return;
        }
        m_plan.exit_file = m_plan.scratch.path() / "exit";
        add("-device", "isa-debug-exit,iobase=0xf4,iosize=4");
        add("-chardev", "file,id=exit,path=" + in_option(m_plan.exit_file.string()));
        add("-device", "isa-debugcon,iobase=0xe9,chardev=exit");
    }

    void kernel(const Path& image)
    {
        const auto elf = Elf::load(image);
        if (elf.arch() != m_options.arch)
            fail("{} is built for {}, not for {}", image.string(), name_of(elf.arch()), name_of(m_options.arch));
        check_bootable(elf);
        check_memory(elf, m_options.memory);
        Path root_archive;
        if (!m_options.root.empty()) {
            if (!fs::exists(m_options.root))
                fail("--root {}: there is no such file or folder", m_options.root);
            root_archive = m_options.root;
            if (fs::is_directory(root_archive)) {
                root_archive = m_plan.scratch.path() / "root.cpio";
                write_file(root_archive, pack_cpio(m_options.root));
            }
        }
        if (m_options.loader) {
            if (!fs::exists(loader_path(m_options.arch)))
                fail("the loader is not built for {}: `./eremite build` any program first", name_of(m_options.arch));
            add("-kernel", loader_path(m_options.arch).string());
            add("-initrd", root_archive.empty() ? absolute(image.string()) : joined(elf, root_archive));
            return;
        }
        add("-kernel", bootable(image));
        if (!root_archive.empty())
            add("-initrd", absolute(root_archive.string()));
    }

    /// What QEMU's -kernel takes: the ELF file itself, or on aarch64 the raw Image in it.
    std::string bootable(const Path& file)
    {
        if (m_options.arch == Arch::x86_64)
            return absolute(file.string());
        const auto raw = m_plan.scratch.path() / (file.filename().string() + ".image");
        write_file(raw, Elf::load(file).flat_image());
        return raw.string();
    }

    /// For the loader: the ELF file, and the archive at the next page after it.
    std::string joined(const Elf& elf, const Path& archive)
    {
        Bytes bytes(elf.bytes().begin(), elf.bytes().begin() + static_cast<std::ptrdiff_t>(elf.file_end()));
        bytes.resize((bytes.size() + 4095) / 4096 * 4096);
        const auto tail = read_bytes(archive);
        bytes.insert(bytes.end(), tail.begin(), tail.end());
        const auto path = m_plan.scratch.path() / "initrd";
        write_file(path, bytes);
        return path.string();
    }

    std::string command_line(const Path& image, const Strings& arguments)
    {
        Strings words { command_line_word("argv0=" + image.filename().string()) };
        for (const auto& entry : m_options.environment) {
            if (!entry.contains('='))
                fail("--env {}: give NAME=VALUE", entry);
            words.push_back(command_line_word("env=" + entry));
        }
        for (const auto& option : m_kernel_options)
            words.push_back(command_line_word(option));
        if (m_options.strace)
            words.push_back("strace");
        if (m_options.boot_trace)
            words.push_back("boot-trace");
        if (m_options.gdb_port)
            words.push_back("nokaslr");
        if (m_options.virtio_console)
            words.push_back("virtio-console");
        if (::isatty(0) == 0)
            words.push_back("console=pipe");
        if (!m_options.isolation.empty())
            words.push_back("isolation=" + m_options.isolation);
        if (!m_options.append.empty())
            words.push_back(m_options.append);
        if (!arguments.empty()) {
            words.push_back("--");
            for (const auto& argument : arguments)
                words.push_back(command_line_word(argument));
        }
        return join(words, " ");
    }

    const VmOptions& m_options;
    VmPlan& m_plan;
    std::string m_machine;
    bool m_mmio;
    Strings m_kernel_options;
};

} // namespace

std::string command_line_word(std::string_view text)
{
    if (!text.empty() && text != "--" && text.find_first_of(" \t\n\r\"\\") == std::string_view::npos)
        return std::string(text);
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

std::string qemu_program(Arch arch)
{
    return fmt::format("qemu-system-{}", name_of(arch));
}

void compose_machine(const Path& image, const Strings& arguments, const VmOptions& options, VmPlan& plan)
{
    Composer(options, plan).compose(image, arguments);
}

} // namespace tool
