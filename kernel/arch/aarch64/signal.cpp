// Signal frames as Linux lays them out (arch/arm64/include/uapi/asm/{sigcontext,ucontext}.h), vector state in the
// record that Linux calls fpsimd_context.
#include "arch/signal.h"

#include "arch/context.h"
#include "base/types.h"
#include "syscall/user_pointer.h"

#include <algorithm>
#include <array>

namespace eremite::arch {

namespace {

/// struct ucontext up to the reserved area.
struct UserContext {
    u64 flags { 0 };
    u64 link { 0 };
    u64 stack { 0 };
    i32 stack_flags { 0 };
    u32 padding { 0 };
    u64 stack_size { 0 };
    u64 mask { 0 };
    std::array<u8, 120> unused {};
    u64 padding2 { 0 };
    u64 fault_address { 0 };
    std::array<u64, 31> x {};
    u64 sp { 0 };
    u64 pc { 0 };
    u64 pstate { 0 };
    u64 padding3 { 0 };
};
static_assert(sizeof(UserContext) == 464);

struct RecordHeader {
    u32 magic { 0 };
    u32 size { 0 };
};

struct VectorRecord {
    RecordHeader header { 0x46508001, 528 };
    u32 fpsr { 0 };
    u32 fpcr { 0 };
    std::array<u8, 512> vectors {};
};
static_assert(sizeof(VectorRecord) == 528);

struct SyndromeRecord {
    RecordHeader header { 0x45535201, 16 };
    u64 syndrome { 0 };
};

/// What save_vector_state() writes.
struct alignas(64) VectorArea {
    std::array<u8, 512> vectors {};
    u64 fpsr { 0 };
    u64 fpcr { 0 };
    std::array<u64, 6> padding {};
};
static_assert(sizeof(VectorArea) == 576);

constexpr usize k_information_size = 128;
constexpr usize k_reserved_size = 4096;
constexpr usize k_frame_size = k_information_size + sizeof(UserContext) + k_reserved_size;
constexpr usize k_context_offset = k_information_size;
constexpr usize k_records_offset = k_context_offset + sizeof(UserContext);

/// N, Z, C, V; and PSTATE.SS, DIT and the like stay what they are.
constexpr u64 k_application_flags = 0xf0000000;

extern "C" [[gnu::visibility("hidden")]] void __eremite_restore_rt();

} // namespace

bool push_signal_frame(TrapFrame& frame, const SignalFrame& signal)
{
    u64 top = align_down(signal.stack_top != 0 ? signal.stack_top : frame.sp, 16);
    // A frame record on top, so that backtraces go on behind the handler.
    u64 record = top - 16;
    u64 base = record - k_frame_size;
    std::array<u64, 2> chain { frame.x[29], frame.x[30] };

    UserContext context;
    context.stack = signal.alternate_stack;
    context.stack_flags = signal.alternate_stack_flags;
    context.stack_size = signal.alternate_stack_size;
    context.mask = signal.mask;
    context.fault_address = signal.fault ? signal.fault->address : 0;
    context.x = frame.x;
    context.sp = frame.sp;
    context.pc = frame.pc;
    context.pstate = frame.pstate;

    VectorRecord vectors;
    {
        VectorArea area;
        save_vector_state(&area);
        vectors.fpsr = static_cast<u32>(area.fpsr);
        vectors.fpcr = static_cast<u32>(area.fpcr);
        vectors.vectors = area.vectors;
    }
    struct {
        SyndromeRecord syndrome;
        RecordHeader end;
    } tail;
    tail.syndrome.syndrome = signal.fault ? signal.fault->code : 0;

    std::array<u8, k_information_size> information {};
    std::copy_n(
        signal.information.begin(), std::min(signal.information.size(), information.size()), information.begin());

    if (copy_to_user(base, information.data(), information.size()).is_error()
        || copy_to_user(base + k_context_offset, &context, sizeof(context)).is_error()
        || copy_to_user(base + k_records_offset, &vectors, sizeof(vectors)).is_error()
        || copy_to_user(base + k_records_offset + sizeof(vectors), &tail, sizeof(tail)).is_error()
        || copy_to_user(record, chain.data(), sizeof(chain)).is_error())
        return false;

    frame.x[0] = static_cast<u64>(signal.number);
    frame.x[1] = base;
    frame.x[2] = base + k_context_offset;
    frame.x[29] = record;
    frame.x[30] = signal.restorer != 0 ? signal.restorer : reinterpret_cast<u64>(__eremite_restore_rt);
    frame.sp = base;
    frame.pc = signal.handler;
    frame.pstate &= ~(u64 { 3 } << 10); // BTYPE: the handler need not begin with a landing pad
    return true;
}

bool pop_signal_frame(TrapFrame& frame, u64& mask)
{
    u64 base = frame.sp;
    UserContext context;
    VectorRecord vectors;
    if (copy_from_user(&context, base + k_context_offset, sizeof(context)).is_error()
        || copy_from_user(&vectors, base + k_records_offset, sizeof(vectors)).is_error())
        return false;
    if (vectors.header.magic != VectorRecord {}.header.magic || vectors.header.size != sizeof(vectors)
        || (context.sp & 15) != 0)
        return false;
    frame.x = context.x;
    frame.sp = context.sp;
    frame.pc = context.pc;
    frame.pstate = (frame.pstate & ~k_application_flags) | (context.pstate & k_application_flags);
    mask = context.mask;
    VectorArea area;
    area.vectors = vectors.vectors;
    area.fpsr = vectors.fpsr;
    area.fpcr = vectors.fpcr;
    restore_vector_state(&area);
    return true;
}

void set_system_call_restart(TrapFrame& frame, u64 entry, std::span<const u64> arguments)
{
    frame.x[30] = frame.pc;
    frame.pc = entry;
    std::copy_n(arguments.begin(), std::min<usize>(arguments.size(), 6), frame.x.begin());
}

} // namespace eremite::arch
