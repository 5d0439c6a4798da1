// Signal frames as Linux lays them out (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h).
#include "arch/signal.h"

#include "arch/context.h"
#include "arch/x86_64/cpu_state.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/rights.h"
#include "base/assert.h"
#include "syscall/user_pointer.h"

#include <algorithm>
#include <array>

extern "C" {
#pragma GCC visibility push(hidden)
void __eremite_restore_rt();
void __eremite_gate_again();
// Straight to and from the application's memory; false if that faults (user_copy.S).
bool __eremite_save_vectors_user(void* area, bool xsave);
bool __eremite_restore_vectors_user(const void* area, bool xsave);
#pragma GCC visibility pop
}

namespace eremite::arch {

namespace {

struct SignalContext {
    std::array<u64, 8> r8_to_r15 {};
    u64 rdi { 0 }, rsi { 0 }, rbp { 0 }, rbx { 0 }, rdx { 0 }, rax { 0 }, rcx { 0 }, rsp { 0 }, rip { 0 }, rflags { 0 };
    u16 cs { k_kernel_code }, gs { 0 }, fs { 0 }, ss { k_kernel_data };
    u64 error_code { 0 }, trap { 0 }, old_mask { 0 }, cr2 { 0 };
    u64 vector_state { 0 };
    std::array<u64, 8> reserved {};
};
static_assert(sizeof(SignalContext) == 256);

struct UserContext {
    u64 flags { 0 };
    u64 link { 0 };
    u64 stack { 0 };
    i32 stack_flags { 0 };
    u32 padding { 0 };
    u64 stack_size { 0 };
    SignalContext context;
    u64 mask { 0 };
};
static_assert(sizeof(UserContext) == 304);

constexpr usize k_information_size = 128;

struct Frame {
    u64 restorer { 0 };
    UserContext user;
    std::array<u8, k_information_size> information {};
};
static_assert(sizeof(Frame) == 440);

constexpr u64 k_red_zone = 128;
constexpr u64 k_direction_flag = 1u << 10;
constexpr u64 k_trap_flag = 1u << 8;
/// AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF: what an application may set.
constexpr u64 k_application_flags = 0x50dd5;

constexpr usize k_legacy_size = 512;
constexpr u32 k_magic1 = 0x46505853;
constexpr u32 k_magic2 = 0x46505845;
/// Where Linux describes the area, in bytes of FXSAVE's that software may use.
constexpr usize k_description = 464;
struct Description {
    u32 magic { k_magic1 };
    u32 extended_size { 0 };
    u64 features { 0 };
    u32 size { 0 };
};

/// Room for the vector state on the stack: AVX-512's is 2688 bytes.
struct alignas(64) VectorArea {
    std::array<u8, 2816> bytes; // as yet

