#include "file/console_file.h"

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
struct Input {
    InterruptSpinLock lock;
    LineDiscipline discipline GUARDED_BY(lock);
    WaitQueue readers;
    std::atomic<bool> is_watched { false };
    abi::WindowSize window {};
};
constinit Input* s_input = nullptr; // made by open_standard_files, for ever

void take_input()
{
    std::array<char, 64> bytes;
    while (const usize count = console().read(bytes)) {
        for (char byte : std::span(bytes).first(count)) {
            LineDiscipline::Effect effect;
            {
                Locked lock(s_input->lock);
                effect = s_input->discipline.type(static_cast<u8>(byte));
            }
            if (effect.echo_length != 0)
                console().write(effect.text());
            if (effect.signal != 0)
                send_kernel_signal(effect.signal);
        }
        s_input->readers.wake_all(abi::k_pollin | abi::k_pollrdnorm);
    }
}

class ConsoleFile final : public File {
public:
    explicit ConsoleFile(u32 flags)
        : File(flags)
    {
    }

    Result<usize> read(IoBuffer buffer) override;
    Result<usize> write(IoBuffer buffer) override;
    Result<long> ioctl(u32 request, u64 argument) override;
    Result<> stat(abi::Stat& stat) override;
    u32 poll(PollTable* table) override;
    Result<String> description() override { return String::create("/dev/console"); }

private:
    static usize take(IoBuffer buffer, std::span<u8> bytes);
};

Result<usize> ConsoleFile::read(IoBuffer buffer)
{
    if (buffer.is_empty())
        return 0;
    watch_console_input();
    std::array<u8, 256> bytes;
    usize count = 0;
    {
        Locked lock(s_input->lock);
        LineDiscipline& discipline = s_input->discipline;
        Nanoseconds deadline = Nanoseconds::max();
        bool wait = !is_nonblocking();
        if (!discipline.is_canonical() && discipline.settings().characters[abi::k_vmin] == 0) {
            const u8 tenths = discipline.settings().characters[abi::k_vtime];
            wait = tenths != 0;
            deadline = arch::now() + Nanoseconds::from_milliseconds(tenths * 100);
            if (!discipline.is_readable() && !wait)
                return 0;
        }
        if (!discipline.is_readable() && !wait)
            return Errno::EAGAIN;
        auto result = s_input->readers.wait_until(
            s_input->lock, [&]() NO_THREAD_SAFETY_ANALYSIS { return discipline.is_readable(); }, deadline);
        if (result.is_error()) {
            if (result.error() == Errno::ETIMEDOUT)
                return 0;
            return result.error();
        }
        count = discipline.read(std::span(bytes).first(std::min(bytes.size(), buffer.size())));
    }
    TRY(buffer.write(std::span(bytes).first(count)));
    return count;
}

Result<usize> ConsoleFile::write(IoBuffer buffer)
{
    bool translate;
    {
        Locked lock(s_input->lock);
        const u32 wanted = abi::k_opost | abi::k_onlcr;
        translate = (s_input->discipline.settings().output_flags & wanted) == wanted;
    }
    std::array<u8, 256> bytes;
    usize total = 0;
    while (total < buffer.size()) {
        const auto chunk = std::span(bytes).first(std::min(bytes.size(), buffer.size() - total));
        auto copied = buffer.subspan(total).read(chunk);
        if (copied.is_error()) {
            if (total != 0)
                break;
            return copied.error();
        }
        std::string_view text(reinterpret_cast<const char*>(chunk.data()), chunk.size());
        while (!text.empty()) {
            const usize line = translate ? std::min(text.find('\n'), text.size()) : text.size();
            console().write(text.substr(0, line));
            text.remove_prefix(line);
            if (!text.empty()) {
                console().write("\r\n");
                text.remove_prefix(1);
            }
        }
        total += chunk.size();
    }
    return total;
}

Result<long> ConsoleFile::ioctl(u32 request, u64 argument)
{
    switch (request) {
    case abi::k_tcgets: {
        abi::Termios settings;
        {
            Locked lock(s_input->lock);
            settings = s_input->discipline.settings();
        }
        TRY(UserPointer<abi::Termios>(argument).write(settings));
        return 0;
    }
    case abi::k_tcsets:
    case abi::k_tcsetsw:
    case abi::k_tcsetsf: {
        const abi::Termios settings = TRY(UserPointer<abi::Termios>(argument).read());
        {
            Locked lock(s_input->lock);
            if (request == abi::k_tcsetsf)
                s_input->discipline.flush();
            s_input->discipline.set_settings(settings);
        }
        s_input->readers.wake_all(abi::k_pollin);
        return 0;
    }
    case abi::k_tcflsh: {
        Locked lock(s_input->lock);
        if (argument != 1)
            s_input->discipline.flush();
        return 0;
    }
    case abi::k_tiocgwinsz: {
        abi::WindowSize window = s_input->window;
        if (window.rows == 0)
            static_cast<void>(console().size(window.columns, window.rows));
        TRY(UserPointer<abi::WindowSize>(argument).write(window));
        return 0;
    }
    case abi::k_tiocswinsz:
        s_input->window = TRY(UserPointer<abi::WindowSize>(argument).read());
        return 0;
    case abi::k_fionread: {
        int count;
        {
            Locked lock(s_input->lock);
            count = static_cast<int>(s_input->discipline.available());
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

Result<> ConsoleFile::stat(abi::Stat& stat)
{
    stat.mode = abi::k_s_ifchr | 0600;
    stat.inode = 5;
    stat.link_count = 1;
    stat.special_device = 5 << 8 | 1;
    stat.block_size = 1024;
    return {};
}

u32 ConsoleFile::poll(PollTable* table)
{
    watch_console_input();
    if (table)
        table->add(s_input->readers);
    u32 events = abi::k_pollout | abi::k_pollwrnorm;
    Locked lock(s_input->lock);
    if (s_input->discipline.is_readable())
        events |= abi::k_pollin | abi::k_pollrdnorm;
    return events;
}

} // namespace

Result<RefPtr<File>> open_console(u32 flags)
{
    return RefPtr<File>(TRY(make_ref<ConsoleFile>(flags)));
}

Result<> open_standard_files()
{
    if (!s_input)
        s_input = TRY(make<Input>()).leak();
    if (boot_option("console") == std::string_view("noecho")) {
        // What comes in is not typed by a person: a pipe, a file.
        Locked lock(s_input->lock);
        abi::Termios settings = s_input->discipline.settings();
        settings.local_flags &= ~abi::k_echo;
        s_input->discipline.set_settings(settings);
    }
    RefPtr<File> file = TRY(open_console(abi::k_o_rdwr));
    for (int fd = 0; fd < 3; ++fd)
        TRY(fd_table().install_at(fd, file, false));
    return {};
}

void watch_console_input()
{
    if (s_input->is_watched.load(std::memory_order_relaxed) || s_input->is_watched.exchange(true))
        return;
    // A console without input interrupts is one that nobody types at.
    static_cast<void>(enable_console_input(take_input));
    take_input();
}

ER_COMPONENT(standard_files, Stage::Subsystem, open_standard_files);

} // namespace eremite
