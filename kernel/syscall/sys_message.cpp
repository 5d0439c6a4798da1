// sendmsg(2), recvmsg(2) and their plural forms: many buffers, an address, control messages (cmsg(3)).
#include "arch/clock.h"
#include "net/stack.h"
#include "syscall/socket_address.h"
#include "syscall/socket_file.h"
#include "syscall/sys_socket.h"
#include "syscall/time_argument.h"
#include <algorithm>

namespace eremite {

namespace {

using namespace net;

constexpr usize k_max_control = 4096;
constexpr usize k_max_descriptors = 253; // SCM_MAX_FD

/// Descriptors under way.
class PassedFiles final : public Attachment {
public:
    Vector<RefPtr<File>> files;
};

constexpr usize control_align(usize length)
{
    return (length + 7) & ~usize { 7 };
}

template<typename T> Result<T> value_of(std::span<const u8> data)
{
    auto* value = header_at<std::array<u8, sizeof(T)>>(data);
    if (!value)
        return Errno::EINVAL;
    return std::bit_cast<T>(*value);
}

Result<> take_control(std::span<const u8> control, SendRequest& request)
{
    while (control.size() >= sizeof(abi::ControlHeader)) {
        auto header = TRY(value_of<abi::ControlHeader>(control));
        if (header.length < sizeof(header) || header.length > control.size())
            return Errno::EINVAL;
        auto data = control.subspan(sizeof(header), header.length - sizeof(header));
        if (header.level == abi::k_sol_socket && header.type == abi::k_scm_rights) {
            auto passed = TRY(make_ref<PassedFiles>());
            if (data.size() / sizeof(i32) > k_max_descriptors)
                return Errno::EINVAL;
            for (usize at = 0; at + sizeof(i32) <= data.size(); at += sizeof(i32)) {
                BorrowedFile file(TRY(value_of<i32>(data.subspan(at))));
                if (!file)
                    return Errno::EBADF;
                TRY(passed->files.try_append(file.reference()));
            }
            request.attachment = RefPtr<Attachment>(std::move(passed));
        } else if (header.level == abi::k_ipproto_ip && header.type == abi::k_ip_pktinfo) {
            auto info = TRY(value_of<abi::PacketInfo>(data));
            request.interface = static_cast<u32>(info.interface);
            IpAddress local = IpAddress::v4(info.local[0], info.local[1], info.local[2], info.local[3]);
            if (!local.is_unspecified())
                request.source = local;
        } else if (header.level == abi::k_sol_ipv6 && header.type == abi::k_ipv6_pktinfo) {
            auto* address = header_at<WireAddress>(data);
            if (!address || data.size() < 20)
                return Errno::EINVAL;
            request.source = IpAddress::from_wire(*address);
            request.interface = TRY(value_of<u32>(data.subspan(16)));
        } else if ((header.level == abi::k_ipproto_ip && header.type == abi::k_ip_ttl)
            || (header.level == abi::k_sol_ipv6 && header.type == abi::k_ipv6_hoplimit)) {
            request.hop_limit = TRY(value_of<i32>(data));
        } else if ((header.level == abi::k_ipproto_ip && header.type == abi::k_ip_tos)
            || (header.level == abi::k_sol_ipv6 && header.type == abi::k_ipv6_tclass)) {
            request.traffic_class = data.size() >= 4 ? TRY(value_of<i32>(data)) : i32 { TRY(value_of<u8>(data)) };
        } else if (header.level == abi::k_sol_udp && header.type == abi::k_udp_segment) {
            request.segment_size = TRY(value_of<u16>(data));
        }
        control = control.subspan(std::min(control_align(header.length), control.size()));
    }
    return {};
}

/// Builds what recvmsg returns in msg_control.
class ControlWriter {
public:
    explicit ControlWriter(usize room)
        : m_room(std::min(room, m_bytes.size()))
    {
    }
    usize room_for_data() const
    {
        return m_room < m_used + sizeof(abi::ControlHeader) ? 0 : m_room - m_used - sizeof(abi::ControlHeader);
    }
    void add(int level, int type, std::span<const u8> data)
    {
        usize length = sizeof(abi::ControlHeader) + data.size();
        if (m_used + length > m_room) {
            truncated = true;
            return;
        }
        abi::ControlHeader header { length, level, type };
        auto place = std::span(m_bytes).subspan(m_used);
        std::ranges::copy(bytes_of(header), place.begin());
        std::ranges::copy(data, place.subspan(sizeof(header)).begin());
        m_used = std::min(m_used + control_align(length), m_room);
    }
    std::span<const u8> bytes() const { return std::span(m_bytes).first(m_used); }

