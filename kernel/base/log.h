// The kernel log: lines by level, to the console (the log's sink), each one written whole.
// `log_info("mm: {} MiB of memory", n)`: the subsystem's name, a colon, a sentence without full stop.
#pragma once

#include "base/format.h"

namespace eremite {

enum class LogLevel : u8 { Error, Warning, Notice, Info, Debug };

/// What is less important than this is not shown: command line `loglevel=0..4`. Default: Warning.
void set_log_level(LogLevel level);
LogLevel log_level();

/// Where lines go; the boot console until a driver replaces it. May be called in any context, so it must not sleep.
using LogWriter = void (*)(std::string_view line);
void set_log_writer(LogWriter writer);

/// Does nothing if `level` isn't shown.
void log_arguments(LogLevel level, std::string_view pattern, std::span<const FormatArgument> arguments);

template<typename... Arguments>
[[gnu::always_inline]] inline void log(LogLevel level, std::string_view pattern, const Arguments&... arguments)
{
    const std::array<FormatArgument, sizeof...(Arguments)> erased { FormatArgument(arguments)... };
    log_arguments(level, pattern, erased);
}

template<typename... Arguments>
[[gnu::always_inline]] inline void log_error(std::string_view pattern, const Arguments&... arguments)
{
    log(LogLevel::Error, pattern, arguments...);
}
template<typename... Arguments>
[[gnu::always_inline]] inline void log_warning(std::string_view pattern, const Arguments&... arguments)
{
    log(LogLevel::Warning, pattern, arguments...);
}
template<typename... Arguments>
[[gnu::always_inline]] inline void log_notice(std::string_view pattern, const Arguments&... arguments)
{
    log(LogLevel::Notice, pattern, arguments...);
}
template<typename... Arguments>
[[gnu::always_inline]] inline void log_info(std::string_view pattern, const Arguments&... arguments)
{
    log(LogLevel::Info, pattern, arguments...);
}
template<typename... Arguments>
[[gnu::always_inline]] inline void log_debug(std::string_view pattern, const Arguments&... arguments)
{
    log(LogLevel::Debug, pattern, arguments...);
}

} // namespace eremite
