// The network as a component: makes the kernel's stack of the devices there are, and configures it by the command line.
#include "syscall/network.h"

#include "base/component.h"
#include "base/log.h"
#include "boot/options.h"
#include "file/file.h"
#include "fs/operations.h"
#include "mm/frames.h"
#include "net/component/kernel_environment.h"
#include "net/configuration.h"
#include "net/dhcp.h"
#include "net/stack.h"

#include <algorithm>

namespace eremite {

namespace {

using namespace net;

constinit Stack* s_stack { nullptr };
constinit KernelEnvironment* s_environment { nullptr };

u32 number_of(std::string_view text, u32 fallback)
{
    u32 value = 0;
    if (text.empty() || text.size() > 9)
        return fallback;
    for (char c : text) {
        if (c < '0' || c > '9')
            return fallback;
        value = value * 10 + static_cast<u32>(c - '0');
    }
    return value;
}

Result<> initialize_network()
{
    auto environment = TRY(make<KernelEnvironment>());
    auto stack = TRY(Stack::create(*environment));
    s_environment = environment.leak();
    s_stack = stack.leak();
    if (auto limit = boot_option("net-poll"))
        s_environment->set_poll_limit(Nanoseconds::from_microseconds(number_of(*limit, 200)));
    // All queues together may take a quarter of the memory.
    s_stack->tcp().set_memory_limit(frame_statistics().total * k_page_size / 4);
    for_each_net_device(
        [](NetDevice& device, void*) {
            if (auto added = s_stack->add_device(device); added.is_error())
                log_error("net: {} is not usable: {}", device.name(), added.error());
        },
        nullptr);
    TRY(s_environment->start(*s_stack));
    if (s_stack->enable_interrupts())
        s_environment->work_arrived();
    return {};
}

void write_file(std::string_view path, std::string_view text)
{
    auto opened
        = ER_PART(paths).open_path(abi::k_at_fdcwd, path, abi::k_o_wronly | abi::k_o_creat | abi::k_o_trunc, 0644, 0);
    if (opened.is_error())
        return log_warning("net: {}: {}", path, opened.error());
    std::array<u8, 512> bytes;
    usize length = std::min(text.size(), bytes.size());
    std::ranges::copy(text.substr(0, length), bytes.begin());
    auto file = opened.release_value();
    if (auto written = file->write(IoBuffer(std::span(bytes).first(length))); written.is_error())
        log_warning("net: {}: {}", path, written.error());
}

void write_resolver_configuration()
{
    std::array<IpAddress, 4> servers;
    usize count = s_stack->nameservers(servers);
    if (count == 0 || !ER_HAS_PART(paths))
        return;
    std::array<char, 512> text;
    BufferSink sink(text);
    for (auto& server : std::span(servers).first(count))
        format_to(sink, "nameserver {}\n", AddressText(server));
    if (!s_stack->search_domain().empty())
        format_to(sink, "search {}\n", s_stack->search_domain());
    if (auto made = ER_PART(paths).make_directories("/etc"); made.is_error()) { }
    write_file("/etc/resolv.conf", sink.text());
}

Result<> configure_static(Interface& interface, const IpConfiguration& configuration)
{
    TRY(interface.add_address({ .address = configuration.address, .prefix = configuration.prefix }));
    auto gateway = configuration.gateway;
    if (auto option = boot_option("gateway"))
        gateway = IpAddress::parse(*option);
    if (gateway && !gateway->is_unspecified())
        TRY(interface.add_gateway(*gateway));
    return {};
}

Result<> ask_dhcp(Interface& interface)
{
    DhcpClient* client = TRY(DhcpClient::create(*s_stack, interface)).leak(); // renews for ever
    client->start();
    u32 seconds = number_of(boot_option("dhcp-timeout").value_or(""), 10);
    Nanoseconds deadline = s_stack->now() + Nanoseconds::from_seconds(seconds);
    auto waited = s_stack->wait(client->wait_queue(), [client] { return client->is_bound(); }, deadline);
    if (waited.is_error())
        log_error("net: no DHCP server answered on {} within {} s; still asking (ip= sets an address)",
            interface.device().name(), seconds);
    return {};
}

Result<> configure_network()
{
    if (!s_stack)
        return Errno::ENODEV;
    if (auto servers = boot_option("dns")) {
        for (std::string_view rest = *servers; !rest.empty();) {
            usize comma = rest.find(',');
            if (auto address = IpAddress::parse(rest.substr(0, comma)))
                s_stack->learn_nameserver(*address);
            rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
        }
    }
    auto interfaces = s_stack->interfaces();
    if (interfaces.size() < 2)
        return {};
    for (Interface* interface : interfaces.subspan(1))
        interface->start_ipv6();
    bool any_option = false;
    bool needs_dhcp = true;
    for_each_boot_option("ip", [&](std::string_view value) {
        any_option = true;
        auto configuration = parse_ip_option(value);
        if (!configuration)
            return log_error("net: ip={} is not understood", value);
        Interface* interface = configuration->device.empty() ? interfaces[1]
                                                             : s_stack->interface(configuration->device);
        if (!interface)
            return log_error("net: ip={}: there is no such device", value);
        for (auto& server : std::span(configuration->nameservers).first(configuration->nameserver_count))
            s_stack->learn_nameserver(server);
        if (configuration->method == IpConfiguration::Method::Dhcp)
            return;
        needs_dhcp = false;
        if (configuration->method == IpConfiguration::Method::None)
            return;
        if (auto done = configure_static(*interface, *configuration); done.is_error())
            log_error("net: ip={}: {}", value, done.error());
    });
    if (needs_dhcp)
        TRY(ask_dhcp(*interfaces[1]));
    s_stack->finish();
    write_resolver_configuration();
    return {};
}

} // namespace

namespace net {

Stack& kernel_stack()
{
    ER_NEEDS(network);
    ER_NEEDS(network_configuration);
    ER_NEEDS(network_proc_files);
    ER_NEEDS(virtio_net);
    ASSERT(s_stack);
    return *s_stack;
}

} // namespace net

} // namespace eremite

ER_COMPONENT(network, eremite::Stage::Subsystem, eremite::initialize_network);
ER_COMPONENT(network_configuration, eremite::Stage::Late, eremite::configure_network);
