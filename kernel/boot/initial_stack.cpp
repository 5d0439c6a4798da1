#include "boot/initial_stack.h"

#include "arch/platform.h"
#include "boot/image.h"
#include "boot/options.h"
#include "random/random.h"
#include "syscall/user_pointer.h"

#include <algorithm>
#include <array>

namespace eremite {

namespace {

/// uapi/linux/auxvec.h
enum Auxiliary : u64 {
    AtNull = 0,
    AtPhdr = 3,
    AtPhent = 4,
    AtPhnum = 5,
    AtPagesz = 6,
    AtBase = 7,
    AtFlags = 8,
    AtEntry = 9,
    AtUid = 11,
    AtEuid = 12,
    AtGid = 13,
    AtEgid = 14,
    AtPlatform = 15,
    AtHwcap = 16,
    AtClktck = 17,
    AtSecure = 23,
    AtRandom = 25,
    AtHwcap2 = 26,
    AtExecfn = 31,
    AtMinsigstksz = 51,
};

/// Fills the stack from its end downwards; keeps the first error.
class Writer {
public:
    explicit Writer(VirtualRange stack)
        : m_position(stack.end().value())
        , m_lowest(stack.start.value() + stack.length / 4 * 3)
    {
    }

    u64 push_bytes(const void* bytes, usize size)
    {
        if (size > m_position - m_lowest) {
            fail(Errno::E2BIG);
            return m_position;
        }
        m_position -= size;
        store(m_position, bytes, size);
        return m_position;
    }

    u64 push_text(std::string_view text)
    {
        constexpr char end = '\0';
        push_bytes(&end, 1);
        return push_bytes(text.data(), text.size());
    }

    /// Makes room for words, to be written in ascending order by word(), so that they end 16-byte aligned.
    void reserve_words(usize count)
    {
        u64 start = (m_position - count * sizeof(u64)) & ~u64 { 15 };
        if (count > 1_MiB || start < m_lowest)
            fail(Errno::E2BIG);
        else
            m_position = start;
        m_next = m_position;
    }
    void word(u64 value)
    {
        store(m_next, &value, sizeof(value));
        m_next += sizeof(value);
    }

    u64 position() const { return m_position; }
    Errno error() const { return m_error; }

private:
    void fail(Errno error)
    {
        if (m_error == Errno {})
            m_error = error;
    }
    void store(u64 address, const void* bytes, usize size)
    {
        if (m_error != Errno {} || size == 0)
            return;
        if (auto result = copy_to_user(address, bytes, size); result.is_error())
            fail(result.error());
    }

    u64 m_position;
    u64 m_lowest;
    u64 m_next { 0 };
    Errno m_error {};
};

std::string_view program_name()
{
    return boot_option("argv0").value_or("app");
}

} // namespace

Result<u64> write_initial_stack(VirtualRange stack, u64 entry)
{
    Writer writer(stack);
    arch::ProcessorFacts facts = arch::processor_facts();
    const CommandLine& command_line = boot_command_line();

    u64 executable = writer.push_text(program_name());
    u64 platform = writer.push_text(facts.platform);
    // Packed as they are, words and NULs; where each begins is found again below.
    u64 environment = writer.position();
    usize argument_count = 0;
    usize environment_count = 0;
    for_each_boot_option("env", [&](std::string_view value) {
        writer.push_text(value);
        ++environment_count;
    });
    u64 arguments = writer.push_bytes(command_line.arguments.data(), command_line.arguments.size());
    for_each_word(command_line.arguments, [&](std::string_view) { ++argument_count; });

    std::array<u8, 16> random;
    random_fill(random);
    u64 random_bytes = writer.push_bytes(random.data(), random.size());

    const std::array<u64, 2 * 20> auxiliary { AtPhdr, reinterpret_cast<u64>(__eremite_program_headers), AtPhent,
        k_program_header_size, AtPhnum, k_program_header_count, AtPagesz, k_page_size, //
        AtBase, 0, AtFlags, 0, AtEntry, entry, AtUid, 0, AtEuid, 0, AtGid, 0, AtEgid, 0, AtPlatform, platform, //
        AtHwcap, facts.capabilities, AtHwcap2, facts.capabilities2, AtClktck, 100, AtSecure, 0, //
        AtRandom, random_bytes, AtExecfn, executable, AtMinsigstksz, facts.minimum_signal_stack, AtNull, 0 };
    writer.reserve_words(1 + 1 + argument_count + 1 + environment_count + 1 + auxiliary.size());
    writer.word(1 + argument_count);
    writer.word(executable);
    for_each_word(command_line.arguments, [&](std::string_view word) {
        writer.word(arguments);
        arguments += word.size() + 1;
    });
    writer.word(0);
    for_each_boot_option("env", [&](std::string_view value) {
        environment -= value.size() + 1;
        writer.word(environment);
    });
    writer.word(0);
    for (u64 value : auxiliary)
        writer.word(value);
    if (writer.error() != Errno {})
        return writer.error();
    return writer.position();
}

} // namespace eremite