    bool truncated { false };

private:
    std::array<u8, 1536> m_bytes {};
    usize m_room;
    usize m_used { 0 };
};

void give_descriptors(const Attachment& attachment, u32 flags, ControlWriter& control)
{
    auto& files = static_cast<const PassedFiles&>(attachment).files;
    std::array<i32, k_max_descriptors> numbers;
    usize fits = std::min(files.size(), control.room_for_data() / sizeof(i32));
    usize count = 0;
    for (; count < fits; ++count) {
        auto installed = fd_table().install(files[count], (flags & abi::k_msg_cmsg_cloexec) != 0);
        if (installed.is_error())
            break;
        numbers[count] = installed.value();
    }
    control.truncated = control.truncated || count < files.size();
    if (count > 0) {
        auto used = std::span<const i32>(numbers).first(count);
        control.add(
            abi::k_sol_socket, abi::k_scm_rights, { reinterpret_cast<const u8*>(used.data()), used.size_bytes() });
    }
}

void give_packet_information(Socket& socket, const ReceiveRequest& request, ControlWriter& control)
{
    const ReceiveOptions& wants = socket.receive_options();
    if (wants.timestamp) {
        std::array<i64, 2> time { request.arrival.seconds(), request.arrival.microseconds() % 1'000'000 };
        control.add(abi::k_sol_socket, abi::k_so_timestamp, bytes_of(time));
    }
    if (wants.timestamp_nanoseconds) {
        std::array<i64, 2> time { request.arrival.seconds(), request.arrival.value() % 1'000'000'000 };
        control.add(abi::k_sol_socket, abi::k_so_timestampns, bytes_of(time));
    }
    bool v4 = request.destination.is_v4();
    if (wants.packet_info && v4) {
        auto address = std::bit_cast<std::array<u8, 4>>(Be32(request.destination.as_v4()));
        control.add(abi::k_ipproto_ip, abi::k_ip_pktinfo,
            bytes_of(abi::PacketInfo { static_cast<i32>(request.interface), address, address }));
    }
    if (wants.packet_info6)
        control.add(abi::k_sol_ipv6, abi::k_ipv6_pktinfo,
            bytes_of(abi::PacketInfo6 { request.destination.to_wire(), request.interface }));
    i32 hops = request.hop_limit;
    i32 traffic_class = request.traffic_class;
    if (wants.hop_limit && v4)
        control.add(abi::k_ipproto_ip, abi::k_ip_ttl, bytes_of(hops));
    if (wants.hop_limit6)
        control.add(abi::k_sol_ipv6, abi::k_ipv6_hoplimit, bytes_of(hops));
    if (wants.traffic_class && v4)
        control.add(abi::k_ipproto_ip, abi::k_ip_tos, bytes_of(request.traffic_class));
    if (wants.traffic_class6)
        control.add(abi::k_sol_ipv6, abi::k_ipv6_tclass, bytes_of(traffic_class));
}

Result<> copy_vectors(const abi::MessageHeader& header, Vector<abi::IoVector>& vectors)
{
    if (header.vector_count > 1024)
        return Errno::EMSGSIZE;
    TRY(vectors.try_resize(header.vector_count));
    TRY(UserSpan<abi::IoVector>(header.vectors, header.vector_count).copy_to_kernel(vectors.span()));
    u64 total = 0;
    for (auto& vector : vectors) {
        if (static_cast<i64>(vector.length) < 0)
            return Errno::EINVAL;
        vector.length = std::min<u64>(vector.length, abi::k_max_transfer - total);
        total += vector.length;
    }
    return {};
}

Result<Socket*> socket_of(const BorrowedFile& file)
{
    if (!file)
        return Errno::EBADF;
    if (Socket* socket = file->socket())
        return socket;
    return Errno::ENOTSOCK;
}

Result<usize> send_message(const BorrowedFile& file, Socket& socket, const abi::MessageHeader& header, u32 flags)
{
    Vector<abi::IoVector> vectors;
    TRY(copy_vectors(header, vectors));
    MessageBuffers buffers;
    TRY(buffers.add(std::as_const(vectors).span()));
    SocketAddress destination;
    SendRequest request { .data = IoCursor(buffers.span()),
        .flags = flags,
        .nonblocking = (flags & abi::k_msg_dontwait) != 0 || file->is_nonblocking() };
    if (header.name != 0 && header.name_length != 0) {
        TRY(read_socket_address(UserPointer<u8>(header.name), header.name_length, destination));
        request.destination = &destination;
    }
    if (header.control_length > 0 && header.control != 0) {
        if (header.control_length > k_max_control)
            return Errno::ENOBUFS;
        Vector<u8> control;
        TRY(control.try_resize(header.control_length));
        TRY(UserBytes(header.control, control.size()).copy_to_kernel(control.span()));
        TRY(take_control(std::as_const(control).span(), request));
    }
    return send_on(socket, request);
}

Result<usize> receive_message(
    const BorrowedFile& file, Socket& socket, UserPointer<abi::MessageHeader> pointer, u32 flags)
{
    abi::MessageHeader header = TRY(pointer.read());
    Vector<abi::IoVector> vectors;
    TRY(copy_vectors(header, vectors));
    MessageBuffers buffers;
    TRY(buffers.add(std::as_const(vectors).span()));
    SocketAddress source;
    ReceiveRequest request { .data = IoCursor(buffers.span()),
        .flags = flags,
        .nonblocking = (flags & abi::k_msg_dontwait) != 0 || file->is_nonblocking() };
    if (header.name != 0)
        request.source = &source;
    usize received = TRY(socket.receive(request));
    ControlWriter control(header.control != 0 ? header.control_length : 0);
    if (request.has_packet_info)
        give_packet_information(socket, request, control);
    if (socket.receive_options().credentials)
        control.add(abi::k_sol_socket, abi::k_scm_credentials, bytes_of(abi::Credentials { 1, 0, 0 }));
    if (request.attachment)
        give_descriptors(*request.attachment, flags, control);
    if (header.name != 0) {
        std::array<u8, 128> bytes;
        usize length = source.family == abi::k_af_unspec || (source.family == abi::k_af_unix && source.path_length == 0)
            ? 0
            : encode_socket_address(source, bytes);
        usize copied = std::min<usize>(length, header.name_length);
        TRY(UserBytes(header.name, copied).copy_from_kernel(std::span<const u8>(bytes).first(copied)));
        header.name_length = static_cast<u32>(length);
    }
    if (header.control != 0)
        TRY(UserBytes(header.control, control.bytes().size()).copy_from_kernel(control.bytes()));
    header.control_length = control.bytes().size();
    header.flags
        = request.result_flags | (control.truncated ? abi::k_msg_ctrunc : 0) | (flags & abi::k_msg_cmsg_cloexec);
    TRY(pointer.write(header));
    return received;
}

} // namespace

Result<long> sys_sendmsg(int fd, UserPointer<abi::MessageHeader> message, u32 flags)
{
    BorrowedFile file(fd);
    Socket* socket = TRY(socket_of(file));
    return static_cast<long>(TRY(send_message(file, *socket, TRY(message.read()), flags)));
}

Result<long> sys_recvmsg(int fd, UserPointer<abi::MessageHeader> message, u32 flags)
{
    BorrowedFile file(fd);
    Socket* socket = TRY(socket_of(file));
    return static_cast<long>(TRY(receive_message(file, *socket, message, flags)));
}

Result<long> sys_sendmmsg(int fd, UserPointer<abi::MultiMessageHeader> messages, u32 count, u32 flags)
{
    BorrowedFile file(fd);
    Socket* socket = TRY(socket_of(file));
    count = std::min(count, 1024u);
    u32 done = 0;
    for (; done < count; ++done) {
        auto message = TRY(messages.at(done).read());
        // All but the last say that more follows, so that the device is told once.
        auto sent = send_message(file, *socket, message.header,
            done + 1 < count && socket->type() == abi::k_sock_dgram ? flags | abi::k_msg_more : flags);
        if (sent.is_error()) {
            if (socket->stack())
                socket->stack()->finish();
            if (done == 0)
                return sent.error();
            break;
        }
        message.length = static_cast<u32>(sent.value());
        TRY(messages.at(done).write(message));
    }
    return static_cast<long>(done);
}

Result<long> sys_recvmmsg(
    int fd, UserPointer<abi::MultiMessageHeader> messages, u32 count, u32 flags, UserPointer<abi::TimeSpec> timeout)
{
    BorrowedFile file(fd);
    Socket* socket = TRY(socket_of(file));
    Nanoseconds deadline = Nanoseconds::max();
    if (!timeout.is_null())
        deadline = arch::now() + TRY(to_nanoseconds(TRY(timeout.read())));
    count = std::min(count, 1024u);
    u32 done = 0;
    for (; done < count; ++done) {
        auto pointer = messages.at(done);
        auto received
            = receive_message(file, *socket, pointer.as<abi::MessageHeader>(), flags & ~abi::k_msg_waitforone);
        if (received.is_error()) {
            if (done == 0)
                return received.error();
            break;
        }
        TRY(UserPointer<u32>(pointer.address() + sizeof(abi::MessageHeader)).write(static_cast<u32>(received.value())));
        if ((flags & abi::k_msg_waitforone) != 0)
            flags |= abi::k_msg_dontwait;
        // As Linux: the timeout is looked at between datagrams only.
        if (arch::now() >= deadline) {
            ++done;
            break;
        }
    }
    return static_cast<long>(done);
}

} // namespace eremite
