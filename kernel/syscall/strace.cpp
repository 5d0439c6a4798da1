#include "syscall/strace.h"

#include "abi/fs.h"
#include "base/component.h"
#include "base/format.h"
#include "boot/options.h"
#include "device/console.h"
#include "sched/thread.h"
#include "syscall/gate.h"
#include "syscall/user_pointer.h"

#include <algorithm>

namespace eremite {

namespace {

constexpr usize k_max_text = 32; // of a string or buffer, as strace's default

class TracedCall {
public:
    TracedCall(TextSink& sink, const SyscallRecord& record, std::span<const long, 6> arguments)
        : m_sink(sink)
        , m_record(record)
        , m_arguments(arguments)
    {
    }

    void print_call()
    {
        if (current().tid() != 1)
            format_to(m_sink, "[pid {}] ", current().tid());
        format_to(m_sink, "{}(", m_record.name());
        std::string_view kinds = m_record.format();
        for (usize i = 0; i < m_record.arity && i < kinds.size(); ++i) {
            if (i > 0)
                m_sink.write(", ");
            print_argument(kinds[i], i);
        }
        m_sink.write(")");
    }

    void print_result(long result)
    {
        if (result < 0 && result >= -4095) {
            auto error = static_cast<Errno>(-result);
            format_to(m_sink, " = -1 {} ({})\n", error, description_of(error));
        } else if (result >= 0x1'0000'0000) {
            format_to(m_sink, " = {:x}\n", result);
        } else {
            format_to(m_sink, " = {}\n", result);
        }
    }

private:
    void print_argument(char kind, usize index)
    {
        auto value = static_cast<u64>(m_arguments[index]);
        switch (kind) {
        case 'd':
            return format_to(m_sink, "{}", static_cast<i32>(value));
        case 'u':
            return format_to(m_sink, "{}", value);
        case 'l':
            return format_to(m_sink, "{}", static_cast<i64>(value));
        case 'o':
            return print_octal(value);
        case 's':
            return print_text(value, k_max_text + 1, true);
        case 'b':
            return print_text(value, index + 1 < 6 ? static_cast<u64>(m_arguments[index + 1]) : 0, false);
        case 'D':
            if (static_cast<i32>(value) == -100)
                return m_sink.write("AT_FDCWD");
            return format_to(m_sink, "{}", static_cast<i32>(value));
        case 'F':
            return print_open_flags(value);
        case 'm':
            return print_protection(value);
        case 'p':
            if (value == 0)
                return m_sink.write("NULL");
            [[fallthrough]];
        default:
            return format_to(m_sink, "{:x}", value);
        }
    }

    void print_octal(u64 value)
    {
        std::array<char, 24> digits;
        usize position = digits.size();
        do {
            digits[--position] = static_cast<char>('0' + (value & 7));
            value >>= 3;
        } while (value != 0);
        if (digits[position] != '0')
            m_sink.write("0");
        m_sink.write({ &digits[position], digits.size() - position });
    }

    void print_text(u64 address, u64 length, bool ends_at_nul)
    {
        if (address == 0)
            return m_sink.write("NULL");
        m_sink.write("\"");
        bool cut = length > k_max_text;
        for (usize i = 0; i < std::min<u64>(length, k_max_text); ++i) {
            u8 byte;
            if (copy_from_user(&byte, address + i, 1).is_error()) {
                cut = i == 0;
                break;
            }
            if (ends_at_nul && byte == 0) {
                cut = false;
                break;
            }
            print_character(byte);
        }
        m_sink.write(cut ? "\"..." : "\"");
    }

    void print_character(u8 byte)
    {
        constexpr std::string_view special = "\n\t\r\"\\";
        constexpr std::string_view letters = "ntr\"\\";
        if (usize position = special.find(static_cast<char>(byte)); position != std::string_view::npos) {
            const std::array<char, 2> escape { '\\', letters[position] };
            m_sink.write({ escape.data(), escape.size() });
        } else if (byte >= 0x20 && byte < 0x7f) {
            char c = static_cast<char>(byte);
            m_sink.write({ &c, 1 });
        } else {
            m_sink.write("\\");
            if (byte == 0)
                m_sink.write("0");
            else
                print_octal_digits(byte);
        }
    }

