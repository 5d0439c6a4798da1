// A small formatter: "{}" takes the next argument, "{:x}" in hexadecimal with 0x, "{:#}" padded to width as "{:8}",
// "{:016x}". Types: integers, bool, char, string views, C strings, pointers, Errno, the strong types of types.h.
// No allocation, no locale, no vector registers: it serves the panic as well.
#pragma once

#include "base/errno.h"
#include "base/types.h"
#include <array>
#include <concepts>
#include <span>
#include <string_view>
#include <type_traits>

namespace eremite {

/// Where formatted text goes.
class TextSink {
public:
    virtual void write(std::string_view text) = 0;

protected:
    ~TextSink() = default;
};

/// A sink over memory of the caller's; what doesn't fit is cut, and truncated() says so.
class BufferSink final : public TextSink {
public:
    explicit BufferSink(std::span<char> buffer)
        : m_buffer(buffer)
    {
    }
    void write(std::string_view text) override;
    std::string_view text() const { return { m_buffer.data(), m_length }; }
    bool truncated() const { return m_truncated; }

private:
    std::span<char> m_buffer;
    usize m_length { 0 };
    bool m_truncated { false };
};

/// One argument, type-erased: 16 bytes, as every line that is logged builds some.
class FormatArgument {
public:
    enum class Kind : u32 { Signed, Unsigned, Hexadecimal, Text, CText, Character, Boolean };

    constexpr FormatArgument() = default;
    constexpr FormatArgument(bool value)
        : m_number(value)
        , m_kind(Kind::Boolean)
    {
    }
    constexpr FormatArgument(char value)
        : m_number(static_cast<u8>(value))
        , m_kind(Kind::Character)
    {
    }
    template<std::integral T>
    constexpr FormatArgument(T value)
        : m_number(static_cast<u64>(static_cast<std::conditional_t<std::is_signed_v<T>, i64, u64>>(value)))
        , m_kind(std::is_signed_v<T> ? Kind::Signed : Kind::Unsigned)
    {
    }
    FormatArgument(std::string_view value)
        : m_number(reinterpret_cast<u64>(value.data()))
        , m_length(static_cast<u32>(value.size()))
        , m_kind(Kind::Text)
    {
    }
    FormatArgument(const char* value) // its length is found when it is written
        : m_number(reinterpret_cast<u64>(value))
        , m_kind(Kind::CText)
    {
    }
    FormatArgument(const void* value)
        : m_number(reinterpret_cast<u64>(value))
        , m_kind(Kind::Hexadecimal)
    {
    }
    FormatArgument(Errno value)
        : FormatArgument(name_of(value))
    {
    }
    template<typename Tag>
    constexpr FormatArgument(Address<Tag> value)
        : m_number(value.value())
        , m_kind(Kind::Hexadecimal)
    {
    }
    constexpr FormatArgument(Nanoseconds value)
        : m_number(static_cast<u64>(value.value()))
        , m_kind(Kind::Signed)
    {
    }

    Kind kind() const { return m_kind; }
    u64 number() const { return m_number; }
    std::string_view text() const
    {
        const auto* start = reinterpret_cast<const char*>(m_number);
        if (m_kind == Kind::CText)
            return start ? start : "(null)";
        return { start, m_length };
    }

private:
    u64 m_number { 0 };
    u32 m_length { 0 };
    Kind m_kind { Kind::Unsigned };
};

/// Writes `pattern` with its arguments filled in. An argument that is missing prints as "{?}".
void format_arguments(TextSink& sink, std::string_view pattern, std::span<const FormatArgument> arguments);

/// In line, as all that stands between: storing an argument where it belongs is less code than passing it on.
template<typename... Arguments>
[[gnu::always_inline]] inline void format_to(TextSink& sink, std::string_view pattern, const Arguments&... arguments)
{
    const std::array<FormatArgument, sizeof...(Arguments)> erased { FormatArgument(arguments)... };
    format_arguments(sink, pattern, erased);
}

/// Formats into `buffer` and returns the part written.
template<typename... Arguments>
std::string_view format(std::span<char> buffer, std::string_view pattern, const Arguments&... arguments)
{
    BufferSink sink(buffer);
    format_to(sink, pattern, arguments...);
    return sink.text();
}

} // namespace eremite
