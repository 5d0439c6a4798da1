#include "syscall/socket_file.h"

#include "net/stack.h"
#include "sched/signal_hooks.h"
#include "syscall/socket_ioctl.h"

namespace eremite {

namespace {

constinit std::atomic<u64> s_next_number { 1 };

} // namespace

Result<> MessageBuffers::add(std::span<const abi::IoVector> vectors)
{
    m_count = vectors.size();
    for (usize i = 0; i < vectors.size(); ++i) {
        IoBuffer buffer { UserBytes(vectors[i].base, vectors[i].length) };
        if (m_count <= k_few)
            m_few[i] = buffer;
        else
            TRY(m_many.try_append(buffer));
    }
    return {};
}

SocketFile::SocketFile(net::SocketRef socket, u32 flags)
    : File(flags)
    , m_socket(std::move(socket))
    , m_number(s_next_number.fetch_add(1, std::memory_order_relaxed))
{
}

SocketFile::~SocketFile()
{
    m_socket->close();
}

Result<RefPtr<File>> SocketFile::create(net::SocketRef socket, u32 flags)
{
    net::SocketRef kept = socket;
    auto file = make_ref<SocketFile>(std::move(socket), flags | abi::k_o_rdwr);
    if (file.is_error()) {
        kept->close();
        return file.error();
    }
    return RefPtr<File>(file.release_value());
}

namespace {

Result<usize> with_signal(net::Socket& socket, Result<usize> sent, u32 flags)
{
    if (sent.is_error() && sent.error() == Errno::EPIPE && (flags & abi::k_msg_nosignal) == 0
        && socket.type() != abi::k_sock_dgram)
        send_kernel_signal(abi::k_sigpipe, arch::current_thread());
    return sent;
}

} // namespace

Result<usize> send_on(net::Socket& socket, net::SendRequest& request)
{
    return with_signal(socket, socket.send(request), request.flags);
}

Result<usize> send_on(net::Socket& socket, const IoBuffer& data, u32 flags, bool nonblocking)
{
    return with_signal(socket, socket.send_bytes(data, flags, nonblocking), flags);
}

Result<usize> SocketFile::read(IoBuffer buffer)
{
    return m_socket->receive_bytes(buffer, 0, is_nonblocking());
}

Result<usize> SocketFile::write(IoBuffer buffer)
{
    return send_on(*m_socket, buffer, 0, is_nonblocking());
}

Result<usize> SocketFile::read_vector(std::span<const abi::IoVector> vectors)
{
    MessageBuffers buffers;
    TRY(buffers.add(vectors));
    net::ReceiveRequest request { .data = net::IoCursor(buffers.span()), .nonblocking = is_nonblocking() };
    return m_socket->receive(request);
}

Result<usize> SocketFile::write_vector(std::span<const abi::IoVector> vectors)
{
    MessageBuffers buffers;
    TRY(buffers.add(vectors));
    net::SendRequest request { .data = net::IoCursor(buffers.span()), .nonblocking = is_nonblocking() };
    return send_on(*m_socket, request);
}

Result<long> SocketFile::ioctl(u32 request, u64 argument)
{
    return socket_ioctl(*m_socket, request, argument);
}

Result<> SocketFile::stat(abi::Stat& stat)
{
    stat.inode = m_number;
    stat.mode = abi::k_s_ifsock | 0777;
    stat.link_count = 1;
    stat.block_size = 4096;
    return {};
}

u32 SocketFile::poll(PollTable* table)
{
    if (table)
        table->add(m_socket->wait_queue());
    return m_socket->readiness();
}

Result<String> SocketFile::description()
{
    std::array<char, 40> text;
    return String::create(format(text, "socket:[{}]", m_number));
}

} // namespace eremite
