#include "net/configuration.h"

#include <bit>

namespace eremite::net {

namespace {

std::optional<u8> parse_prefix(std::string_view text, bool v4)
{
    if (text.empty() || text.size() > 3)
        return {};
    u32 value = 0;
    for (char c : text) {
        if (c < '0' || c > '9')
            return {};
        value = value * 10 + static_cast<u32>(c - '0');
    }
    if (value > (v4 ? 32u : 128u))
        return {};
    return static_cast<u8>(value);
}

/// A netmask's length; empty if its ones are not all in front.
std::optional<u8> prefix_of_mask(IpAddress mask)
{
    if (!mask.is_v4())
        return {};
    u32 bits = mask.as_v4();
    u32 ones = static_cast<u32>(std::countl_one(bits));
    if (ones < 32 && (bits << ones) != 0)
        return {};
    return static_cast<u8>(ones);
}

/// The length that an address's class had, where nobody says otherwise.
u8 classful_prefix(IpAddress address)
{
    u32 first = address.as_v4() >> 24;
    return first < 128 ? 8 : first < 192 ? 16 : 24;
}

bool is_automatic(std::string_view word)
{
    return word == "dhcp" || word == "on" || word == "any" || word == "both";
}

} // namespace

std::optional<IpConfiguration> parse_ip_option(std::string_view ip)
{
    IpConfiguration result;
    if (is_automatic(ip))
        return result;
    if (ip == "off" || ip == "none") {
        result.method = IpConfiguration::Method::None;
        return result;
    }
    if (usize slash = ip.find('/'); slash != ip.npos) {
        auto address = IpAddress::parse(ip.substr(0, slash));
        if (!address)
            return {};
        auto prefix = parse_prefix(ip.substr(slash + 1), address->is_v4());
        if (!prefix)
            return {};
        result.method = IpConfiguration::Method::Static;
        result.address = *address;
        result.prefix = *prefix;
        return result;
    }
    if (auto address = IpAddress::parse(ip)) {
        result.method = IpConfiguration::Method::Static;
        result.address = *address;
        result.prefix = address->is_v4() ? classful_prefix(*address) : u8 { 64 };
        return result;
    }
    std::array<std::string_view, 10> fields {};
    usize count = 0;
    while (count < fields.size()) {
        usize colon = ip.find(':');
        fields[count++] = ip.substr(0, colon);
        if (colon == ip.npos)
            break;
        ip.remove_prefix(colon + 1);
    }
    if (count < 2)
        return {};
    result.host_name = fields[4];
    result.device = fields[5];
    for (usize i = 7; i < 9; ++i) {
        if (fields[i].empty())
            continue;
        auto server = IpAddress::parse(fields[i]);
        if (!server)
            return {};
        result.nameservers[result.nameserver_count++] = *server;
    }
    std::string_view automatic = fields[6];
    if (fields[0].empty()) {
        result.method
            = automatic == "off" || automatic == "none" ? IpConfiguration::Method::None : IpConfiguration::Method::Dhcp;
        return result;
    }
    auto address = IpAddress::parse(fields[0]);
    if (!address || !address->is_v4())
        return {};
    result.method = IpConfiguration::Method::Static;
    result.address = *address;
    result.prefix = classful_prefix(*address);
    if (!fields[2].empty()) {
        result.gateway = IpAddress::parse(fields[2]);
        if (!result.gateway)
            return {};
    }
    if (!fields[3].empty()) {
        auto mask = IpAddress::parse(fields[3]);
        auto prefix = mask ? prefix_of_mask(*mask) : std::nullopt;
        if (!prefix)
            return {};
        result.prefix = *prefix;
    }
    return result;
}

} // namespace eremite::net
