#include "arch/context.h"

#include "arch/x86_64/cpu_state.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/key_sites.h"
#include "arch/x86_64/rights.h"

extern "C" {
void __eremite_switch_stacks(eremite::u64* from, eremite::u64 to);
void __eremite_context_start();
[[noreturn]] void __eremite_enter_application(eremite::u64 entry, eremite::u64 stack_pointer, eremite::u64 argument);
}

namespace eremite::arch {

namespace {

/// What __eremite_switch_stacks pops.
struct SwitchFrame {
#if EREMITE_ISOLATION == 2
    u64 rights { 0 };
#endif
    u32 mxcsr { 0x1f80 };
    u16 x87_control { 0x37f };
    u16 padding { 0 };
    u64 r15 { 0 }, r14 { 0 }, r13 { 0 }, r12 { 0 }, rbx { 0 }, rbp { 0 };
    u64 return_address { 0 };
};

constexpr usize k_fxsave_size = 512;

struct VectorFormat {
    bool xsave { false };
    bool xsaveopt { false };
    u32 size { 0 }; // 0: not asked yet
    u64 mask { 0 };
};
constinit VectorFormat s_format;

const VectorFormat& vector_format()
{
    if (s_format.size == 0) {
        VectorFormat format { .size = k_fxsave_size };
        if ((read_cr4() & k_cr4_osxsave) != 0) {
            format.xsave = true;
            format.xsaveopt = (cpuid(0xd, 1).eax & 1) != 0;
            format.size = cpuid(0xd, 0).ebx;
            format.mask = vector_state_mask();
        }
        s_format = format;
    }
    return s_format;
}

} // namespace

u64 vector_state_mask()
{
    // x87, SSE, AVX, AVX-512, PKRU (bit 9): MPX and AMX stay off, the latter for its size.
    CpuId state = cpuid(0xd, 0);
    u64 supported = state.eax | static_cast<u64>(state.edx) << 32;
    u64 mask = supported & 0x7;
    if ((supported & 0xe4) == 0xe4)
        mask |= 0xe0;
    return mask;
}

void switch_context(Context& from, Context& to)
{
    __eremite_switch_stacks(&from.stack_pointer, to.stack_pointer);
}

void prepare_context(Context& context, u64 stack_top, void (*entry)(void*), void* argument)
{
    // __eremite_context_start calls with the stack aligned.
    u64 address = stack_top - 16 - sizeof(SwitchFrame);
    SwitchFrame frame;
#if EREMITE_ISOLATION == 2
    frame.rights = keys_are_on() ? read_rights() : 0;
#endif
    frame.rbx = reinterpret_cast<u64>(entry);
    frame.r12 = reinterpret_cast<u64>(argument);
    frame.return_address = reinterpret_cast<u64>(&__eremite_context_start);
    *reinterpret_cast<SwitchFrame*>(address) = frame;
    context.stack_pointer = address;
}

u64 active_vector_state()
{
    return vector_format().mask;
}

usize vector_state_size()
{
    return vector_format().size;
}

void save_vector_state(void* area)
{
    const VectorFormat& format = vector_format();
    if (format.xsaveopt)
        asm volatile("xsaveopt64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else if (format.xsave)
        asm volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

void restore_vector_state(const void* area)
{
    if (vector_format().xsave)
        asm volatile(ER_KEY_SITE(checked) "xrstor64 (%0)" ER_ONLY_KERNEL
            :
            : "r"(area), "a"(~0u), "d"(~0u)
            : "memory", "cc");
    else
        asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

void initialize_vector_state(void* area)
{
    __builtin_memset(area, 0, vector_state_size());
    // An XSAVE header of zeros means initial state in every component; control words count all the same.
    auto* bytes = static_cast<u8*>(area);
    u16 x87_control = 0x37f;
    u32 mxcsr = 0x1f80;
    std::span<u8> legacy(bytes, k_fxsave_size);
    __builtin_memcpy(legacy.data(), &x87_control, sizeof(x87_control));
    __builtin_memcpy(legacy.subspan(24).data(), &mxcsr, sizeof(mxcsr));
}

void enter_application(u64 entry, u64 stack_pointer, u64 argument)
{
    __eremite_enter_application(entry, stack_pointer, argument);
}

} // namespace eremite::arch
