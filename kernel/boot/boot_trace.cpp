#include "boot/boot_trace.h"

#include "arch/clock.h"
#include "arch/cpu.h"
#include "base/format.h"
#include "boot/boot_info.h"
#include "device/console.h"

namespace eremite {

namespace {

struct Entry {
    const char* stage;
    u64 cycles;
};
constinit std::array<Entry, 32> s_entries {};
constinit usize s_count = 0;

class ConsoleSink final : public TextSink {
public:
    void write(std::string_view text) override { console().write(text); }
};

} // namespace

void boot_trace(const char* stage)
{
    if (s_count < s_entries.size())
        s_entries[s_count++] = { stage, arch::cycle_counter() };
}

void print_boot_trace()
{
    ConsoleSink sink;
    u64 start = boot_info().entry_cycles;
    u64 total = arch::cycle_counter() - start;
    const bool has_clock = ER_HAS_PART(clock); // without one, nobody knows how long a cycle takes
    auto microseconds = has_clock ? static_cast<u64>(ER_PART(clock).now().microseconds()) : 0;
    // Arguments that are left over are left out.
    const std::string_view line = has_clock ? "boot: {:12} {:12}  {}, {} us\n" : "boot: {:12} {:12}  {}\n";
    u64 previous = start;
    format_to(sink, "boot: cycles since entry, of the stage\n");
    for (const Entry& entry : std::span(s_entries).first(s_count)) {
        u64 cycles = entry.cycles - previous;
        format_to(
            sink, line, entry.cycles - start, cycles, entry.stage, total == 0 ? 0 : cycles * microseconds / total);
        previous = entry.cycles;
    }
}

} // namespace eremite
