#include "base/log.h"

#include <atomic>

namespace eremite {

namespace {

constinit std::atomic<LogLevel> s_level { LogLevel::Warning };
constinit std::atomic<LogWriter> s_writer { nullptr };

} // namespace

void set_log_level(LogLevel level)
{
    s_level.store(level, std::memory_order_relaxed);
}

LogLevel log_level()
{
    return s_level.load(std::memory_order_relaxed);
}

void set_log_writer(LogWriter writer)
{
    s_writer.store(writer, std::memory_order_release);
}

void log_arguments(LogLevel level, std::string_view pattern, std::span<const FormatArgument> arguments)
{
    LogWriter writer = s_writer.load(std::memory_order_acquire);
    if (!writer || level > log_level())
        return;
    constexpr std::array<std::string_view, 5> prefixes {
        "eremite: error: ", "eremite: warning: ", "eremite: ", "eremite: ", "eremite: debug: "
    };
    std::array<char, 512> line;
    BufferSink sink(std::span(line).first(line.size() - 1));
    sink.write(prefixes[static_cast<usize>(level)]);
    format_arguments(sink, pattern, arguments);
    usize length = sink.text().size();
    line[length] = '\n';
    writer({ line.data(), length + 1 });
}

} // namespace eremite
