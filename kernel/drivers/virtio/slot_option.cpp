#include "drivers/virtio/slot_option.h"

namespace eremite::virtio {

namespace {

/// Takes a number off the front of `text`. EINVAL: there is none, or it is too large.
Result<u64> take_number(std::string_view& text)
{
    u64 base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    u64 value = 0;
    bool any = false;
    while (!text.empty()) {
        char c = text.front();
        u64 digit = c >= '0' && c <= '9' ? static_cast<u64>(c - '0')
            : c >= 'a' && c <= 'f'       ? static_cast<u64>(c - 'a' + 10)
            : c >= 'A' && c <= 'F'       ? static_cast<u64>(c - 'A' + 10)
                                         : base;
        if (digit >= base)
            break;
        if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value))
            return Errno::EINVAL;
        any = true;
        text.remove_prefix(1);
    }
    if (!any)
        return Errno::EINVAL;
    return value;
}

bool take(std::string_view& text, char expected)
{
    if (!text.starts_with(expected))
        return false;
    text.remove_prefix(1);
    return true;
}

} // namespace

Result<arch::VirtioMmioSlot> parse_slot_option(std::string_view text)
{
    u64 size = TRY(take_number(text));
    if (take(text, 'K'))
        size <<= 10;
    else if (take(text, 'M'))
        size <<= 20;
    if (!take(text, '@'))
        return Errno::EINVAL;
    u64 address = TRY(take_number(text));
    if (!take(text, ':'))
        return Errno::EINVAL;
    u64 interrupt = TRY(take_number(text));
    if (take(text, ':'))
        TRY(take_number(text));
    if (!text.empty() || size == 0 || size > 1_MiB || address + size < address || interrupt > 0xffff)
        return Errno::EINVAL;
    return arch::VirtioMmioSlot { { PhysicalAddress(address), size }, static_cast<u32>(interrupt),
        arch::Trigger::EdgeRising };
}

} // namespace eremite::virtio
