// What becomes of typed bytes before a program reads them: line editing, echo, and the keys that send signals.
// A plain object without lock or device, so that it is tested on the host; ConsoleFile puts it behind both.
#pragma once

#include "abi/termios.h"
#include "base/types.h"
#include <array>
#include <span>
#include <string_view>

namespace eremite {

class LineDiscipline {
public:
    /// What a typed byte asks of the caller.
    struct Effect {
        std::array<char, 8> echo {};
        u8 echo_length { 0 };
        int signal { 0 }; // SIGINT, SIGQUIT, or 0
        std::string_view text() const { return { echo.data(), echo_length }; }
    };

    constexpr LineDiscipline()
        : m_settings {
            .input_flags = abi::k_icrnl,
            .output_flags = 0,
            .control_flags = abi::k_b38400 | abi::k_cs8 | abi::k_cread,
            .local_flags
            = abi::k_isig | abi::k_icanon | abi::k_echo | abi::k_echoe | abi::k_echok | abi::k_echoctl | abi::k_iexten,
            .line = 0,
            .characters = { 3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0 },
        }
    {
    }

    const abi::Termios& settings() const { return m_settings; }
    /// Changes take effect for what is typed from now on; a line in the making becomes readable when editing ends.
    void set_settings(const abi::Termios& settings);
    bool is_canonical() const { return (m_settings.local_flags & abi::k_icanon) != 0; }

    /// Takes one byte from the keyboard. When the queue is full the byte is lost, as on Linux.
    Effect type(u8 byte);

    /// Whether read() would give something (end of file included).
    bool is_readable() const { return m_read != m_committed; }
    /// Bytes before the next end of line or end of file, or all.
    usize available() const;
    /// At most a line in canonical mode. 0: end of file was typed, or nothing is there.
    usize read(std::span<u8> buffer);
    /// How many bytes type() takes before any is lost, without line editing.
    usize room() const { return k_capacity - 1 - (m_write - m_read); }
    /// Forgets what was typed and not read.
    void flush() { m_read = m_committed = m_write; }

private:
    static constexpr u32 k_capacity = 4096;
    static constexpr u16 k_end_of_file = 0x100;

    u16& at(u32 position) { return m_queue[position % k_capacity]; }
    u16 at(u32 position) const { return m_queue[position % k_capacity]; }
    bool is_full() const { return m_write - m_read >= k_capacity - 1; }
    void erase(Effect& effect);
    void echo(Effect& effect, u8 byte) const;

    abi::Termios m_settings;
    std::array<u16, k_capacity> m_queue {};
    // Positions only grow: [m_read, m_committed) can be read, [m_committed, m_write) is being edited.
    u32 m_read { 0 };
    u32 m_committed { 0 };
    u32 m_write { 0 };
};

} // namespace eremite
