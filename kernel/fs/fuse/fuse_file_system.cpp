#include "fs/fuse/fuse.h"

#include "arch/clock.h"
#include "base/bytes.h"
#include "base/component.h"
#include "base/log.h"
#include "boot/options.h"
#include "fs/mount.h"
#include "mm/frame_loan.h"

#include <algorithm>

namespace eremite {

namespace {

template<typename T> std::span<const u8> bytes_of(const T& value)
{
    return { reinterpret_cast<const u8*>(&value), sizeof(T) };
}
template<typename T> std::span<u8> bytes_of(T& value)
{
    return { reinterpret_cast<u8*>(&value), sizeof(T) };
}

/// Once a daemon is silent, what else is asked of it waits so long: enough to see that it is there again.
constexpr Nanoseconds k_timeout_while_silent = Nanoseconds::from_seconds(1);

/// A request and its answer; the pages that go with them are a page cache's, which may have to do without them.
class FuseMessage final : public RequestMemory {
public:
    /// For a request of that size with its header, and so much of a reply behind the answer's. ENOMEM.
    static Result<OwnPtr<FuseMessage>> create(usize request_size, usize reply_size)
    {
        auto message = TRY(make<FuseMessage>());
        message->request = TRY(Bytes::create(request_size));
        message->answer = TRY(Bytes::create(sizeof(fuse::OutHeader) + reply_size));
        return message;
    }
    ~FuseMessage() override { loan.end(); }
    void on_late() override { loan.begin(); }

