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

/// One argument, type-erased.
struct FormatArgument {
    enum class Kind : u8 { Signed, Unsigned, Hexadecimal, Text, Character, Boolean };

    Kind kind { Kind::Unsigned };
    u64 number { 0 };
    std::string_view text {};

    constexpr FormatArgument() = default;
    constexpr FormatArgument(bool value)
        : kind(Kind::Boolean)
        , number(value)
    {
    }
    constexpr FormatArgument(char value)
        : kind(Kind::Character)
        , number(static_cast<u8>(value))
    {
    }
    template<std::integral T>
    constexpr FormatArgument(T value)
        : kind(std::is_signed_v<T> ? Kind::Signed : Kind::Unsigned)
        , number(static_cast<u64>(static_cast<std::conditional_t<std::is_signed_v<T>, i64, u64>>(value)))
    {
    }
    constexpr FormatArgument(std::string_view value)
        : kind(Kind::Text)
        , text(value)
    {
    }
    constexpr FormatArgument(const char* value)
        : kind(Kind::Text)
        , text(value ? value : "(null)")
    {
    }
    FormatArgument(const void* value)
        : kind(Kind::Hexadecimal)
        , number(reinterpret_cast<u64>(value))
    {
    }
    constexpr FormatArgument(Errno value)
        : kind(Kind::Text)
        , text(name_of(value))
    {
    }
    template<typename Tag>
    constexpr FormatArgument(Address<Tag> value)
        : kind(Kind::Hexadecimal)
        , number(value.value())
    {
    }
    constexpr FormatArgument(Nanoseconds value)
        : kind(Kind::Signed)
        , number(static_cast<u64>(value.value()))
    {
    }
};

/// Writes `pattern` with its arguments filled in. An argument that is missing prints as "{?}".
void format_arguments(TextSink& sink, std::string_view pattern, std::span<const FormatArgument> arguments);

template<typename... Arguments> void format_to(TextSink& sink, std::string_view pattern, const Arguments&... arguments)
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