    std::span<u8> used() { return std::span(bytes).first(vector_state_size()); }
    template<typename T> void put(usize offset, const T& value)
    {
        __builtin_memcpy(std::span(bytes).subspan(offset, sizeof(T)).data(), &value, sizeof(T));
    }
    template<typename T> T get(usize offset) const
    {
        T value;
        __builtin_memcpy(&value, std::span(bytes).subspan(offset, sizeof(T)).data(), sizeof(T));
        return value;
    }
};

bool has_xsave()
{
    return vector_state_size() > k_legacy_size;
}

#if EREMITE_ISOLATION == 2
/// Linux has PKRU in the XSAVE area, as the processor would put it there. XCR0 doesn't name it, so that no XRSTOR
/// changes it: the kernel moves it by hand.
constexpr u64 k_rights_component = u64 { 1 } << 9;

u32 rights_offset()
{
    return cpuid(0xd, 9).ebx;
}
/// Up to where the area in a signal frame goes.
usize area_size()
{
    return keys_are_on() && has_xsave() ? rights_offset() + sizeof(u64) : vector_state_size();
}
#else
usize area_size()
{
    return vector_state_size();
}
#endif

bool push_vector_state(u64 address, usize size, [[maybe_unused]] const TrapFrame& frame)
{
    constexpr usize header_size = 64;
    const bool xsave = has_xsave();
    if (!is_application_range(address, size + sizeof(k_magic2)))
        return false;
    // XSAVE changes the header in part only, and the part of FXSAVE's area that is software's not at all.
    if (xsave && UserBytes(address + k_legacy_size, header_size).clear().is_error())
        return false;
    if (!__eremite_save_vectors_user(reinterpret_cast<void*>(address), xsave))
        return false;
    u64 features = active_vector_state();
#if EREMITE_ISOLATION == 2
    if (size != vector_state_size()) {
        features |= k_rights_component;
        UserPointer<u64> header(address + k_legacy_size);
        auto saved = header.read();
        if (saved.is_error() || header.write(saved.value() | k_rights_component).is_error()
            || UserPointer<u64>(address + rights_offset()).write(frame.rights).is_error())
            return false;
    }
#endif
    Description description { .magic = 0 };
    if (xsave)
        description = { .extended_size = static_cast<u32>(size + sizeof(k_magic2)),
            .features = features,
            .size = static_cast<u32>(size) };
    return UserPointer<Description>(address + k_description).write(description).has_value()
        && UserPointer<u32>(address + size).write(k_magic2).has_value();
}

#if EREMITE_ISOLATION == 2
/// Makes what came from the application fit for XRSTOR, which faults on anything reserved.
void sanitize(VectorArea& area)
{
    area.put<u32>(24, area.get<u32>(24) & 0xffbf); // MXCSR
    if (!has_xsave())
        return;
    area.put<u64>(k_legacy_size, area.get<u64>(k_legacy_size) & active_vector_state());
    for (usize offset = k_legacy_size + 8; offset < k_legacy_size + 64; offset += 8)
        area.put<u64>(offset, 0);
}

bool pop_vector_state(u64 address, [[maybe_unused]] TrapFrame& frame)
{
    VectorArea area;
    if (address == 0)
        initialize_vector_state(area.bytes.data());
    else if (copy_from_user(area.bytes.data(), address, vector_state_size()).is_error())
        return false;
#if EREMITE_ISOLATION == 2
    // The kernel's keys are not the application's to open, whatever it writes there.
    frame.rights = k_initial_rights;
    if (address != 0 && keys_are_on() && has_xsave() && (area.get<u64>(k_legacy_size) & k_rights_component) != 0) {
        u32 rights;
        if (copy_from_user(&rights, address + rights_offset(), sizeof(rights)).is_error())
            return false;
        frame.rights = rights | k_kernel_bits;
    }
    if (keys_are_on())
        write_rights(static_cast<u32>(frame.rights));
    frame.domain = k_domain_application;
#endif
    sanitize(area);
    restore_vector_state(area.bytes.data());
    return true;
}
#else
bool pop_vector_state(u64 address, TrapFrame&)
{
    const usize size = vector_state_size();
    if (address == 0) {
        VectorArea area;
        ASSERT(size <= area.bytes.size());
        initialize_vector_state(area.bytes.data());
        restore_vector_state(area.bytes.data());
        return true;
    }
    if (!is_application_range(address, size))
        return false;
    // A program that made the area itself may have filled in FXSAVE's part alone.
    auto magic = UserPointer<u32>(address + k_description).read();
    return magic.has_value()
        && __eremite_restore_vectors_user(
            reinterpret_cast<const void*>(address), size > k_legacy_size && magic.value() == k_magic1);
}
#endif

} // namespace

bool push_signal_frame(TrapFrame& frame, const SignalFrame& signal)
{
    u64 top = signal.stack_top != 0 ? signal.stack_top : frame.rsp - k_red_zone;
    const usize vector_size = area_size();
    u64 vectors = align_down(top - vector_size - sizeof(k_magic2), 64);
    // As after a call: 8 below a multiple of 16.
    u64 address = align_down(vectors - sizeof(Frame), 16) - 8;

    Frame result;
    result.restorer = signal.restorer != 0 ? signal.restorer : reinterpret_cast<u64>(&__eremite_restore_rt);
    UserContext& user = result.user;
    user.flags = has_xsave() ? 7 : 6; // UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
    user.stack = signal.alternate_stack;
    user.stack_flags = signal.alternate_stack_flags;
    user.stack_size = signal.alternate_stack_size;
    user.mask = signal.mask;
    SignalContext& context = user.context;
    context.r8_to_r15 = { frame.r8, frame.r9, frame.r10, frame.r11, frame.r12, frame.r13, frame.r14, frame.r15 };
    context.rdi = frame.rdi;
    context.rsi = frame.rsi;
    context.rbp = frame.rbp;
    context.rbx = frame.rbx;
    context.rdx = frame.rdx;
    context.rax = frame.rax;
    context.rcx = frame.rcx;
    context.rsp = frame.rsp;
    context.rip = frame.rip;
    context.rflags = frame.rflags;
    context.old_mask = signal.mask;
    if (signal.fault) {
        context.error_code = signal.fault->code;
        context.trap = signal.fault->number;
        context.cr2 = signal.fault->address;
    }
    context.vector_state = vectors;
    std::copy_n(signal.information.begin(), std::min(signal.information.size(), k_information_size),
        result.information.begin());
    if (!push_vector_state(vectors, vector_size, frame) || copy_to_user(address, &result, sizeof(result)).is_error())
        return false;

    frame.rip = signal.handler;
    frame.rsp = address;
    frame.rdi = static_cast<u64>(signal.number);
    frame.rsi = address + offsetof(Frame, information);
    frame.rdx = address + offsetof(Frame, user);
    frame.rax = 0;
#if EREMITE_ISOLATION == 2
    frame.rights = k_initial_rights;
    frame.domain = k_domain_application;
#endif
    frame.rflags &= ~(k_direction_flag | k_trap_flag);
    return true;
}

bool pop_signal_frame(TrapFrame& frame, u64& mask)
{
    // The handler's return took the restorer off.
    UserContext user;
    if (copy_from_user(&user, frame.rsp, sizeof(user)).is_error())
        return false;
    const SignalContext& context = user.context;
    // A return to an address that isn't canonical would fault in the kernel.
    if (context.rip >> 47 != 0 || !pop_vector_state(context.vector_state, frame))
        return false;
    frame.r8 = context.r8_to_r15[0];
    frame.r9 = context.r8_to_r15[1];
    frame.r10 = context.r8_to_r15[2];
    frame.r11 = context.r8_to_r15[3];
    frame.r12 = context.r8_to_r15[4];
    frame.r13 = context.r8_to_r15[5];
    frame.r14 = context.r8_to_r15[6];
    frame.r15 = context.r8_to_r15[7];
    frame.rdi = context.rdi;
    frame.rsi = context.rsi;
    frame.rbp = context.rbp;
    frame.rbx = context.rbx;
    frame.rdx = context.rdx;
    frame.rax = context.rax;
    frame.rcx = context.rcx;
    frame.rsp = context.rsp;
    frame.rip = context.rip;
    frame.rflags = (context.rflags & k_application_flags) | TrapFrame::k_interrupt_flag | 2;
    frame.cs = k_kernel_code;
    frame.ss = k_kernel_data;
    mask = user.mask;
    return true;
}

void set_system_call_restart(TrapFrame& frame, u64 entry, std::span<const u64> arguments)
{
    // The return address is still there, right below the stack pointer: in the red zone, where nothing writes.
#if EREMITE_ISOLATION == 2
    // At its exit a call has the application's frame pointer and the return address on top of the stack.
    frame.rip = reinterpret_cast<u64>(&__eremite_gate_again);
    frame.rax = entry;
#else
    frame.rsp -= sizeof(u64);
    frame.rip = entry;
#endif
    for (unsigned i = 0; i < arguments.size() && i < 6; ++i)
        frame.set_argument(i, arguments[i]);
}

} // namespace eremite::arch
