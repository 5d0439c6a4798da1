#include "process.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char** environ;

namespace tool {

namespace {

// Leaders of live groups. Fixed and atomic, since a signal handler walks it.
std::array<std::atomic<pid_t>, 256> s_groups;

void remember_group(pid_t pid)
{
    for (auto& slot : s_groups) {
        pid_t empty = 0;
        if (slot.compare_exchange_strong(empty, pid))
            return;
    }
}

void forget_group(pid_t pid)
{
    for (auto& slot : s_groups) {
        pid_t mine = pid;
        if (slot.compare_exchange_strong(mine, 0))
            return;
    }
}

std::vector<char*> pointers_to(Strings& strings)
{
    std::vector<char*> pointers;
    for (auto& string : strings)
        pointers.push_back(string.data());
    pointers.push_back(nullptr);
    return pointers;
}

Strings environment_of(const Command& command)
{
    Strings result;
    for (char** entry = environ; *entry; ++entry) {
        const std::string_view text = *entry;
        const auto name = text.substr(0, text.find('='));
        const auto replaced = [&](const auto& pair) { return pair.first == name; };
        if (std::ranges::none_of(command.environment, replaced))
            result.emplace_back(text);
    }
    for (const auto& [name, value] : command.environment)
        result.push_back(name + "=" + value);
    return result;
}

int status_of(int wait_status)
{
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

class Descriptor {
public:
    explicit Descriptor(int number = -1)
        : m_number(number)
    {
    }
    ~Descriptor() { close(); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    void reset(int number)
    {
        close();
        m_number = number;
    }
    void close()
    {
        if (m_number >= 0)
            ::close(m_number);
        m_number = -1;
    }
    int number() const { return m_number; }

private:
    int m_number;
};

} // namespace

void end_all_groups()
{
    for (auto& slot : s_groups) {
        const pid_t pid = slot.load();
        if (pid > 0)
            ::kill(-pid, SIGKILL);
    }
}

Child Child::start(const Command& command, Streams streams, bool own_group)
{
    auto arguments = command.arguments;
    const auto program = find_program(arguments.at(0));
    if (!program)
        throw Failure(
            fmt::format("{} is not installed: run `./eremite doctor` to see what is missing", arguments.at(0)), 127);
    auto argument_pointers = pointers_to(arguments);
    auto environment = environment_of(command);
    auto environment_pointers = pointers_to(environment);
    const auto directory = command.directory.string();
    const pid_t parent = ::getpid();

    const pid_t pid = ::fork();
    if (pid < 0)
        fail("cannot start {}: {}", arguments[0], std::strerror(errno));
    if (pid == 0) {
        // Between fork and exec only what is safe in a signal handler: other threads may have held any lock.
        if (own_group)
            ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent)
            ::_exit(127);
        if (command.file_size_limit) {
            const rlimit limit { command.file_size_limit, command.file_size_limit };
            ::setrlimit(RLIMIT_FSIZE, &limit);
        }
        const int input = streams.input >= 0 ? streams.input
                                             : (command.inherit_input ? 0 : ::open("/dev/null", O_RDONLY | O_CLOEXEC));
        ::dup2(input, 0);
        if (streams.output >= 0)
            ::dup2(streams.output, 1);
        if (streams.error >= 0)
            ::dup2(streams.error, 2);
        if (!directory.empty() && ::chdir(directory.c_str()) != 0)
            ::_exit(127);
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        for (const int number : { SIGINT, SIGQUIT, SIGTERM, SIGPIPE })
            ::signal(number, SIG_DFL);
        ::execve(program->c_str(), argument_pointers.data(), environment_pointers.data());
        ::_exit(127);
    }
    if (own_group) {
        ::setpgid(pid, pid); // here too, so that it holds before either side goes on
        remember_group(pid);
    }
    return Child(pid, own_group);
}

Child::~Child()
{
    if (m_pid <= 0)
        return;
    signal(SIGKILL);
    wait();
}

void Child::signal(int number) const
{
    if (m_pid > 0)
        ::kill(m_own_group ? -m_pid : m_pid, number);
}

int Child::wait()
{
    int status = 0;
    while (::waitpid(m_pid, &status, 0) < 0 && errno == EINTR) { }
    if (m_own_group) {
        ::kill(-m_pid, SIGKILL); // whatever it left behind
        forget_group(m_pid);
    }
    m_pid = -1;
    return status_of(status);
}

std::optional<int> Child::wait_until(std::chrono::steady_clock::time_point deadline)
{
    const Descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, m_pid, 0)));
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return std::nullopt;
        pollfd entry { handle.number(), POLLIN, 0 };
        const int ready = ::poll(&entry, 1, static_cast<int>(std::min<long long>(left.count(), 1'000'000)));
        if (ready > 0)
            return wait();
        if (ready < 0 && errno != EINTR)
            fail("poll: {}", std::strerror(errno));
    }
}