    void print_octal_digits(u8 byte)
    {
        const std::array<char, 3> digits { static_cast<char>('0' + (byte >> 6)),
            static_cast<char>('0' + ((byte >> 3) & 7)), static_cast<char>('0' + (byte & 7)) };
        usize skip = byte >= 0100 ? 0 : byte >= 010 ? 1 : 2;
        m_sink.write(std::string_view(digits.data(), digits.size()).substr(skip));
    }

    struct Flag {
        u32 value;
        char name[12]; // in place: nothing to relocate
    };

    void print_flags(u64 value, std::span<const Flag> flags, bool first)
    {
        for (const Flag& flag : flags) {
            if (flag.value == 0 || (value & flag.value) != flag.value)
                continue;
            if (!first)
                m_sink.write("|");
            m_sink.write(&flag.name[0]);
            first = false;
            value &= ~u64 { flag.value };
        }
        if (value != 0)
            format_to(m_sink, first ? "{:x}" : "|{:x}", value);
    }

    void print_open_flags(u64 value)
    {
        constexpr std::array<std::string_view, 3> k_modes { "O_RDONLY", "O_WRONLY", "O_RDWR" };
        static constexpr std::array<Flag, 11> k_flags { { { 0100, "O_CREAT" }, { 0200, "O_EXCL" }, { 0400, "O_NOCTTY" },
            { 01000, "O_TRUNC" }, { 02000, "O_APPEND" }, { 04000, "O_NONBLOCK" }, { 02000000, "O_CLOEXEC" },
            { abi::native::k_o_directory, "O_DIRECTORY" }, { abi::native::k_o_nofollow, "O_NOFOLLOW" },
            { abi::native::k_o_largefile, "O_LARGEFILE" }, { 010000000, "O_PATH" } } };
        m_sink.write(k_modes[std::min<u64>(value & 3, 2)]);
        print_flags(value & ~u64 { 3 }, k_flags, false);
    }

    void print_protection(u64 value)
    {
        static constexpr std::array<Flag, 3> k_flags { { { 1, "PROT_READ" }, { 2, "PROT_WRITE" },
            { 4, "PROT_EXEC" } } };
        if (value == 0)
            m_sink.write("PROT_NONE");
        else
            print_flags(value, k_flags, true);
    }

    TextSink& m_sink;
    const SyscallRecord& m_record;
    std::span<const long, 6> m_arguments;
};

bool never_returns(std::string_view name)
{
    return name == "exit" || name == "exit_group" || name == "unmapself";
}

} // namespace

namespace {

/// On the boot processor, before there are others: they take over what is pending here.
Result<> init_strace()
{
    if (boot_option("strace"))
        arch::this_cpu().pending.fetch_or(arch::k_pending_trace);
    return {};
}

} // namespace

ER_COMPONENT(strace, Stage::Late, init_strace);

} // namespace eremite

using namespace eremite;

void __eremite_trace_enter(const SyscallRecord* record, const long* arguments)
{
    if (!never_returns(record->name()))
        return;
    std::array<char, 128> line;
    BufferSink sink(line);
    TracedCall(sink, *record, std::span<const long, 6>(arguments, 6)).print_call();
    sink.write(" = ?\n");
    console().write(sink.text());
}

void __eremite_trace_exit(const SyscallRecord* record, const long* arguments, long result)
{
    if (!is_traced())
        return;
    std::array<char, 512> line;
    BufferSink sink(line);
    TracedCall call(sink, *record, std::span<const long, 6>(arguments, 6));
    call.print_call();
    call.print_result(result);
    console().write(sink.text());
}
