#include "file/console_file.h"

#include "abi/termios.h"

#include "base/component.h"
#include "device/console.h"
#include "file/terminal.h"

#include <algorithm>
#include <array>
#include <atomic>

namespace eremite {

namespace {

constinit std::atomic<Terminal*> s_terminal { nullptr };
constinit std::atomic<bool> s_translates { false };
constinit abi::WindowSize s_window {}; // as a program has set it

class ConsoleFile final : public File {
public:
    explicit ConsoleFile(u32 flags)
        : File(flags)
    {
    }

    Result<usize> read(IoBuffer buffer) override
    {
        // Without a terminal nothing reads that could tell this from the end of the file.
        Terminal* terminal = s_terminal.load(std::memory_order_acquire);
        return terminal ? terminal->read(buffer, is_nonblocking()) : Result<usize>(0);
    }
    u32 poll(PollTable* table) override
    {
        Terminal* terminal = s_terminal.load(std::memory_order_acquire);
        return terminal ? terminal->poll(table) : abi::k_pollout | abi::k_pollwrnorm;
    }
    Result<usize> write(IoBuffer buffer) override;
    Result<long> ioctl(u32 request, u64 argument) override;
    Result<> stat(abi::Stat& stat) override;
    Result<String> description() override { return String::create("/dev/console"); }
};

Result<usize> ConsoleFile::write(IoBuffer buffer)
{
    const bool translate = s_translates.load(std::memory_order_relaxed);
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
    case abi::k_tiocgwinsz: { // what standard output asks to know whether it is a terminal
        abi::WindowSize window = s_window;
        if (window.rows == 0)
            static_cast<void>(console().size(window.columns, window.rows));
        TRY(UserPointer<abi::WindowSize>(argument).write(window));
        return 0;
    }
    case abi::k_tiocswinsz:
        s_window = TRY(UserPointer<abi::WindowSize>(argument).read());
        return 0;
    default:
        if (Terminal* terminal = s_terminal.load(std::memory_order_acquire))
            return terminal->ioctl(request, argument);
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

} // namespace

void set_terminal(Terminal& terminal)
{
    s_terminal.store(&terminal, std::memory_order_release);
}

void set_console_translation(bool translate)
{
    s_translates.store(translate, std::memory_order_relaxed);
}

Result<RefPtr<File>> open_console(u32 flags)
{
    return RefPtr<File>(TRY(make_ref<ConsoleFile>(flags)));
}

Result<> open_standard_files()
{
    RefPtr<File> file = TRY(open_console(abi::k_o_rdwr));
    for (int fd = 0; fd < 3; ++fd)
        TRY(fd_table().install_at(fd, file, false));
    return {};
}

ER_COMPONENT(standard_files, Stage::Subsystem, open_standard_files);

} // namespace eremite
