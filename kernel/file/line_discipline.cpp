#include "file/line_discipline.h"

namespace eremite {

namespace {

constexpr int k_sigint = 2;
constexpr int k_sigquit = 3;

void add(LineDiscipline::Effect& effect, std::string_view text)
{
    for (char c : text) {
        if (effect.echo_length < effect.echo.size())
            effect.echo[effect.echo_length++] = c;
    }
}

bool is_control(u16 byte)
{
    return (byte < 32 && byte != '\t' && byte != '\n') || byte == 127;
}

} // namespace

void LineDiscipline::set_settings(const abi::Termios& settings)
{
    m_settings = settings;
    if (!is_canonical())
        m_committed = m_write;
}

void LineDiscipline::echo(Effect& effect, u8 byte) const
{
    const u32 flags = m_settings.local_flags;
    if (byte == '\n' && (flags & (abi::k_echo | abi::k_echonl)) != 0) {
        add(effect, "\r\n");
        return;
    }
    if ((flags & abi::k_echo) == 0)
        return;
    if (is_control(byte) && (flags & abi::k_echoctl) != 0) {
        add(effect, "^");
        effect.echo[effect.echo_length++] = static_cast<char>(byte ^ 0x40);
        return;
    }
    effect.echo[effect.echo_length++] = static_cast<char>(byte);
}

void LineDiscipline::erase(Effect& effect)
{
    // The continuation bytes of a UTF-8 character go with its first byte.
    u16 last = at(--m_write);
    while ((last & 0xc0) == 0x80 && last < 0x100 && m_write != m_committed)
        last = at(--m_write);
    if ((m_settings.local_flags & abi::k_echo) != 0)
        add(effect, is_control(last) ? "\b \b\b \b" : "\b \b");
}

LineDiscipline::Effect LineDiscipline::type(u8 byte)
{
    Effect effect;
    if (byte == '\r') {
        if ((m_settings.input_flags & abi::k_igncr) != 0)
            return effect;
        if ((m_settings.input_flags & abi::k_icrnl) != 0)
            byte = '\n';
    } else if (byte == '\n' && (m_settings.input_flags & abi::k_inlcr) != 0) {
        byte = '\r';
    }

    const auto& keys = m_settings.characters;
    const bool is_signal = byte != 0 && (byte == keys[abi::k_vintr] || byte == keys[abi::k_vquit]);
    if (is_signal && (m_settings.local_flags & abi::k_isig) != 0) {
        flush();
        echo(effect, byte);
        effect.signal = byte == keys[abi::k_vintr] ? k_sigint : k_sigquit;
        return effect;
    }
    if (!is_canonical()) {
        if (!is_full()) {
            at(m_write++) = byte;
            m_committed = m_write;
            echo(effect, byte);
        }
        return effect;
    }

    if (byte != 0 && byte == keys[abi::k_verase]) {
        if (m_write != m_committed)
            erase(effect);
        return effect;
    }
    if (byte != 0 && (byte == keys[abi::k_vkill] || byte == keys[abi::k_vwerase])) {
        // Echoes no more than one step: the terminal's line is redrawn by its end.
        bool seen_word = false;
        while (m_write != m_committed) {
            const bool blank = at(m_write - 1) == ' ';
            if (byte == keys[abi::k_vwerase] && blank && seen_word)
                break;
            seen_word |= !blank;
            --m_write;
        }
        if ((m_settings.local_flags & abi::k_echo) != 0)
            add(effect, byte == keys[abi::k_vkill] ? "^U\r\n" : "^W");
        return effect;
    }
    if (byte != 0 && byte == keys[abi::k_veof]) {
        // Ends a line without newline; on an empty one it is the end of the file.
        at(m_write++) = k_end_of_file;
        m_committed = m_write;
        return effect;
    }
    const bool ends_line = byte == '\n' || (byte != 0 && byte == keys[abi::k_veol]);
    // The last place is kept for the end of the line.
    if (is_full() || (!ends_line && m_write - m_read >= k_capacity - 3))
        return effect;
    at(m_write++) = byte;
    if (ends_line)
        m_committed = m_write;
    echo(effect, byte);
    return effect;
}

usize LineDiscipline::available() const
{
    usize count = 0;
    for (u32 position = m_read; position != m_committed; ++position)
        count += at(position) != k_end_of_file;
    return count;
}

usize LineDiscipline::read(std::span<u8> buffer)
{
    usize count = 0;
    while (count < buffer.size() && m_read != m_committed) {
        const u16 byte = at(m_read++);
        if (byte == k_end_of_file)
            break;
        buffer[count++] = static_cast<u8>(byte);
        if (!is_canonical())
            continue;
        if (byte == '\n' || (byte != 0 && byte == m_settings.characters[abi::k_veol]))
            break;
        // ^D right after the last byte ended that line; it isn't an end of file as well.
        if (count == buffer.size() && m_read != m_committed && at(m_read) == k_end_of_file)
            ++m_read;
    }
    return count;
}

} // namespace eremite
