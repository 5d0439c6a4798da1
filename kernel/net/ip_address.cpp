#include "net/ip_address.h"

namespace eremite::net {

namespace {

/// Reads a decimal or hexadecimal number of at most `digits` digits at the front of `text`, and drops it.
std::optional<u32> take_number(std::string_view& text, u32 base, u32 digits)
{
    u32 value = 0;
    u32 count = 0;
    while (!text.empty() && count < digits) {
        char c = text.front();
        u32 digit;
        if (c >= '0' && c <= '9')
            digit = static_cast<u32>(c - '0');
        else if (base == 16 && c >= 'a' && c <= 'f')
            digit = static_cast<u32>(c - 'a') + 10;
        else if (base == 16 && c >= 'A' && c <= 'F')
            digit = static_cast<u32>(c - 'A') + 10;
        else
            break;
        value = value * base + digit;
        text.remove_prefix(1);
        ++count;
    }
    if (count == 0)
        return {};
    return value;
}

std::optional<u32> parse_v4(std::string_view text)
{
    u32 address = 0;
    for (u32 i = 0; i < 4; ++i) {
        if (i > 0) {
            if (text.empty() || text.front() != '.')
                return {};
            text.remove_prefix(1);
        }
        auto part = take_number(text, 10, 3);
        if (!part || *part > 255)
            return {};
        address = address << 8 | *part;
    }
    if (!text.empty())
        return {};
    return address;
}

std::optional<IpAddress> parse_v6(std::string_view text)
{
    std::array<u16, 8> groups {};
    usize count = 0;
    std::optional<usize> gap;
    if (text.starts_with("::")) {
        gap = 0;
        text.remove_prefix(2);
    }
    while (!text.empty()) {
        if (count == 8)
            return {};
        if (text.find('.') != text.npos && text.find(':') == text.npos) {
            auto v4 = parse_v4(text);
            if (!v4 || count > 6)
                return {};
            groups[count++] = static_cast<u16>(*v4 >> 16);
            groups[count++] = static_cast<u16>(*v4);
            break;
        }
        auto group = take_number(text, 16, 4);
        if (!group)
            return {};
        groups[count++] = static_cast<u16>(*group);
        if (text.empty())
            break;
        if (text.front() != ':' || text.size() == 1)
            return {};
        text.remove_prefix(1);
        if (text.front() == ':') {
            if (gap)
                return {};
            gap = count;
            text.remove_prefix(1);
        }
    }
    if (gap ? count == 8 : count != 8)
        return {};
    std::array<u16, 8> full {};
    usize head = gap.value_or(8);
    for (usize i = 0; i < head && i < count; ++i)
        full[i] = groups[i];
    for (usize i = head; i < count; ++i)
        full[8 - count + i] = groups[i];
    u64 high = 0;
    u64 low = 0;
    for (usize i = 0; i < 4; ++i) {
        high = high << 16 | full[i];
        low = low << 16 | full[i + 4];
    }
    return IpAddress::v6(high, low);
}

} // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text)
{
    if (text.find(':') != text.npos)
        return parse_v6(text);
    auto address = parse_v4(text);
    if (!address)
        return {};
    return v4(*address);
}

bool IpAddress::matches(IpAddress network, unsigned prefix) const
{
    if (is_v4() != network.is_v4())
        return false;
    if (is_v4())
        prefix += 96;
    auto differs = [](u64 a, u64 b, unsigned bits) { return bits != 0 && ((a ^ b) >> (64 - bits)) != 0; };
    if (prefix <= 64)
        return !differs(m_high, network.m_high, prefix);
    return m_high == network.m_high && !differs(m_low, network.m_low, prefix < 128 ? prefix - 64 : 64);
}

AddressText::AddressText(IpAddress address)
{
    BufferSink sink(m_text);
    if (address.is_v4()) {
        u32 v4 = address.as_v4();
        format_to(sink, "{}.{}.{}.{}", v4 >> 24, v4 >> 16 & 255, v4 >> 8 & 255, v4 & 255);
    } else {
        std::array<u16, 8> groups;
        for (usize i = 0; i < 8; ++i)
            groups[i] = static_cast<u16>((i < 4 ? address.high() : address.low()) >> (48 - 16 * (i % 4)));
        // The longest run of zero groups becomes "::" (RFC 5952).
        usize best = 8;
        usize best_length = 1;
        for (usize i = 0; i < 8; ++i) {
            usize length = 0;
            while (i + length < 8 && groups[i + length] == 0)
                ++length;
            if (length > best_length) {
                best = i;
                best_length = length;
            }
        }
        constexpr std::string_view digits = "0123456789abcdef";
        for (usize i = 0; i < 8; ++i) {
            if (i == best) {
                sink.write("::");
                i += best_length - 1;
                continue;
            }
            if (i > 0 && i != best + best_length)
                sink.write(":");
            bool started = false;
            for (int shift = 12; shift >= 0; shift -= 4) {
                usize digit = groups[i] >> shift & 15u;
                started = started || digit != 0 || shift == 0;
                if (started)
                    sink.write(digits.substr(digit, 1));
            }
        }
    }
    m_length = sink.text().size();
}

} // namespace eremite::net
