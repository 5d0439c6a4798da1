#include "drivers/virtio/net.h"

#include "arch/clock.h"
#include "base/component.h"
#include "base/log.h"
#include "mm/frames.h"

#include <algorithm>

namespace eremite::virtio {

namespace {

// Features (5.1.3).
constexpr u64 k_checksum = feature(0);
constexpr u64 k_guest_checksum = feature(1);
constexpr u64 k_mtu = feature(3);
constexpr u64 k_mac = feature(5);
constexpr u64 k_guest_tso4 = feature(7);
constexpr u64 k_guest_tso6 = feature(8);
constexpr u64 k_host_tso4 = feature(11);
constexpr u64 k_host_tso6 = feature(12);
constexpr u64 k_merged_buffers = feature(15);
constexpr u64 k_status = feature(16);
constexpr u64 k_control_queue = feature(17);
constexpr u64 k_control_mac = feature(23);
constexpr u64 k_guest_uso4 = feature(54);
constexpr u64 k_guest_uso6 = feature(55);
constexpr u64 k_host_uso = feature(56);

// The configuration (5.1.4).
constexpr usize k_configuration_mac = 0;
constexpr usize k_configuration_status = 6;
constexpr usize k_configuration_mtu = 10;
constexpr u16 k_link_up = 1;

// The header (5.1.6).
constexpr u8 k_needs_checksum = 1;
constexpr u8 k_data_valid = 2;
constexpr u8 k_segmentation_tcp4 = 1;
constexpr u8 k_segmentation_tcp6 = 4;
constexpr u8 k_segmentation_udp = 5;
constexpr u8 k_segmentation_ecn = 0x80;

constexpr u16 k_control_index = 2;
constexpr u8 k_control_class_mac = 1;
constexpr u8 k_control_mac_set = 1;

constexpr u16 k_transmit_tables = 64;
constexpr u16 k_transmit_table_length = Packet::k_max_fragments + 1;

} // namespace

Result<OwnPtr<NetDriver>> NetDriver::create(Transport& transport, std::string_view name)
{
    auto driver = TRY(make<NetDriver>(transport, name));
    Locked receive_lock(driver->m_receive_lock);
    Locked transmit_lock(driver->m_transmit_lock);
    TRY(driver->bring_up());
    return driver;
}

Result<> NetDriver::bring_up()
{
    u64 wanted = k_checksum | k_guest_checksum | k_mtu | k_mac | k_guest_tso4 | k_guest_tso6 | k_host_tso4 | k_host_tso6
        | k_merged_buffers | k_status | k_control_queue | k_control_mac | k_guest_uso4 | k_guest_uso6 | k_host_uso;
    TRY(m_transport.negotiate("virtio-net", wanted));
    if (!m_transport.has(k_merged_buffers)
        && (m_transport.features() & (k_guest_tso4 | k_guest_tso6 | k_guest_uso4 | k_guest_uso6)) != 0) {
        // Without merging, each buffer would have to hold 64 KiB.
        TRY(m_transport.negotiate("virtio-net", wanted & ~(k_guest_tso4 | k_guest_tso6 | k_guest_uso4 | k_guest_uso6)));
    }
    m_merges = m_transport.has(k_merged_buffers);
    m_features = { .checksum = m_transport.has(k_checksum),
        .tso4 = m_transport.has(k_checksum | k_host_tso4),
        .tso6 = m_transport.has(k_checksum | k_host_tso6),
        .uso = m_transport.has(k_checksum | k_host_uso) };
    if (m_transport.has(k_mac)) {
        for (usize i = 0; i < m_mac.size(); ++i)
            m_mac[i] = m_transport.read_configuration8(k_configuration_mac + i);
    } else {
        m_mac = { 0x02, 0x45, 0x52, 0x00, 0x00, static_cast<u8>(name().back()) };
    }
    if (m_transport.has(k_mtu)) {
        u16 mtu = m_transport.read_configuration16(k_configuration_mtu);
        if (mtu >= 68)
            set_mtu(mtu);
    }
    m_receive = BufferQueue<ReceiveBuffer>(TRY(m_transport.create_queue("virtio-net", k_receive_queue, k_queue_size)));
    m_transmit = BufferQueue<Packet>(TRY(m_transport.create_queue(
        "virtio-net", k_transmit_queue, k_queue_size, k_transmit_tables, k_transmit_table_length)));
    if (m_transport.has(k_control_queue))
        m_control = TRY(m_transport.create_queue("virtio-net", k_control_index, 16));
    m_receive->disable_interrupts();
    m_receive_armed.store(false, std::memory_order_relaxed);
    m_transmit->disable_interrupts();
    m_live_receive.store(&*m_receive, std::memory_order_release);
    m_live_transmit.store(&*m_transmit, std::memory_order_release);
    TRY(m_transport.set_queue_handler(
        k_receive_queue, [](void* driver) { static_cast<NetDriver*>(driver)->on_receive_interrupt(); }, this));
    TRY(m_transport.set_queue_handler(
        k_transmit_queue, [](void* driver) { static_cast<NetDriver*>(driver)->on_transmit_interrupt(); }, this));
    TRY(m_transport.set_configuration_handler(
        [](void* driver) { static_cast<NetDriver*>(driver)->on_configuration_interrupt(); }, this));
    // At most a sixteenth of memory waits for packets to come.
    usize most = std::max<usize>(frame_statistics().free / 16, 16);
    m_receive_buffers = static_cast<u16>(std::min<usize>(m_receive->size(), most));
    m_transport.start();
    read_link();
    fill_receive_queue();
    return {};
}

void NetDriver::recover()
{
    Locked receive_lock(m_receive_lock);
    Locked transmit_lock(m_transmit_lock);
    if (!m_needs_reset.exchange(false))
        return;
    log_warning("{}: the device asks for a reset", name());
    m_live_receive.store(nullptr, std::memory_order_release);
    m_live_transmit.store(nullptr, std::memory_order_release);
    if (!m_transport.reset()) {
        // It may still write to what it has: that is never given back.
        m_receive->shut("the device didn't answer a reset");
        m_transmit->shut("the device didn't answer a reset");
        return;
    }
    m_receive.abandon();
    m_transmit.abandon();
    if (auto result = bring_up(); result.is_error())
        log_error("{}: not available any more: {}", name(), result.error());
}

void NetDriver::fill_receive_queue()
{
    while (m_receive->outstanding() < m_receive_buffers) {
        auto buffer = Buffer::create(Buffer::Size::Page);
        if (buffer.is_error())
            break;
        ReceiveBuffer posted(buffer.release_value());
        const std::array segments { dma_segment(posted.bytes()) };
        if (!m_receive.push(posted, {}, segments))
            break;
    }
    m_lacks_buffers.store(m_receive->outstanding() < m_receive_buffers, std::memory_order_relaxed);
    m_transport.publish_and_notify(*m_receive);
}

void NetDriver::count_received(u32 length)
{
    NetDeviceStatistics& counted = statistics();
    counted.received_packets.store(
        counted.received_packets.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    counted.received_bytes.store(
        counted.received_bytes.load(std::memory_order_relaxed) + length, std::memory_order_relaxed);
}

void NetDriver::repost(ReceiveBuffer buffer)
{
    const std::array segments { dma_segment(buffer.bytes()) };
    m_receive.push(buffer, {}, segments);
}

void NetDriver::describe(Packet& packet, const Header& header)
{
    PacketOffload& offload = packet.offload();
    // A checksum that was never made passed no wire.
    offload.checksum_verified = (header.flags & (k_needs_checksum | k_data_valid)) != 0;
    switch (header.segmentation & ~k_segmentation_ecn) {
    case k_segmentation_tcp4:
        offload.segmentation = Segmentation::Tcp4;
        break;
    case k_segmentation_tcp6:
        offload.segmentation = Segmentation::Tcp6;
        break;
    case k_segmentation_udp:
        offload.segmentation = Segmentation::Udp4;
        break;
    default:
        return;
    }
    offload.segment_size = header.segment_size;
    offload.header_length = static_cast<u16>(std::min<u32>(header.header_length, packet.length()));
}

NetDriver::Header NetDriver::describe(const PacketOffload& offload)
{
    Header header;
    if (offload.needs_checksum) {
        header.flags = k_needs_checksum;
        header.checksum_start = offload.checksum_start;
        header.checksum_offset = offload.checksum_offset;
    }
    switch (offload.segmentation) {
    case Segmentation::None:
        return header;
    case Segmentation::Tcp4:
        header.segmentation = k_segmentation_tcp4;
        break;
    case Segmentation::Tcp6:
        header.segmentation = k_segmentation_tcp6;
        break;
    case Segmentation::Udp4:
    case Segmentation::Udp6:
        header.segmentation = k_segmentation_udp;
        break;
    }
    header.segment_size = offload.segment_size;
    header.header_length = offload.header_length;
    return header;
}

Packet NetDriver::assemble(ReceiveBuffer first, u32 length, u16 count)
{
    auto created = Packet::create();
    if (created.is_error()) {
        // Its buffers go back where they came from.
        repost(std::move(first));
        ReceiveBuffer next;
        for (u16 i = 1; i < count && m_receive.pop(next, length); ++i)
            repost(std::move(next));
        return {};
    }
    Packet packet = created.release_value();
    packet.append(first.take(), sizeof(Header), length - static_cast<u32>(sizeof(Header)));
    for (u16 i = 1; i < count; ++i) {
        ReceiveBuffer next;
        if (!m_receive.pop(next, length)) {
            m_receive->shut("a packet has fewer buffers than its header says");
            return {};
        }
        packet.append(next.take(), 0, length);
    }
    return packet;
}

/// Offers a short frame in the device's buffer, which then goes straight back.
bool NetDriver::offer_short(ShortFrameTaker& taker)
{
    Virtqueue::Completion completion;
    if (!m_receive->look(completion) || completion.length > sizeof(Header) + k_short_limit
        || completion.length < sizeof(Header))
        return false;
    // The device is done with it, and nothing keeps it: until it is offered again it is ours.
    auto bytes = static_cast<const Buffer*>(completion.token)->bytes().first(completion.length);
    Header header;
    __builtin_memcpy(&header, bytes.data(), sizeof(Header));
    bool is_plain = header.segmentation == 0 && (header.flags & (k_needs_checksum | k_data_valid)) != 0
        && (header.buffer_count == 1 || !m_merges);
    if (!is_plain || !taker.take(bytes.subspan(sizeof(Header))))
        return false;
    m_receive->offer_again(completion);
    count_received(completion.length - static_cast<u32>(sizeof(Header)));
    return true;
}

bool NetDriver::receive_one(PacketList& list)
{
    ReceiveBuffer buffer;
    u32 length;
    if (!m_receive.pop(buffer, length))
        return false;
    Header header;
    if (length < sizeof(Header)) {
        m_receive->shut("a packet is shorter than its header");
        return false;
    }
    auto bytes = buffer.bytes();
    __builtin_memcpy(&header, bytes.first(sizeof(Header)).data(), sizeof(Header));
    u16 count = m_merges ? header.buffer_count : u16 { 1 };
    if (count == 0 || count > Packet::k_max_fragments) {
        m_receive->shut("a packet claims to have no buffer, or too many");
        return false;
    }
    u32 payload = length - static_cast<u32>(sizeof(Header));
    Packet packet;
    if (count == 1 && payload <= k_copy_limit) {
        if (auto created = Packet::create(0, payload); created.has_value()) {
            packet = created.release_value();
            std::ranges::copy(buffer.bytes().subspan(sizeof(Header), payload), packet.head().begin());
        }
        repost(std::move(buffer));
    } else {
        packet = assemble(std::move(buffer), length, count);
    }
    if (!packet) {
        statistics().receive_dropped.fetch_add(1, std::memory_order_relaxed);
        return !m_receive->is_broken();
    }
    describe(packet, header);
    count_received(packet.length());
    list.push_back(std::move(packet));
    return true;
}

usize NetDriver::receive_frames(ShortFrameTaker* taker, PacketList& list, usize budget)
{
    if (m_needs_reset.load(std::memory_order_relaxed)) [[unlikely]] {
        recover();
        notify_client(); // who thought that interrupts are on
    }
    // Looked at without the lock: what is missed comes with the next look.
    if (!has_frames())
        return 0;
    Locked lock(m_receive_lock);
    usize count = 0;
    while (count < budget && m_receive->has_completions()
        && ((taker && list.is_empty() && offer_short(*taker)) || receive_one(list)))
        ++count;
    // The device has enough others: it is told of some at a time.
    if (!list.is_empty() || m_receive->unpublished() >= std::min(16, m_receive_buffers / 4)
        || m_lacks_buffers.load(std::memory_order_relaxed))
        fill_receive_queue();
    return count;
}

bool NetDriver::has_frames()
{
    auto* queue = m_live_receive.load(std::memory_order_acquire);
    return !queue || queue->has_completions() || m_lacks_buffers.load(std::memory_order_relaxed)
        || m_needs_reset.load(std::memory_order_relaxed);
}

bool NetDriver::enable_receive_interrupts()
{
    // Still on since last time: what has come since then has its interrupt on its way.
    if (m_receive_armed.load(std::memory_order_acquire))
        return false;
    Locked lock(m_receive_lock);
    m_receive_armed.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release); // see disable_receive_interrupts()
    if (!m_receive->enable_interrupts())
        return false;
    disable_receive_interrupts();
    return true;
}

void NetDriver::disable_receive_interrupts()
{
    // In the order that is the reverse of arming: a thread that arms them meanwhile must not leave them noted as armed,
    // but off. If it finds them noted as armed it relies on us, who arm them again when we have polled.
    if (auto* queue = m_live_receive.load(std::memory_order_acquire))
        queue->disable_interrupts();
    m_receive_armed.store(false, std::memory_order_release);
}

void NetDriver::take_back_transmitted()
{
    Packet packet;
    u32 length;
    while (m_transmit.pop(packet, length))
        packet = Packet();
}

bool NetDriver::transmit(Packet& packet)
{
    Locked lock(m_transmit_lock);
    // The header may take a fragment of its own.
    usize segments = packet.fragment_count() + 1;
    if (m_transmit->outstanding() >= k_queue_size / 4 || !m_transmit->has_room(segments))
        take_back_transmitted();
    if (!m_transmit->has_room(segments) && !m_transmit->is_broken())
        return false;
    NetDeviceStatistics& counted = statistics();
    Header header = describe(packet.offload());
    u32 length = packet.length();
    std::span<u8> place = packet.prepend(sizeof(Header));
    if (place.empty() || m_transmit->is_broken()) {
        counted.transmit_dropped.fetch_add(1, std::memory_order_relaxed);
        packet = Packet();
        return true;
    }
    __builtin_memcpy(place.data(), &header, sizeof(header));
    bool pushed;
    if (u32 count = packet.fragment_count(); count == 1) {
        const std::array segments { dma_segment(packet.head()) };
        pushed = m_transmit.push(packet, segments, {});
    } else {
        std::array<DmaSegment, Packet::k_max_fragments + 1> segments;
        for (u32 i = 0; i < count; ++i)
            segments[i] = dma_segment(packet.fragment(i).bytes());
        pushed = m_transmit.push(packet, std::span(segments).first(count), {});
    }
    if (!pushed) {
        counted.transmit_dropped.fetch_add(1, std::memory_order_relaxed);
        packet = Packet();
        return true;
    }
    counted.transmitted_packets.store(
        counted.transmitted_packets.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    counted.transmitted_bytes.store(
        counted.transmitted_bytes.load(std::memory_order_relaxed) + length, std::memory_order_relaxed);
    return true;
}

void NetDriver::flush()
{
    Locked lock(m_transmit_lock);
    if (m_transmit->has_unpublished())
        m_transport.publish_and_notify(*m_transmit);
}

bool NetDriver::is_transmit_idle()
{
    Locked lock(m_transmit_lock);
    if (m_transmit->has_completions())
        take_back_transmitted();
    return m_transmit->outstanding() == 0;
}

void NetDriver::notify_when_transmitted()
{
    {
        Locked lock(m_transmit_lock);
        if (m_transmit->has_unpublished())
            m_transport.publish_and_notify(*m_transmit);
        take_back_transmitted();
        u16 outstanding = m_transmit->outstanding();
        m_wants_transmitted.store(true, std::memory_order_release);
        if (outstanding != 0 && !m_transmit->is_broken() && !m_transmit->enable_interrupts_after(outstanding))
            return;
        m_transmit->disable_interrupts();
    }
    if (m_wants_transmitted.exchange(false))
        notify_client();
}

Result<> NetDriver::set_mac(MacBytes mac)
{
    if (!m_transport.has(k_control_queue | k_control_mac))
        return Errno::EOPNOTSUPP;
    struct Command {
        u8 kind { k_control_class_mac };
        u8 command { k_control_mac_set };
        MacBytes mac {};
        u8 answer { 0xff };
    };
    auto command = TRY(make<Command>());
    command->mac = mac;
    std::span<u8> bytes(reinterpret_cast<u8*>(command.get()), sizeof(Command));
    const std::array readable { dma_segment(bytes.first(2)), dma_segment(bytes.subspan(2, mac.size())) };
    const std::array writable { dma_segment(bytes.last(1)) };
    Locked lock(m_transmit_lock);
    if (!m_control->push(readable, writable, command.get()))
        return Errno::EIO;
    m_transport.publish_and_notify(*m_control);
    Virtqueue::Completion completion;
    Nanoseconds deadline = arch::now() + Nanoseconds::from_milliseconds(100);
    while (!m_control->pop(completion)) {
        if (arch::now() > deadline || m_control->is_broken()) {
            // The device may yet write its answer.
            m_control->shut("a command is not answered");
            command.leak();
            return Errno::EIO;
        }
        arch::relax();
    }
    if (__atomic_load_n(&command->answer, __ATOMIC_RELAXED) != 0)
        return Errno::EIO;
    m_mac = mac;
    return {};
}

void NetDriver::read_link()
{
    if (m_transport.has(k_status))
        set_link_up((m_transport.read_configuration16(k_configuration_status) & k_link_up) != 0);
}

void NetDriver::on_receive_interrupt()
{
    auto* queue = m_live_receive.load(std::memory_order_acquire);
    if (!queue)
        return;
    // Somebody polled and took what the interrupt was for: the next arrival is to raise one again.
    bool armed = m_receive_armed.load(std::memory_order_acquire);
    if (!queue->has_completions() && !(armed && queue->enable_interrupts()))
        return;
    disable_receive_interrupts();
    notify_client();
}

void NetDriver::on_transmit_interrupt()
{
    auto* queue = m_live_transmit.load(std::memory_order_acquire);
    if (!queue || !queue->has_completions() || !m_wants_transmitted.exchange(false))
        return;
    queue->disable_interrupts();
    notify_client();
}

void NetDriver::on_configuration_interrupt()
{
    if (m_transport.needs_reset())
        m_needs_reset.store(true, std::memory_order_release);
    else
        read_link();
    notify_client();
}

namespace {

Result<> initialize()
{
    static constexpr std::array<std::string_view, 8> k_names { "eth0", "eth1", "eth2", "eth3", "eth4", "eth5", "eth6",
        "eth7" };
    usize count = 0;
    for (std::string_view name : k_names) {
        Transport* transport = take_device(DeviceType::Net);
        if (!transport)
            break;
        auto driver = NetDriver::create(*transport, name);
        if (driver.is_error()) {
            log_error("virtio-net: the device at {} is not available: {}", transport->location(), driver.error());
            continue;
        }
        ++count;
        register_net_device(*driver.release_value().leak());
    }
    if (count == 0)
        log_info("virtio-net: there is no device");
    return {};
}

} // namespace

} // namespace eremite::virtio

ER_COMPONENT(virtio_net, eremite::Stage::Device, eremite::virtio::initialize);