    Bytes request;
    Bytes answer;
    FrameLoan loan;
};

} // namespace

Nanoseconds FuseFileSystem::deadline() const
{
    if (m_timeout == Nanoseconds())
        return Nanoseconds::max();
    const bool is_silent = m_is_silent.load(std::memory_order_relaxed);
    return arch::now() + (is_silent ? std::min(m_timeout, k_timeout_while_silent) : m_timeout);
}

Result<usize> FuseFileSystem::exchange(std::span<const std::span<const u8>> requests,
    std::span<const std::span<u8>> replies, OwnPtr<RequestMemory>& memory)
{
    auto received = m_transport.exchange(requests, replies, memory, deadline());
    if (!received.is_error()) {
        if (m_is_silent.load(std::memory_order_relaxed) && m_is_silent.exchange(false, std::memory_order_relaxed))
            log_warning("virtiofs {}: the daemon answers again", m_transport.tag());
        return received;
    }
    if (received.error() != Errno::ETIMEDOUT)
        return received.error();
    if (!m_is_silent.exchange(true, std::memory_order_relaxed))
        log_error("virtiofs {}: the daemon has not answered for {} s: who needs it gets EIO until it does",
            m_transport.tag(), m_timeout.value() / 1'000'000'000);
    return Errno::EIO;
}

Result<> FuseFileSystem::check(const fuse::OutHeader& header, u64 unique, usize received) const
{
    if (received < sizeof(header) || header.length != received || header.unique != unique) {
        log_warning("virtiofs {}: the daemon's answer is malformed", m_transport.tag());
        return Errno::EIO;
    }
    if (header.error == 0)
        return {};
    // Linux's numbers end at 133; ERESTARTSYS and its like are no business of ours.
    if (header.error > 0 || header.error < -133 || received != sizeof(header)) {
        log_warning("virtiofs {}: the daemon answered with the unknown error {}", m_transport.tag(), header.error);
        return Errno::EIO;
    }
    return static_cast<Errno>(-header.error);
}

Result<usize> FuseFileSystem::call(fuse::Opcode opcode, u64 node, std::initializer_list<std::span<const u8>> parts,
    std::span<u8> reply, bool reply_may_be_shorter)
{
    usize size = sizeof(fuse::InHeader);
    for (std::span<const u8> part : parts)
        size += part.size();
    OwnPtr<FuseMessage> message = TRY(FuseMessage::create(size, reply.size()));
    const std::span<u8> request = message->request.span();
    const std::span<u8> answer = message->answer.span();
    fuse::InHeader header;
    header.length = static_cast<u32>(size);
    header.opcode = opcode;
    header.unique = m_next_unique.fetch_add(2, std::memory_order_relaxed);
    header.node = node;
    header.pid = 1;
    std::ranges::copy(bytes_of(header), request.begin());
    std::span<u8> out = request.subspan(sizeof(header));
    for (std::span<const u8> part : parts) {
        std::ranges::copy(part, out.begin());
        out = out.subspan(part.size());
    }
    const std::array<std::span<const u8>, 1> requests { request };
    const std::array<std::span<u8>, 1> replies { answer };
    OwnPtr<RequestMemory> memory = std::move(message);
    const usize received = TRY(exchange(requests, replies, memory));
    fuse::OutHeader result;
    if (received > answer.size())
        return Errno::EIO;
    std::ranges::copy(answer.first(sizeof(result)), bytes_of(result).begin());
    TRY(check(result, header.unique, received));
    const usize payload = received - sizeof(result);
    if (payload > reply.size() || (payload < reply.size() && !reply_may_be_shorter)) {
        log_warning("virtiofs {}: the daemon's answer has {} bytes, not {}", m_transport.tag(), payload, reply.size());
        return Errno::EIO;
    }
    std::ranges::copy(answer.subspan(sizeof(result), payload), reply.begin());
    return payload;
}

Result<usize> FuseFileSystem::transfer(fuse::Opcode opcode, u64 node, std::span<const u8> argument,
    std::span<const std::span<u8, k_page_size>> pages, usize length, std::span<u8> reply)
{
    const bool is_read = opcode == fuse::Opcode::Read;
    OwnPtr<FuseMessage> message = TRY(FuseMessage::create(sizeof(fuse::InHeader) + argument.size(), reply.size()));
    const std::span<u8> request = message->request.span();
    const std::span<u8> answer = message->answer.span();
    fuse::InHeader header;
    header.length = static_cast<u32>(request.size() + (is_read ? 0 : length));
    header.opcode = opcode;
    header.unique = m_next_unique.fetch_add(2, std::memory_order_relaxed);
    header.node = node;
    header.pid = 1;
    std::ranges::copy(bytes_of(header), request.begin());
    std::ranges::copy(argument, request.subspan(sizeof(header)).begin());

    std::array<std::span<const u8>, FuseTransport::k_max_parts> requests;
    std::array<std::span<u8>, FuseTransport::k_max_parts> replies;
    usize request_count = 0;
    usize reply_count = 0;
    requests[request_count++] = request;
    replies[reply_count++] = answer;
    usize left = length;
    for (const auto& page : pages) {
        const usize part = std::min(left, k_page_size);
        if (part == 0)
            break;
        message->loan.add(direct_map_to_physical(page.data()));
        if (is_read)
            replies[reply_count++] = page.first(part);
        else
            requests[request_count++] = page.first(part);
        left -= part;
    }
    OwnPtr<RequestMemory> memory = std::move(message);
    const usize received
        = TRY(exchange(std::span(requests).first(request_count), std::span(replies).first(reply_count), memory));
    fuse::OutHeader result;
    std::ranges::copy(answer.first(sizeof(result)), bytes_of(result).begin());
    TRY(check(result, header.unique, received));
    const usize payload = received - sizeof(result);
    if (payload > (is_read ? length : reply.size()) || (!is_read && payload != reply.size()))
        return Errno::EIO;
    std::ranges::copy(answer.subspan(sizeof(result)), reply.begin());
    return payload;
}

void FuseFileSystem::forget(u64 node, u64 lookups)
{
    struct {
        fuse::InHeader header;
        fuse::ForgetIn argument;
    } message;
    message.header.length = sizeof(message);
    message.header.opcode = fuse::Opcode::Forget;
    message.header.unique = m_next_unique.fetch_add(2, std::memory_order_relaxed);
    message.header.node = node;
    message.argument.lookups = lookups;
    // Nothing to be done about an error: the daemon is gone, and its memory with it.
    static_cast<void>(m_transport.send(bytes_of(std::as_const(message)), deadline()));
}

Result<RefPtr<FuseFileSystem>> FuseFileSystem::create(FuseTransport& transport, Nanoseconds timeout)
{
    RefPtr<FuseFileSystem> result = TRY(make_ref<FuseFileSystem>(transport, timeout));
    fuse::InitIn wanted;
    wanted.max_readahead = 128_KiB;
    wanted.flags = fuse::k_init_async_read | fuse::k_init_big_writes | fuse::k_init_parallel_directories
        | fuse::k_init_max_pages | fuse::k_init_readdirplus | fuse::k_init_readdirplus_auto;
    fuse::InitOut got;
    TRY(result->call(fuse::Opcode::Init, 0, { bytes_of(std::as_const(wanted)) }, bytes_of(got)));
    if (got.major != fuse::k_major || got.minor < fuse::k_min_minor) {
        log_warning("virtiofs {}: the daemon speaks FUSE {}.{}, not {}.{} or later", transport.tag(), got.major,
            got.minor, fuse::k_major, fuse::k_min_minor);
        return Errno::EPROTO;
    }
    // A header and an answer go beside the pages.
    usize pages = std::min<usize>(FuseTransport::k_max_parts - 4, got.max_write / k_page_size);
    if ((got.flags & fuse::k_init_max_pages) != 0)
        pages = std::min<usize>(pages, got.max_pages);
    if (transport.max_transfer() > 4 * k_page_size)
        pages = std::min(pages, transport.max_transfer() / k_page_size - 2);
    result->m_has_readdirplus.store((got.flags & fuse::k_init_readdirplus) != 0, std::memory_order_relaxed);
    result->m_pages_per_request = static_cast<u32>(std::max<usize>(pages, 1));
    return result;
}

Result<RefPtr<FuseInode>> FuseFileSystem::inode_of(const fuse::EntryOut& entry)
{
    const u32 type = entry.attributes.mode & abi::k_s_ifmt;
    if (entry.node == 0 || entry.node == fuse::k_root_node || entry.attributes.size > INT64_MAX
        || (type != abi::k_s_ifreg && type != abi::k_s_ifdir && type != abi::k_s_iflnk && type != abi::k_s_ifchr
            && type != abi::k_s_ifblk && type != abi::k_s_ififo && type != abi::k_s_ifsock))
        return Errno::EIO;
    RefPtr<FuseInode> inode;
    {
        Locked lock(m_table_lock);
        auto at = m_table.find(entry.node);
        if (at != m_table.end()) {
            if (at->inode->try_ref())
                inode = RefPtr<FuseInode>::adopt(at->inode);
            else
                m_table.erase(at); // about to go; its own lookups it gives back itself
        }
        if (!inode) {
            auto made = make_ref<FuseInode>(*this, entry.node, entry.attributes);
            if (!made.is_error()) {
                inode = made.release_value();
                m_table.insert(inode->m_entry);
            }
        }
        if (inode)
            inode->m_lookups.fetch_add(1, std::memory_order_relaxed);
    }
    if (!inode) {
        forget(entry.node, 1);
        return Errno::ENOMEM;
    }
    if (inode->type() != type) {
        log_warning("virtiofs {}: file {} changed its type", m_transport.tag(), entry.node);
        return Errno::EIO;
    }
    TRY(inode->update(entry.attributes, entry.attributes_valid, entry.attributes_valid_nanoseconds));
    return inode;
}

void FuseFileSystem::inode_gone(FuseInode& inode)
{
    {
        Locked lock(m_table_lock);
        if (inode.m_entry.hook.is_linked())
            m_table.erase(m_table.iterator_to(inode.m_entry));
    }
    if (const u64 lookups = inode.m_lookups.load(std::memory_order_relaxed); lookups != 0)
        forget(inode.node(), lookups);
}

Result<RefPtr<Inode>> FuseFileSystem::root()
{
    fuse::GetAttrIn request;
    fuse::AttrOut answer;
    TRY(call(fuse::Opcode::GetAttributes, fuse::k_root_node, { bytes_of(std::as_const(request)) }, bytes_of(answer)));
    if ((answer.attributes.mode & abi::k_s_ifmt) != abi::k_s_ifdir)
        return Errno::EIO;
    return RefPtr<Inode>(TRY(make_ref<FuseInode>(*this, fuse::k_root_node, answer.attributes)));
}

Result<> FuseFileSystem::statfs(abi::StatFs& statistics)
{
    fuse::StatFsOut answer;
    TRY(call(fuse::Opcode::StatFs, fuse::k_root_node, {}, bytes_of(answer)));
    statistics.type = 0x65735546; // FUSE_SUPER_MAGIC
    statistics.block_size = answer.block_size;
    statistics.fragment_size = answer.fragment_size;
    statistics.blocks = answer.blocks;
    statistics.free_blocks = answer.free_blocks;
    statistics.available_blocks = answer.available_blocks;
    statistics.files = answer.files;
    statistics.free_files = answer.free_files;
    statistics.name_length = answer.name_length;
    return {};
}

Result<> FuseFileSystem::sync()
{
    Vector<RefPtr<FuseInode>> inodes;
    {
        Locked lock(m_table_lock);
        for (Hook& entry : m_table) {
            if (entry.inode->m_pages.dirty_count() != 0 && entry.inode->try_ref())
                TRY(inodes.try_append(RefPtr<FuseInode>::adopt(entry.inode)));
        }
    }
    Result<> result;
    for (auto& inode : inodes) {
        if (auto written = inode->write_back(); written.is_error() && !result.is_error())
            result = written.error();
    }
    return result;
}

void FuseFileSystem::unmounted()
{
    static_cast<void>(call(fuse::Opcode::Destroy, 0, {}, {}).is_error());
}

namespace {

/// fuse-timeout=SECONDS
Nanoseconds timeout_option()
{
    const auto value = boot_option("fuse-timeout");
    if (!value)
        return FuseFileSystem::k_default_timeout;
    constexpr i64 most = 86400;
    i64 seconds = 0;
    for (char c : *value) {
        if (c < '0' || c > '9' || seconds > most) {
            log_warning("virtiofs: fuse-timeout={} is no number of seconds", *value);
            return FuseFileSystem::k_default_timeout;
        }
        seconds = seconds * 10 + (c - '0');
    }
    return Nanoseconds::from_seconds(seconds);
}

Result<RefPtr<FileSystem>> mount_virtiofs(std::string_view source, std::string_view)
{
    FuseTransport* transport = find_fuse_transport(source);
    if (!transport) {
        log_error("virtiofs: there is no device with the tag {}", source);
        return Errno::ENODEV;
    }
    return RefPtr<FileSystem>(TRY(FuseFileSystem::create(*transport, timeout_option())));
}

constinit FileSystemType s_virtiofs { .name = "virtiofs", .mount = mount_virtiofs };

Result<> initialize_virtiofs()
{
    ER_NEEDS(virtio_fs);
    register_file_system_type(s_virtiofs);
    return {};
}

} // namespace

ER_COMPONENT(virtiofs, Stage::Subsystem, initialize_virtiofs);

} // namespace eremite
