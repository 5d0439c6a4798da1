#include "base/format.h"

namespace eremite {

namespace {

struct Specification {
    usize width { 0 };
    char fill { ' ' };
    bool hexadecimal { false };
};

Specification parse(std::string_view text)
{
    Specification specification;
    if (text.starts_with(':'))
        text.remove_prefix(1);
    if (text.starts_with('0')) {
        specification.fill = '0';
        text.remove_prefix(1);
    }
    for (char c : text) {
        if (c >= '0' && c <= '9')
            specification.width = specification.width * 10 + static_cast<usize>(c - '0');
        else if (c == 'x')
            specification.hexadecimal = true;
    }
    return specification;
}

void write_padded(TextSink& sink, std::string_view text, const Specification& specification, bool left)
{
    if (left)
        sink.write(text);
    for (usize n = text.size(); n < specification.width; ++n)
        sink.write({ &specification.fill, 1 });
    if (!left)
        sink.write(text);
}

void write_number(TextSink& sink, u64 number, bool negative, bool hexadecimal, const Specification& specification)
{
    std::array<char, 24> digits;
    usize position = digits.size();
    u64 base = hexadecimal ? 16 : 10;
    if (negative)
        number = -number;
    do {
        digits[--position] = std::string_view("0123456789abcdef")[number % base];
        number /= base;
    } while (number != 0);
    if (negative)
        digits[--position] = '-';
    if (hexadecimal)
        sink.write("0x");
    write_padded(sink, { &digits[position], digits.size() - position }, specification, false);
}

void write_argument(TextSink& sink, const FormatArgument& argument, const Specification& specification)
{
    using enum FormatArgument::Kind;
    switch (argument.kind()) {
    case Text:
    case CText:
        return write_padded(sink, argument.text(), specification, true);
    case Character: {
        char c = static_cast<char>(argument.number());
        return write_padded(sink, { &c, 1 }, specification, true);
    }
    case Boolean:
        return write_padded(sink, argument.number() ? "true" : "false", specification, true);
    case Signed:
        return write_number(sink, argument.number(),
            !specification.hexadecimal && static_cast<i64>(argument.number()) < 0, specification.hexadecimal,
            specification);
    case Unsigned:
        return write_number(sink, argument.number(), false, specification.hexadecimal, specification);
    case Hexadecimal:
        return write_number(sink, argument.number(), false, true, specification);
    }
}

} // namespace

void BufferSink::write(std::string_view text)
{
    usize room = m_buffer.size() - m_length;
    if (text.size() > room) {
        text = text.substr(0, room);
        m_truncated = true;
    }
    for (char c : text)
        m_buffer[m_length++] = c;
}

void format_arguments(TextSink& sink, std::string_view pattern, std::span<const FormatArgument> arguments)
{
    usize next = 0;
    while (!pattern.empty()) {
        usize brace = pattern.find('{');
        if (brace == std::string_view::npos)
            return sink.write(pattern);
        sink.write(pattern.substr(0, brace));
        pattern.remove_prefix(brace + 1);
        usize end = pattern.find('}');
        if (end == std::string_view::npos)
            return sink.write("{?}");
        if (next < arguments.size())
            write_argument(sink, arguments[next++], parse(pattern.substr(0, end)));
        else
            sink.write("{?}");
        pattern.remove_prefix(end + 1);
    }
}

} // namespace eremite
