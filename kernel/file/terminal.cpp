#include "file/terminal.h"

#include "arch/clock.h"
#include "base/component.h"
#include "boot/options.h"
#include "device/console.h"
#include "file/line_discipline.h"
#include "sched/signal_hooks.h"

#include <algorithm>

namespace eremite {

namespace {

/// What is typed, shared by all descriptions of the console.
class ConsoleTerminal final : public Terminal {
public:
    Result<usize> read(IoBuffer buffer, bool nonblocking) override;
    u32 poll(PollTable* table) override;
    Result<long> ioctl(u32 request, u64 argument) override;
    void set_settings(const abi::Termios& settings, bool flush);
    abi::Termios settings();
    /// What comes in is a pipe's or a file's bytes, not typed by a person: no editing, echo or keys. A byte of 16 (DLE)
    /// says that the next is meant as it is, or that it is the end of the file, if that is 4 (EOT).
    void become_pipe();
    void watch();

private:
    static constexpr u8 k_escape = 16;
    static constexpr u8 k_end = 4;

    static void take_input();
    void take_typed();
    void take_piped();
    bool is_readable() const REQUIRES(m_lock) { return m_discipline.is_readable() || m_has_ended; }

    InterruptSpinLock m_lock;
    LineDiscipline m_discipline GUARDED_BY(m_lock);
    WaitQueue m_readers;
    std::atomic<bool> m_is_watched { false };
    bool m_is_pipe { false }; // set once, at boot
    bool m_is_escaped GUARDED_BY(m_lock) { false };
    bool m_has_ended GUARDED_BY(m_lock) { false };
};
constinit ConsoleTerminal* s_terminal = nullptr; // for ever

void ConsoleTerminal::take_input()
{
    if (s_terminal->m_is_pipe)
        s_terminal->take_piped();
    else
        s_terminal->take_typed();
}

void ConsoleTerminal::take_typed()
{
    std::array<char, 64> bytes;
    while (const usize count = console().read(bytes)) {
        for (char byte : std::span(bytes).first(count)) {
            LineDiscipline::Effect effect;
            {
                Locked lock(m_lock);
                effect = m_discipline.type(static_cast<u8>(byte));
            }
            if (effect.echo_length != 0)
                console().write(effect.text());
            if (effect.signal != 0)
                send_kernel_signal(effect.signal);
        }
        m_readers.wake_all(abi::k_pollin | abi::k_pollrdnorm);
    }
}

/// What there is no room for stays in the device, which makes its other end wait, until read() comes for it.
void ConsoleTerminal::take_piped()
{
    {
        Locked lock(m_lock); // all the while: bytes must not overtake one another
        std::array<char, 64> bytes;
        usize count = 1;
        while (count != 0 && m_discipline.room() != 0) {
            count = console().read(std::span(bytes).first(std::min(bytes.size(), m_discipline.room())));
            for (char c : std::span(bytes).first(count)) {
                const auto byte = static_cast<u8>(c);
                const bool was_escaped = std::exchange(m_is_escaped, !m_is_escaped && byte == k_escape);
                if (was_escaped && byte == k_end)
                    m_has_ended = true;
                else if (!m_is_escaped)
                    m_discipline.type(byte);
            }
        }
    }
    m_readers.wake_all(abi::k_pollin | abi::k_pollrdnorm);
}

void ConsoleTerminal::become_pipe()
{
    abi::Termios settings = this->settings();
    settings.local_flags = 0;
    settings.input_flags = 0;
    settings.characters[abi::k_vmin] = 1;
    set_settings(settings, false);
    m_is_pipe = true;
}

/// From the first read or poll on: nobody else would know what to do with what is typed.
void ConsoleTerminal::watch()
{
    if (m_is_watched.load(std::memory_order_relaxed) || m_is_watched.exchange(true))
        return;
    // A console without input interrupts is one that nobody types at.
    static_cast<void>(enable_console_input(take_input));
    take_input();
}

Result<usize> ConsoleTerminal::read(IoBuffer buffer, bool nonblocking)
{
    if (buffer.is_empty())
        return 0;
    watch();
    std::array<u8, 256> bytes;
    usize count = 0;
    {
        Locked lock(m_lock);
        LineDiscipline& discipline = m_discipline;
        Nanoseconds deadline = Nanoseconds::max();
        bool wait = !nonblocking;
        if (!discipline.is_canonical() && discipline.settings().characters[abi::k_vmin] == 0) {
            const u8 tenths = discipline.settings().characters[abi::k_vtime];
            wait = tenths != 0;
            deadline = arch::now() + Nanoseconds::from_milliseconds(tenths * 100);
            if (!is_readable() && !wait)
                return 0;
        }
        if (!is_readable() && !wait)
            return Errno::EAGAIN;
        auto result = m_readers.wait_until(m_lock, [&]() NO_THREAD_SAFETY_ANALYSIS { return is_readable(); }, deadline);
        if (result.is_error()) {
            if (result.error() == Errno::ETIMEDOUT)
                return 0;
            return result.error();
        }
        count = discipline.read(std::span(bytes).first(std::min(bytes.size(), buffer.size())));
    }
    if (m_is_pipe)
        take_piped(); // there is room again
    TRY(buffer.write(std::span(bytes).first(count)));
    return count;
}

u32 ConsoleTerminal::poll(PollTable* table)
{
    watch();
    if (table)
        table->add(m_readers);
    u32 events = abi::k_pollout | abi::k_pollwrnorm;
    Locked lock(m_lock);
    if (is_readable())
        events |= abi::k_pollin | abi::k_pollrdnorm;
    return events;
}

abi::Termios ConsoleTerminal::settings()
{
    Locked lock(m_lock);
    return m_discipline.settings();
}

void ConsoleTerminal::set_settings(const abi::Termios& settings, bool flush)
{
    {
        Locked lock(m_lock);
        if (flush)
            m_discipline.flush();
        m_discipline.set_settings(settings);
    }
    constexpr u32 wanted = abi::k_opost | abi::k_onlcr;
    set_console_translation((settings.output_flags & wanted) == wanted);
    m_readers.wake_all(abi::k_pollin);
}

Result<long> ConsoleTerminal::ioctl(u32 request, u64 argument)
{
    switch (request) {
    case abi::k_tcgets:
        TRY(UserPointer<abi::Termios>(argument).write(settings()));
        return 0;
    case abi::k_tcsets:
    case abi::k_tcsetsw:
    case abi::k_tcsetsf:
        set_settings(TRY(UserPointer<abi::Termios>(argument).read()), request == abi::k_tcsetsf);
        return 0;
    case abi::k_tcflsh: {
        Locked lock(m_lock);
        if (argument != 1)
            m_discipline.flush();
        return 0;
    }
    case abi::k_fionread: {
        int count;
        {
            Locked lock(m_lock);
            count = static_cast<int>(m_discipline.available());
        }
        TRY(UserPointer<int>(argument).write(count));
        return 0;
    }
    case abi::k_tiocgpgrp:
    case abi::k_tiocgsid:
        TRY(UserPointer<int>(argument).write(k_process_id));
        return 0;
    case abi::k_tiocoutq:
        TRY(UserPointer<int>(argument).write(0));
        return 0;
    case abi::k_tiocspgrp:
    case abi::k_tiocsctty:
    case abi::k_tcsbrk:
    case abi::k_tcxonc:
        return 0;
    default:
        return Errno::ENOTTY;
    }
}

} // namespace

void watch_console_input()
{
    s_terminal->watch();
}

namespace {

Result<> init_terminal()
{
    s_terminal = TRY(make<ConsoleTerminal>()).leak();
    if (boot_option("console") == std::string_view("pipe"))
        s_terminal->become_pipe();
    set_terminal(*s_terminal);
    return {};
}

} // namespace

ER_COMPONENT(terminal, Stage::Subsystem, init_terminal);

} // namespace eremite
