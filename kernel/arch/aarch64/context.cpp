#include "arch/context.h"

#include "base/types.h"
#include <array>

extern "C" {
#pragma GCC visibility push(hidden)
void __eremite_switch_context(eremite::u64* from, const eremite::u64* to);
void __eremite_start_context();
[[noreturn]] void __eremite_enter_application(eremite::u64 entry, eremite::u64 stack_pointer, eremite::u64 argument);
void __eremite_save_vectors(void* area);
void __eremite_restore_vectors(const void* area);
#pragma GCC visibility pop
}

namespace eremite::arch {

namespace {

/// What __eremite_switch_context keeps on the stack.
struct SavedContext {
    std::array<u64, 10> x19_to_x28;
    u64 x29;
    u64 x30;
    std::array<u64, 8> d8_to_d15;
    u64 fpcr;
    u64 padding;
};
static_assert(sizeof(SavedContext) == 176);

constexpr usize k_vector_state_size = 576; // V0 to V31, FPSR, FPCR, in whole cache lines

} // namespace

void switch_context(Context& from, Context& to)
{
    __eremite_switch_context(&from.stack_pointer, &to.stack_pointer);
}

void prepare_context(Context& context, u64 stack_top, void (*entry)(void*), void* argument)
{
    context.stack_pointer = stack_top - sizeof(SavedContext);
    auto* saved = reinterpret_cast<SavedContext*>(context.stack_pointer);
    *saved = {};
    saved->x19_to_x28[0] = reinterpret_cast<u64>(entry);
    saved->x19_to_x28[1] = reinterpret_cast<u64>(argument);
    saved->x30 = reinterpret_cast<u64>(__eremite_start_context);
}

usize vector_state_size()
{
    return k_vector_state_size;
}

void save_vector_state(void* area)
{
    __eremite_save_vectors(area);
}

void restore_vector_state(const void* area)
{
    __eremite_restore_vectors(area);
}

void initialize_vector_state(void* area)
{
    __builtin_memset(area, 0, k_vector_state_size);
}

void enter_application(u64 entry, u64 stack_pointer, u64 argument)
{
    __eremite_enter_application(entry, stack_pointer, argument);
}

} // namespace eremite::arch
