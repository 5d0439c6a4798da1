// Time by the TSC. Its rate is told by the hypervisor or the processor; where neither does (QEMU's TCG), it is measured
// against the PIT from the first instruction on, without waiting: a rough rate first, and better ones as time goes by.
#include "arch/clock.h"

#include "arch/cpu.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/io.h"
#include "boot/boot_info.h"
#include "boot/image.h"
#include "sync/seq_lock.h"

#include <algorithm>
#include <atomic>

namespace eremite::arch {

namespace {

constexpr u64 k_second = 1'000'000'000;
constexpr u64 k_pit_rate = 1'193'182;
constexpr u16 k_pit_counter0 = 0x40;
constexpr u16 k_pit_control = 0x43;

constinit SeqLocked<ClockConversion> s_conversion;
constinit std::atomic<void (*)()> s_listener { nullptr };

/// The measurement against the PIT.
struct Reference {
    u64 tsc { 0 }; // at the start
    u64 last_tsc { 0 };
    u64 ticks { 0 }; // of the PIT since the start
    u16 last_count { 0 };
};
constinit Reference s_reference;
constinit std::atomic<bool> s_refining { false };

/// Layout of MSR_KVM_SYSTEM_TIME_NEW's page (Linux, Documentation/virt/kvm/x86/msr.rst).
struct alignas(64) KvmClock {
    u32 version;
    u32 padding;
    u64 tsc;
    u64 system_time;
    u32 multiplier;
    i8 shift;
    u8 flags;
    u8 padding2[2];
};
struct alignas(64) KvmWallClock {
    u32 version;
    u32 seconds;
    u32 nanoseconds;
};
constinit KvmClock s_kvm_clock {};
constinit KvmWallClock s_kvm_wall_clock {};
constexpr u32 k_msr_kvm_wall_clock = 0x4b564d00;
constexpr u32 k_msr_kvm_system_time = 0x4b564d01;

u64 physical_of(const void* object)
{
    return boot_info().image.start.value() + (reinterpret_cast<u64>(object) - image_base().value());
}

bool have_kvm_clock()
{
    if ((cpuid(1).ecx & (1u << 31)) == 0)
        return false;
    CpuId signature = cpuid(0x40000000);
    return signature.ebx == 0x4b4d564b && signature.ecx == 0x564b4d56 && signature.edx == 0x4d
        && (cpuid(0x40000001).eax & (1u << 3)) != 0;
}

/// (high, low) / divisor; all ones if the quotient doesn't fit. One instruction: the compiler would call a library.
u64 divide(u64 high, u64 low, u64 divisor)
{
    if (high >= divisor)
        return ~u64 { 0 };
    asm("divq %2" : "+a"(low), "+d"(high) : "r"(divisor) : "cc");
    return low;
}

/// a * b / c, the product in 128 bits; all ones if the quotient doesn't fit.
u64 multiply_divide(u64 a, u64 b, u64 c)
{
    u64 low;
    u64 high;
    asm("mulq %3" : "=a"(low), "=d"(high) : "0"(a), "r"(b) : "cc");
    return divide(high, low, c);
}

/// The multiplier that KVM would have us use; 0 if it doesn't say.
u64 kvm_multiplier()
{
    if (!have_kvm_clock())
        return 0;
    write_msr(k_msr_kvm_system_time, physical_of(&s_kvm_clock) | 1);
    auto* clock = const_cast<volatile KvmClock*>(&s_kvm_clock);
    u64 multiplier = clock->multiplier;
    i8 shift = clock->shift;
    write_msr(k_msr_kvm_system_time, 0);
    // Nanoseconds in 32.32.
    multiplier = shift >= 0 ? multiplier << shift : multiplier >> -shift;
    return multiply_divide(multiplier, u64 { 1 } << 32, k_second);
}

/// Hz, or 0.
u64 told_rate()
{
    if ((cpuid(1).ecx & (1u << 31)) != 0 && cpuid(0x40000000).eax >= 0x40000010) {
        if (u32 kilohertz = cpuid(0x40000010).eax)
            return u64 { kilohertz } * 1000;
    }
    u32 leaves = cpuid(0).eax;
    if (leaves >= 0x15) {
        CpuId ratio = cpuid(0x15);
        if (ratio.eax != 0 && ratio.ebx != 0 && ratio.ecx != 0)
            return u64 { ratio.ecx } * ratio.ebx / ratio.eax;
    }
    if (leaves >= 0x16) {
        if (u32 megahertz = cpuid(0x16).eax & 0xffff)
            return u64 { megahertz } * 1'000'000;
    }
    return 0;
}

/// The PIT's counter and the TSC at one moment. A virtual processor may lose its own between the two: the closest pair
/// of a few is taken.
struct Moment {
    u64 tsc { 0 };
    u16 count { 0 };
};
Moment read_moment()
{
    Moment best;
    u64 closest = ~u64 { 0 };
    for (int i = 0; i < 4 && closest > 20'000; ++i) {
        u64 before = cycle_counter();
        out8(k_pit_control, 0x00); // latch counter 0
        u64 after = cycle_counter();
        u16 low = in8(k_pit_counter0);
        auto count = static_cast<u16>(low | in8(k_pit_counter0) << 8);
        if (after - before < closest) {
            closest = after - before;
            best = { before + closest / 2, count };
        }
    }
    return best;
}

u64 multiplier_of(u64 rate)
{
    return ~u64 { 0 } / rate;
}

/// `conversion` from `cycles` on, where it is not less than `nanoseconds`.
ClockConversion conversion_from(u64 cycles, u64 nanoseconds, u64 multiplier, u64 valid_for)
{
    return {
        .base_cycles = cycles,
        .valid_for = valid_for,
        .multiplier = multiplier,
        .base_seconds = nanoseconds / k_second,
        .base_fraction = nanoseconds % k_second == 0 ? 0 : divide(nanoseconds % k_second, 0, k_second) + 1,
    };
}

u64 convert(const ClockConversion& conversion, u64 tsc)
{
    // Another processor's counter may be a little behind the one that set the base.
    u64 cycles = tsc < conversion.base_cycles ? 0 : tsc - conversion.base_cycles;
    return static_cast<u64>(conversion.at(cycles).value());
}

/// Brings the reference up to now. `rate` (Hz, 0: unknown) tells how often the PIT has come round since.
void advance_reference(u64 rate)
{
    auto [tsc, count] = read_moment();
    u64 ticks = static_cast<u16>(s_reference.last_count - count); // it counts down
    if (rate != 0) {
        u64 expected = multiply_divide(tsc - s_reference.last_tsc, k_pit_rate, rate);
        if (expected > ticks)
            ticks += (expected - ticks + 0x8000) & ~u64 { 0xffff };
    }
    s_reference.ticks += ticks;
    s_reference.last_tsc = tsc;
    s_reference.last_count = count;
}

u64 measured_rate()
{
    return multiply_divide(s_reference.last_tsc - s_reference.tsc, k_pit_rate, std::max<u64>(s_reference.ticks, 1));
}

[[clang::minsize]] void refine()
{
    bool enabled = disable_interrupts();
    if (!s_refining.exchange(true, std::memory_order_acquire)) {
        ClockConversion conversion = s_conversion.read();
        advance_reference(~u64 { 0 } / conversion.multiplier);
        u64 rate = measured_rate();
        u64 elapsed = s_reference.last_tsc - s_reference.tsc;
        u64 truth = multiply_divide(s_reference.ticks, k_second, k_pit_rate);
        // Never backwards.
        u64 base = std::max(convert(conversion, s_reference.last_tsc), truth);
        // Each is some four times better than the one before, so that the PIT's rounds in between can be counted; after
        // a minute it is as good as the PIT is.
        u64 valid_for = elapsed > 60 * rate ? ~u64 { 0 } : elapsed * 3;
        s_conversion.write(conversion_from(s_reference.last_tsc, base, multiplier_of(rate), valid_for));
        if (auto listener = s_listener.load(std::memory_order_acquire))
            listener();
        s_refining.store(false, std::memory_order_release);
    }
    if (enabled)
        enable_interrupts();
}

} // namespace

void start_clock_reference()
{
    // Counter 0, both bytes, mode 2 (rate generator), from 65536.
    out8(k_pit_control, 0x34);
    out8(k_pit_counter0, 0);
    out8(k_pit_counter0, 0);
    auto [tsc, count] = read_moment();
    s_reference = { .tsc = tsc, .last_tsc = tsc, .ticks = 0, .last_count = count };
}

[[clang::minsize]] void initialize_clock()
{
    u64 start = boot_info().entry_cycles;
    u64 multiplier = kvm_multiplier();
    u64 valid_for = ~u64 { 0 };
    if (multiplier == 0) {
        if (u64 rate = told_rate())
            multiplier = multiplier_of(rate);
    }
    if (multiplier == 0) {
        // Some hundred ticks have gone by since entry: good to a per mille or so.
        do
            advance_reference(0);
        while (s_reference.ticks < 100 && cycle_counter() - s_reference.tsc < 10'000'000);
        u64 rate = s_reference.ticks < 100 ? k_second : measured_rate();
        multiplier = multiplier_of(rate);
        if (s_reference.ticks >= 100)
            valid_for = s_reference.tsc + (s_reference.last_tsc - s_reference.tsc) * 4 - start;
    }
    s_conversion.write({ .base_cycles = start, .valid_for = valid_for, .multiplier = multiplier });
}

Nanoseconds now()
{
    ER_NEEDS(clock);
    u64 tsc = cycle_counter();
    ClockConversion conversion = s_conversion.read();
    if (tsc - conversion.base_cycles >= conversion.valid_for) [[unlikely]] {
        if (tsc >= conversion.base_cycles) {
            refine();
            conversion = s_conversion.read();
        }
        return Nanoseconds(static_cast<i64>(convert(conversion, tsc)));
    }
    return conversion.at(tsc - conversion.base_cycles);
}

ClockConversion clock_conversion()
{
    ER_NEEDS(clock);
    return s_conversion.read();
}

void set_clock_listener(void (*listener)())
{
    s_listener.store(listener, std::memory_order_release);
}

u64 counter_at(Nanoseconds time)
{
    ER_NEEDS(clock);
    ClockConversion conversion = s_conversion.read();
    u64 wanted = static_cast<u64>(std::max<i64>(time.value(), 0));
    u64 base = static_cast<u64>(conversion.at(0).value());
    if (wanted <= base)
        return conversion.base_cycles;
    wanted -= base;
    u64 cycles = divide(wanted / k_second, divide(wanted % k_second, 0, k_second), conversion.multiplier);
    return cycles > (u64 { 1 } << 62) ? ~u64 { 0 } : conversion.base_cycles + cycles + 1;
}

namespace {

u8 read_rtc(u8 index)
{
    out8(0x70, index);
    return in8(0x71);
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
i64 days_from_civil(i64 year, i64 month, i64 day)
{
    // Years begin in March, so that the leap day is the last.
    year -= month <= 2;
    i64 era = year / 400;
    i64 year_of_era = year % 400;
    i64 day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    i64 day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct RtcTime {
    u8 second, minute, hour, day, month, year;
    bool operator==(const RtcTime&) const = default;
};

/// MC146818; 0 if there is none.
i64 rtc_seconds()
{
    if (read_rtc(0x0a) == 0xff || (read_rtc(0x0d) & 0x80) == 0)
        return 0;
    RtcTime before {};
    RtcTime time {};
    // Two equal readings were not torn by the update.
    for (int i = 0; i < 100; ++i) {
        before = time;
        time = { read_rtc(0), read_rtc(2), read_rtc(4), read_rtc(7), read_rtc(8), read_rtc(9) };
        if (i > 0 && time == before)
            break;
    }
    u8 mode = read_rtc(0x0b);
    auto value = [&](u8 raw) { return static_cast<i64>((mode & 4) != 0 ? raw : (raw >> 4) * 10 + (raw & 15)); };
    i64 hour = value(time.hour & 0x7f);
    if ((mode & 2) == 0)
        hour = hour % 12 + ((time.hour & 0x80) != 0 ? 12 : 0);
    i64 days = days_from_civil(2000 + value(time.year), value(time.month), value(time.day));
    return days * 86400 + hour * 3600 + value(time.minute) * 60 + value(time.second);
}

} // namespace

i64 boot_wall_seconds()
{
    if (k_may_write_model_registers && have_kvm_clock()) {
        // KVM tells the wall time at which its system time, and about our boot, was 0.
        write_msr(k_msr_kvm_wall_clock, physical_of(&s_kvm_wall_clock));
        auto* clock = const_cast<volatile KvmWallClock*>(&s_kvm_wall_clock);
        if (clock->seconds != 0)
            return clock->seconds;
    }
    i64 seconds = rtc_seconds();
    return seconds == 0 ? 0 : seconds - now().seconds();
}

ER_DEFINE_PART(ClockPart, clock, initialize_clock, now)

} // namespace eremite::arch
