#include "arch/user_copy.h"

#include <span>

extern "C" {
#pragma GCC visibility push(hidden)
eremite::usize __eremite_copy_user(void*, const void*, eremite::usize);
eremite::usize __eremite_clear_user(void*, eremite::usize);
eremite::isize __eremite_user_string_length(const char*, eremite::usize);
bool __eremite_compare_exchange_user(eremite::u32*, eremite::u32*, eremite::u32);
bool __eremite_load_user(const eremite::u32*, eremite::u32*);
struct __eremite_fixup {
    eremite::i32 instruction; // relative to the field
    eremite::i32 target;
};
extern const __eremite_fixup __start_eremite_fixups[] __attribute__((weak));
extern const __eremite_fixup __stop_eremite_fixups[] __attribute__((weak));
#pragma GCC visibility pop
}

namespace eremite::arch {

usize copy_user(void* destination, const void* source, usize length)
{
    return __eremite_copy_user(destination, source, length);
}

usize clear_user(void* destination, usize length)
{
    return __eremite_clear_user(destination, length);
}

isize user_string_length(const char* source, usize limit)
{
    return __eremite_user_string_length(source, limit);
}

bool compare_exchange_user(u32* target, u32& expected, u32 desired)
{
    return __eremite_compare_exchange_user(target, &expected, desired);
}

bool load_user(const u32* source, u32& value)
{
    return __eremite_load_user(source, &value);
}

u64 fixup_for(u64 instruction)
{
    auto resolve = [](const i32& field) { return reinterpret_cast<u64>(&field) + static_cast<u64>(i64 { field }); };
    for (const __eremite_fixup& fixup : std::span(__start_eremite_fixups, __stop_eremite_fixups)) {
        if (resolve(fixup.instruction) == instruction)
            return resolve(fixup.target);
    }
    return 0;
}

} // namespace eremite::arch
