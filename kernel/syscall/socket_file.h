// A socket as a file: what a descriptor of socket(2) refers to.
#pragma once

#include "file/file.h"
#include "net/socket.h"

namespace eremite {

class SocketFile final : public File {
public:
    /// Takes over the socket: it is closed with the last descriptor. ENOMEM (the socket is closed then, too).
    static Result<RefPtr<File>> create(net::SocketRef socket, u32 flags);
    SocketFile(net::SocketRef socket, u32 flags);
    ~SocketFile() override;

    Result<usize> read(IoBuffer buffer) override;
    Result<usize> write(IoBuffer buffer) override;
    Result<usize> read_vector(std::span<const abi::IoVector> vectors) override;
    Result<usize> write_vector(std::span<const abi::IoVector> vectors) override;
    Result<long> ioctl(u32 request, u64 argument) override;
    Result<> stat(abi::Stat& stat) override;
    u32 poll(PollTable* table) override;
    net::Socket* socket() override { return m_socket.get(); }
    Result<String> description() override;

private:
    net::SocketRef m_socket;
    u64 m_number;
};

/// Sends, and raises SIGPIPE where Linux does.
Result<usize> send_on(net::Socket& socket, net::SendRequest& request);
Result<usize> send_on(net::Socket& socket, const IoBuffer& data, u32 flags, bool nonblocking);

/// Buffers made of an iovec, few without allocation.
class MessageBuffers {
public:
    Result<> add(std::span<const abi::IoVector> vectors);
    std::span<const IoBuffer> span() const
    {
        return m_count <= k_few ? std::span<const IoBuffer>(m_few).first(m_count) : m_many.span();
    }

private:
    static constexpr usize k_few = 8;
    static IoBuffer none() { return UserBytes(); }
    std::array<IoBuffer, k_few> m_few { none(), none(), none(), none(), none(), none(), none(), none() };
    Vector<IoBuffer> m_many;
    usize m_count { 0 };
};

} // namespace eremite