Outcome run(const Command& command)
{
    Descriptor input;
    Descriptor output;
    Descriptor captured;
    if (!command.input_file.empty()) {
        input.reset(::open(command.input_file.c_str(), O_RDONLY | O_CLOEXEC));
        if (input.number() < 0)
            fail("cannot read {}: {}", command.input_file.string(), std::strerror(errno));
    }
    if (!command.output_file.empty()) {
        std::filesystem::create_directories(command.output_file.parent_path());
        const int flags = O_CREAT | O_WRONLY | O_CLOEXEC | O_APPEND | (command.append_output ? 0 : O_TRUNC);
        output.reset(::open(command.output_file.c_str(), flags, 0644));
        if (output.number() < 0)
            fail("cannot write {}: {}", command.output_file.string(), std::strerror(errno));
    } else if (!command.inherit_output) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0)
            fail("pipe: {}", std::strerror(errno));
        captured.reset(ends[0]);
        output.reset(ends[1]);
    }

    const bool limited = command.timeout.count() > 0;
    const Child::Streams streams { input.number(), output.number(), command.inherit_error ? -1 : output.number() };
    auto child = Child::start(command, streams, limited);
    output.close();

    Outcome outcome;
    const auto deadline
        = limited ? std::chrono::steady_clock::now() + command.timeout : std::chrono::steady_clock::time_point::max();
    const auto time_left = [&]() -> int {
        if (!limited)
            return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        return static_cast<int>(std::max<long long>(0, left.count()));
    };
    while (captured.number() >= 0) {
        pollfd entry { captured.number(), POLLIN, 0 };
        const int ready = ::poll(&entry, 1, time_left());
        if (ready == 0)
            break;
        if (ready < 0)
            continue;
        std::array<char, 65536> chunk;
        const auto count = ::read(captured.number(), chunk.data(), chunk.size());
        if (count > 0)
            outcome.output.append(chunk.data(), static_cast<std::size_t>(count));
        else if (count == 0 || errno != EINTR)
            break;
    }
    if (!limited) {
        outcome.status = child.wait();
        return outcome;
    }
    if (const auto status = child.wait_until(deadline)) {
        outcome.status = *status;
        return outcome;
    }
    outcome.timed_out = true;
    // A moment to clean up: a tool in the group removes its scratch files and ends its daemons.
    child.signal(SIGTERM);
    if (const auto status = child.wait_until(std::chrono::steady_clock::now() + std::chrono::seconds(3))) {
        outcome.status = *status;
    } else {
        child.signal(SIGKILL);
        outcome.status = child.wait();
    }
    return outcome;
}

std::string output_of(const Strings& arguments)
{
    const auto outcome = run({ .arguments = arguments });
    if (!outcome.ok())
        fail("`{}` failed: {}", shell_quoted(arguments), trim(outcome.output));
    auto text = outcome.output;
    if (text.ends_with('\n'))
        text.pop_back();
    return text;
}

} // namespace tool
