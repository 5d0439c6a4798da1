#include "boot/command_line.h"

namespace eremite {

namespace {

bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Reads words from a buffer and writes them, without quotes, to its start: what is written never overtakes the
/// reading.
class Packer {
public:
    Packer(std::span<char> buffer, usize length)
        : m_buffer(buffer)
        , m_length(length)
    {
        // A NUL in the middle ends the text, as for any C string.
        for (usize i = 0; i < m_length; ++i) {
            if (m_buffer[i] == '\0')
                m_length = i;
        }
    }

    /// Packs one more word; false at the end. `plain` tells whether it had no quotes.
    bool next(std::string_view& word, bool& plain)
    {
        while (m_read < m_length && is_space(m_buffer[m_read]))
            ++m_read;
        if (m_read == m_length)
            return false;
        usize start = m_write;
        bool quoted = false;
        plain = true;
        for (; m_read < m_length && (quoted || !is_space(m_buffer[m_read])); ++m_read) {
            char c = m_buffer[m_read];
            if (c == '"') {
                quoted = !quoted;
                plain = false;
                continue;
            }
            if (quoted && c == '\\' && m_read + 1 < m_length)
                c = m_buffer[++m_read];
            m_buffer[m_write++] = c;
        }
        // The separator, or the spare byte at the end, leaves room for the NUL.
        if (m_read < m_length)
            ++m_read;
        m_buffer[m_write] = '\0';
        word = { &m_buffer[start], m_write - start };
        ++m_write;
        return true;
    }

    usize written() const { return m_write; }
    std::string_view packed(usize from, usize to) const
    {
        return from == to ? std::string_view() : std::string_view { &m_buffer[from], to - from };
    }

private:
    std::span<char> m_buffer;
    usize m_length;
    usize m_read { 0 };
    usize m_write { 0 };
};

} // namespace

CommandLine parse_command_line(std::span<char> buffer, usize length)
{
    Packer packer(buffer, length);
    CommandLine result;
    std::string_view word;
    bool plain;
    bool found_dashes = false;
    usize options_end = 0;
    while (!found_dashes && packer.next(word, plain)) {
        found_dashes = plain && word == "--";
        if (!found_dashes)
            options_end = packer.written();
    }
    result.options = packer.packed(0, options_end);

    usize start = packer.written();
    usize arguments_end = start;
    while (packer.next(word, plain)) {
        // Whatever a monitor appends comes last; a word of another kind shows that those before were arguments.
        if (!plain || !word.starts_with("virtio_mmio.device="))
            arguments_end = packer.written();
    }
    result.arguments = packer.packed(start, arguments_end);
    result.appended = packer.packed(arguments_end, packer.written());
    return result;
}

bool next_word(std::string_view& packed, std::string_view& word)
{
    if (packed.empty())
        return false;
    usize end = packed.find('\0');
    if (end == std::string_view::npos)
        return false;
    word = packed.substr(0, end);
    packed.remove_prefix(end + 1);
    return true;
}

bool match_option(std::string_view word, std::string_view name, std::string_view& value)
{
    if (!word.starts_with(name))
        return false;
    word.remove_prefix(name.size());
    if (!word.empty() && !word.starts_with('='))
        return false;
    value = word.empty() ? word : word.substr(1);
    return true;
}

} // namespace eremite
