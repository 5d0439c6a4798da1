#include "vm.h"

#include "console.h"
#include "process.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <thread>
#include <unistd.h>

namespace tool {

namespace fs = std::filesystem;

namespace {

constexpr int k_time_limit_status = 124;
constexpr int k_no_status = 125;

volatile std::sig_atomic_t s_stop_signal = 0;

void remember_signal(int number)
{
    s_stop_signal = number;
}

/// While it lives, SIGINT and SIGTERM are noted instead of ending the tool, and the terminal is put back at its end.
class TerminalGuard {
public:
    TerminalGuard()
    {
        m_terminal = ::isatty(0) && ::tcgetattr(0, &m_saved) == 0;
        struct sigaction action {};
        action.sa_handler = remember_signal;
        ::sigaction(SIGINT, &action, nullptr);
        ::sigaction(SIGTERM, &action, nullptr);
        ::signal(SIGPIPE, SIG_IGN);
    }
    ~TerminalGuard()
    {
        if (m_terminal)
            ::tcsetattr(0, TCSANOW, &m_saved);
    }
    TerminalGuard(const TerminalGuard&) = delete;
    TerminalGuard& operator=(const TerminalGuard&) = delete;

private:
    bool m_terminal;
    termios m_saved {};
};

Child start_virtiofsd(const SharedFolder& share)
{
    for (const char* place :
        { "/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "virtiofsd" }) {
        const auto program = find_program(place);
        if (!program)
            continue;
        const bool rust = output_of({ place, "--help" }).contains("--shared-dir");
        Strings arguments { place, "--socket-path=" + share.socket.string() };
        if (rust)
            arguments.push_back("--shared-dir=" + share.folder.string());
        else
            for (const auto& option : { "source=" + share.folder.string(), std::string("log_level=err") })
                arguments.insert(arguments.end(), { "-o", option });
        // With no rights to make namespaces the daemon cannot enter its sandbox; as an ordinary user it needs none.
        if (::geteuid() != 0)
            arguments.push_back(rust ? "--sandbox=none" : "-osandbox=chroot");
        auto child = Child::start({ .arguments = arguments }, {}, false);
        for (int i = 0; i < 500 && !fs::exists(share.socket); ++i) {
            if (child.wait_until(std::chrono::steady_clock::now() + std::chrono::milliseconds(10)))
                fail("virtiofsd did not start for {}: see its message above", share.folder.string());
        }
        return child;
    }
    fail("virtiofsd is not installed, and --share needs it: apt-get install qemu-system-common (Debian 12) or "
         "virtiofsd");
}

std::optional<int> number_after_exit(const Path& file)
{
    if (file.empty() || !fs::exists(file))
        return std::nullopt;
    const auto lines = split(read_file(file), '\n');
    if (lines.empty() || !lines.back().starts_with("exit "))
        return std::nullopt;
    const auto& line = lines.back();
    int status = 0;
    const auto [end, error] = std::from_chars(line.data() + 5, line.data() + line.size(), status);
    return error == std::errc {} && status >= 0 && status <= 255 ? std::optional(status) : std::nullopt;
}

int guest_status(const VmPlan& plan, const VmOptions& options, int qemu_status)
{
    if (const auto status = number_after_exit(plan.exit_file))
        return *status;
    if (options.arch == Arch::x86_64) {
        // QEMU itself ends with 1 on a bad command line, and then has said why; so does status 0 by isa-debug-exit
        // alone, but a kernel that finds that device finds the other port too.
        if (qemu_status > 1 && (qemu_status & 1) && qemu_status < 128 + 128)
            return (qemu_status - 1) / 2;
    } else if (!options.kvm) {
        // A semihosting exit with 0 and a reset look the same.
        return qemu_status;
    } else if (qemu_status == 0) {
        return 0;
    }
    if (qemu_status == 0)
        say("the machine stopped without an exit status (a reset, or a power-off by something else than the kernel)");
    else
        say(fmt::format("{} ended with status {}", plan.arguments[0], qemu_status));
    return k_no_status;
}

bool write_all(int file, std::string_view bytes)
{
    while (!bytes.empty()) {
        const auto count = ::write(file, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

/// Standard input that is no terminal, as `console=pipe` has it (docs/boot.md): a byte of 16 before itself and before
/// the 4 that says that it has ended. Runs by itself until then, or until the tool ends.
void feed_input(int to)
{
    std::thread([to] {
        constexpr char escape = 16;
        char chunk[4096];
        while (true) {
            const auto count = ::read(0, chunk, sizeof chunk);
            if (count < 0 && errno == EINTR)
                continue;
            if (count <= 0)
                break;
            std::string bytes;
            for (const char byte : std::string_view(chunk, static_cast<std::size_t>(count))) {
                if (byte == escape)
                    bytes += escape;
                bytes += byte;
            }
            if (!write_all(to, bytes))
                return;
        }
        write_all(to, { "\x10\x04", 2 }); // and stays open: for QEMU its end would be the terminal's
    }).detach();
}

/// Passes console bytes until the machine ends, it is stopped, or time is up.
int relay_until_end(Child& qemu, int console, const Path& image, double timeout_seconds)
{
    using Clock = std::chrono::steady_clock;
    const auto deadline = timeout_seconds > 0
        ? Clock::now() + std::chrono::milliseconds(static_cast<long long>(timeout_seconds * 1000))
        : Clock::time_point::max();
    ConsoleRelay relay(1, image);
    while (true) {
        int wait = -1;
        if (relay.holds_something())
            wait = 50;
        if (deadline != Clock::time_point::max()) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
            if (left <= 0) {
                relay.flush();
                qemu.signal(SIGKILL);
                qemu.wait();
                say(fmt::format("stopped: it ran longer than {} s", timeout_seconds));
                return -k_time_limit_status;
            }
            wait = static_cast<int>(wait < 0 ? std::min<long long>(left, 1'000'000) : std::min<long long>(wait, left));
        }
        pollfd entry { console, POLLIN, 0 };
        const int ready = ::poll(&entry, 1, wait);
        if (s_stop_signal) {
            relay.flush();
            qemu.signal(SIGTERM);
            if (!qemu.wait_until(Clock::now() + std::chrono::seconds(2))) {
                qemu.signal(SIGKILL);
                qemu.wait();
            }
            return -(128 + s_stop_signal);
        }
        if (ready == 0) {
            relay.flush();
            continue;
        }
        if (ready < 0)
            continue;
        char chunk[65536];
        const auto count = ::read(console, chunk, sizeof chunk);
        if (count > 0) {
            relay.receive({ chunk, static_cast<std::size_t>(count) });
            continue;
        }
        if (count < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        relay.flush();
        return qemu.wait();
    }
}

} // namespace

int run_machine(const Path& image, const Strings& arguments, const VmOptions& options)
{
    VmPlan plan;
    compose_machine(image, arguments, options, plan);
    if (options.dry_run) {
        fmt::print("{}\n", shell_quoted(plan.arguments));
        return 0;
    }
    if (!find_program(plan.arguments[0]))
        fail("QEMU is not installed: there is no {}; apt-get install {}", plan.arguments[0],
            options.arch == Arch::x86_64 ? "qemu-system-x86" : "qemu-system-arm");
    if (options.gdb_port)
        // Where the image is without randomness (nokaslr); gdb itself would take it to be where it was linked.
        say(fmt::format("waiting for gdb: {} -ex 'symbol-file -o 0x555555554000 {}' -ex 'target remote 127.0.0.1:{}'",
            host_arch() == options.arch ? "gdb" : "gdb-multiarch", fs::absolute(image).string(), options.gdb_port));

    std::vector<Child> daemons;
    for (const auto& share : plan.shared_folders)
        daemons.push_back(start_virtiofsd(share));

    const TerminalGuard guard;
    int console[2];
    if (::pipe2(console, O_CLOEXEC) != 0)
        fail("pipe: {}", std::strerror(errno));
    int input[2] { -1, -1 };
    if (::isatty(0) == 0 && ::pipe2(input, O_CLOEXEC) != 0)
        fail("pipe: {}", std::strerror(errno));
    auto qemu
        = Child::start({ .arguments = plan.arguments, .inherit_input = true }, { input[0], console[1], -1 }, false);
    ::close(console[1]);
    if (input[0] >= 0) {
        ::close(input[0]);
        feed_input(input[1]);
    }
    const int status = relay_until_end(qemu, console[0], image, options.timeout_seconds);
    ::close(console[0]);
    return status < 0 ? -status : guest_status(plan, options, status);
}

} // namespace tool
