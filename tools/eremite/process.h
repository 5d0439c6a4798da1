// Starts other programs: argument vectors only, never a shell's command line.
//
// A child that is waited for with a time limit gets a process group of its own, and the whole group is ended with it;
// and every child is ended by the kernel when the tool itself dies.
#pragma once

#include "support.h"

#include <chrono>
#include <sys/types.h>
#include <utility>

namespace tool {

struct Command {
    Strings arguments;
    /// Added to, or replacing, what the tool's own environment says.
    std::vector<std::pair<std::string, std::string>> environment {};
    Path directory {};
    /// Standard input; /dev/null when empty, unless `inherit_input`.
    Path input_file {};
    bool inherit_input = false;
    /// Where standard output and error go, in this order of preference: the file, or `Outcome::output`.
    Path output_file {};
    bool append_output = false;
    /// Standard error goes to the tool's own.
    bool inherit_error = false;
    bool inherit_output = false;
    std::chrono::milliseconds timeout { 0 };
    /// No more than that is written to a file by the child; 0 for no limit.
    std::uint64_t file_size_limit = 0;
};

struct Outcome {
    /// As a shell tells it: the exit status, or 128 + signal; 127 where the program could not be started.
    int status = 0;
    bool timed_out = false;
    std::string output {};

    bool ok() const { return status == 0 && !timed_out; }
};

/// Runs to the end.
Outcome run(const Command& command);

/// Standard output of a program that must succeed, without the last line end; fails with what it said otherwise.
std::string output_of(const Strings& arguments);

/// A program in the background.
class Child {
public:
    struct Streams {
        int input = -1;
        int output = -1;
        int error = -1;
    };

    /// The streams are given to the child as its 0, 1 and 2; -1 is /dev/null for input, the tool's own for the others.
    static Child start(const Command& command, Streams streams, bool own_group);

    Child(Child&& other) noexcept
        : m_pid(std::exchange(other.m_pid, -1))
        , m_own_group(other.m_own_group)
    {
    }
    Child& operator=(Child&&) = delete;
    ~Child();

    pid_t pid() const { return m_pid; }
    /// Waits; the status as in Outcome.
    int wait();
    /// Waits no longer than until then; nothing if it still runs.
    std::optional<int> wait_until(std::chrono::steady_clock::time_point deadline);
    void signal(int number) const;

private:
    Child(pid_t pid, bool own_group)
        : m_pid(pid)
        , m_own_group(own_group)
    {
    }
    pid_t m_pid;
    bool m_own_group;
};

/// Ends every child that has a process group of its own; safe in a signal handler.
void end_all_groups();

} // namespace tool
