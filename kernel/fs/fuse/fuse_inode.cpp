#include "fs/fuse/fuse.h"

#include "arch/clock.h"
#include "base/bytes.h"
#include "base/log.h"

#include <algorithm>

namespace eremite {

namespace {

/// What is asked for at once: what fits into what C libraries read directories with. More would be thrown away.
constexpr usize k_directory_buffer = 2_KiB;
constexpr usize k_directory_plus_buffer = 10_KiB;

template<typename T> std::span<const u8> bytes_of(const T& value)
{
    return { reinterpret_cast<const u8*>(&value), sizeof(T) };
}
template<typename T> std::span<u8> bytes_of(T& value)
{
    return { reinterpret_cast<u8*>(&value), sizeof(T) };
}

/// A name and its NUL, as requests carry it.
constexpr std::array<u8, 1> k_nul { 0 };
std::span<const u8> text_of(std::string_view text)
{
    return { reinterpret_cast<const u8*>(text.data()), text.size() };
}

/// What a daemon allows to keep something for, as a point in time; at most a day.
i64 valid_until(u64 seconds, u32 nanoseconds)
{
    return (arch::now() + Nanoseconds::from_seconds(static_cast<i64>(std::min<u64>(seconds, 86400)))
        + Nanoseconds(std::min<u32>(nanoseconds, 999'999'999)))
        .value();
}

Nanoseconds time_of(u64 seconds, u32 nanoseconds)
{
    return Nanoseconds::from_seconds(std::clamp<i64>(static_cast<i64>(seconds), -9'000'000'000, 9'000'000'000))
        + Nanoseconds(std::min<u32>(nanoseconds, 999'999'999));
}

} // namespace

FuseInode::FuseInode(FuseFileSystem& file_system, u64 node, const fuse::Attr& attributes)
    : Inode(file_system, attributes.inode, attributes.mode)
    , m_pages(this, attributes.size)
{
    m_entry.node = node;
    m_entry.inode = this;
    m_seen_modify_time.store(
        time_of(attributes.modify_seconds, attributes.modify_nanoseconds).value(), std::memory_order_relaxed);
}

FuseInode::~FuseInode()
{
    if (auto written = write_back(); written.is_error())
        log_error("virtiofs: {} while writing back file {}: data are lost", written.error(), number());
    if (m_has_handle) {
        fuse::ReleaseIn release { .handle = m_handle };
        static_cast<void>(
            fuse().call(fuse::Opcode::Release, node(), { bytes_of(std::as_const(release)) }, {}).is_error());
    }
    fuse().inode_gone(*this);
}

u64 FuseInode::size()
{
    if (is_regular())
        return m_pages.size();
    return Inode::size();
}

Result<> FuseInode::update(const fuse::Attr& from, u64 valid, u32 valid_nanoseconds)
{
    if ((from.mode & abi::k_s_ifmt) != type() || from.size > INT64_MAX)
        return Errno::EIO;
    const Nanoseconds modified = time_of(from.modify_seconds, from.modify_nanoseconds);
    {
        Locked lock(m_attributes_lock);
        m_attributes.mode = from.mode;
        m_attributes.link_count = from.link_count;
        m_attributes.uid = from.uid;
        m_attributes.gid = from.gid;
        m_attributes.special_device = (from.special_device & 0xff) | (from.special_device >> 8 & 0xfff) << 8;
        m_attributes.size = from.size;
        m_attributes.blocks = from.blocks;
        m_attributes.block_size = std::clamp<u32>(from.block_size, 512, 1u << 20);
        m_attributes.access_time = time_of(from.access_seconds, from.access_nanoseconds);
        m_attributes.modify_time = modified;
        times_changed();
        m_attributes.change_time = time_of(from.change_seconds, from.change_nanoseconds);
    }
    if (is_regular()) {
        const bool ours = m_wrote.exchange(false);
        if (m_seen_modify_time.exchange(modified.value()) != modified.value() && !ours)
            m_pages.drop_clean(0, ~u64 { 0 });
        if (m_pages.size() != from.size && m_pages.dirty_count() == 0)
            TRY(m_pages.set_size_from_source(from.size));
    }
    m_valid_until.store(valid_until(valid, valid_nanoseconds), std::memory_order_relaxed);
    return {};
}

Result<> FuseInode::refresh()
{
    fuse::GetAttrIn request;
    fuse::AttrOut answer;
    TRY(fuse().call(fuse::Opcode::GetAttributes, node(), { bytes_of(std::as_const(request)) }, bytes_of(answer)));
    return update(answer.attributes, answer.valid, answer.valid_nanoseconds);
}

Result<> FuseInode::attributes(Attributes& result)
{
    if (arch::now().value() >= m_valid_until.load(std::memory_order_relaxed))
        TRY(refresh());
    Locked lock(m_attributes_lock);
    result = m_attributes;
    if (is_regular())
        result.size = m_pages.size();
    return {};
}

Result<> FuseInode::change(fuse::SetAttrIn wanted)
{
    fuse::AttrOut answer;
    TRY(fuse().call(fuse::Opcode::SetAttributes, node(), { bytes_of(std::as_const(wanted)) }, bytes_of(answer)));
    return update(answer.attributes, answer.valid, answer.valid_nanoseconds);
}

Result<> FuseInode::set_attributes(const AttributeChange& change_)
{
    fuse::SetAttrIn wanted;
    if ((change_.what & AttributeChange::Mode) != 0) {
        wanted.valid |= fuse::k_set_mode;
        wanted.mode = type() | change_.mode;
    }
    if ((change_.what & AttributeChange::Uid) != 0) {
        wanted.valid |= fuse::k_set_uid;
        wanted.uid = change_.uid;
    }
    if ((change_.what & AttributeChange::Gid) != 0) {
        wanted.valid |= fuse::k_set_gid;
        wanted.gid = change_.gid;
    }
    const auto split = [](Nanoseconds time, u64& seconds, u32& nanoseconds) {
        i64 whole = time.value() / 1'000'000'000;
        i64 rest = time.value() % 1'000'000'000;
        if (rest < 0) {
            rest += 1'000'000'000;
            --whole;
        }
        seconds = static_cast<u64>(whole);
        nanoseconds = static_cast<u32>(rest);
    };
    if ((change_.what & AttributeChange::AccessTime) != 0) {
        wanted.valid |= fuse::k_set_access_time;
        split(change_.access_time, wanted.access_seconds, wanted.access_nanoseconds);
    }
    if ((change_.what & AttributeChange::ModifyTime) != 0) {
        wanted.valid |= fuse::k_set_modify_time;
        split(change_.modify_time, wanted.modify_seconds, wanted.modify_nanoseconds);
        m_wrote.store(true, std::memory_order_relaxed);
    }
    return change(wanted);
}

Result<Inode::Found> FuseInode::found(const fuse::EntryOut& entry)
{
    RefPtr<FuseInode> inode = TRY(fuse().inode_of(entry));
    return Found { .inode = std::move(inode),
        .valid_until = Nanoseconds(valid_until(entry.entry_valid, entry.entry_valid_nanoseconds)) };
}

Result<Inode::Found> FuseInode::lookup(std::string_view name)
{
    m_names_are_asked_for.store(true, std::memory_order_relaxed);
    fuse::EntryOut entry;
    TRY(fuse().call(fuse::Opcode::Lookup, node(), { text_of(name), k_nul }, bytes_of(entry)));
    if (entry.node == 0)
        return Errno::ENOENT;
    return found(entry);
}

Result<Inode::Found> FuseInode::create(std::string_view name, u32 mode, u64 device)
{
    attributes_expired();
    if ((mode & abi::k_s_ifmt) == abi::k_s_ifdir) {
        const fuse::MakeDirectoryIn argument { .mode = mode & 07777 };
        fuse::EntryOut entry;
        TRY(fuse().call(
            fuse::Opcode::MakeDirectory, node(), { bytes_of(argument), text_of(name), k_nul }, bytes_of(entry)));
        return found(entry);
    }
    if ((mode & abi::k_s_ifmt) != abi::k_s_ifreg) {
        const fuse::MakeNodeIn argument { .mode = mode, .device = static_cast<u32>(device) };
        fuse::EntryOut entry;
        TRY(fuse().call(fuse::Opcode::MakeNode, node(), { bytes_of(argument), text_of(name), k_nul }, bytes_of(entry)));
        return found(entry);
    }
    // Made and opened in one, whatever its mode: the handle waits for the open() that follows.
    const fuse::CreateIn argument {
        .flags = abi::k_o_creat | abi::k_o_excl | abi::k_o_rdwr | abi::native::k_o_largefile, .mode = mode
    };
    fuse::CreateOut answer;
    TRY(fuse().call(fuse::Opcode::Create, node(), { bytes_of(argument), text_of(name), k_nul }, bytes_of(answer)));
    Found result = TRY(found(answer.entry));
    auto& inode = static_cast<FuseInode&>(*result.inode);
    Locked lock(inode.m_handle_lock);
    inode.m_handle = answer.open.handle;
    inode.m_has_handle = true;
    inode.m_handle_is_writable = true;
    return result;
}

Result<Inode::Found> FuseInode::create_symlink(std::string_view name, std::string_view target)
{
    attributes_expired();
    fuse::EntryOut entry;
    TRY(fuse().call(fuse::Opcode::Symlink, node(), { text_of(name), k_nul, text_of(target), k_nul }, bytes_of(entry)));
    return found(entry);
}

Result<> FuseInode::link(std::string_view name, Inode& inode)
{
    attributes_expired();
    auto& existing = static_cast<FuseInode&>(inode);
    const fuse::LinkIn argument { .node = existing.node() };
    fuse::EntryOut entry;
    TRY(fuse().call(fuse::Opcode::Link, node(), { bytes_of(argument), text_of(name), k_nul }, bytes_of(entry)));
    existing.attributes_expired();
    RefPtr<FuseInode> linked = TRY(fuse().inode_of(entry));
    return linked.get() == &existing ? Result<>() : Result<>(Errno::EIO);
}

Result<> FuseInode::unlink(std::string_view name, Inode& inode)
{
    attributes_expired();
    static_cast<FuseInode&>(inode).attributes_expired();
    TRY(fuse().call(fuse::Opcode::Unlink, node(), { text_of(name), k_nul }, {}));
    return {};
}

Result<> FuseInode::remove_directory(std::string_view name, Inode&)
{
    attributes_expired();
    TRY(fuse().call(fuse::Opcode::RemoveDirectory, node(), { text_of(name), k_nul }, {}));
    return {};
}

Result<> FuseInode::rename(
    std::string_view name, Inode& inode, Inode& target, std::string_view new_name, Inode* replaced, bool exchange)
{
    auto& directory = static_cast<FuseInode&>(target);
    attributes_expired();
    directory.attributes_expired();
    static_cast<FuseInode&>(inode).attributes_expired();
    if (replaced)
        static_cast<FuseInode&>(*replaced).attributes_expired();
    if (exchange) {
        const fuse::Rename2In argument { .directory = directory.node(), .flags = abi::k_rename_exchange };
        TRY(fuse().call(
            fuse::Opcode::Rename2, node(), { bytes_of(argument), text_of(name), k_nul, text_of(new_name), k_nul }, {}));
        return {};
    }
    const fuse::RenameIn argument { .directory = directory.node() };
    TRY(fuse().call(
        fuse::Opcode::Rename, node(), { bytes_of(argument), text_of(name), k_nul, text_of(new_name), k_nul }, {}));
    return {};
}

namespace {

/// A daemon's record, checked: `head` is what precedes the name. Takes it off the front of `rest`. EIO.
template<typename Head> Result<std::string_view> take_record(std::span<const u8>& rest, Head& head, fuse::Dirent& entry)
{
    if (rest.size() < sizeof(head))
        return Errno::EIO;
    __builtin_memcpy(&head, rest.data(), sizeof(head));
    const u64 record = align_up(sizeof(head) + u64 { entry.name_length }, 8);
    if (entry.name_length == 0 || entry.name_length > abi::k_name_max || record > rest.size())
        return Errno::EIO;
    const std::string_view name(reinterpret_cast<const char*>(rest.subspan(sizeof(head)).data()), entry.name_length);
    // Most names are too short for two searches.
    bool is_bad = false;
    for (const char c : name)
        is_bad = is_bad || c == '/' || c == '\0';
    if (is_bad)
        return Errno::EIO;
    rest = rest.subspan(record);
    return name;
}

} // namespace

/// The entries that one request brings. Whether there may be more, and they are wanted.
Result<bool> FuseInode::read_plain(u64 handle, u64& position, DirectorySink& sink)
{
    Bytes buffer = TRY(Bytes::create(k_directory_buffer));
    const fuse::ReadIn request { .handle = handle, .offset = position, .size = k_directory_buffer };
    const usize length
        = TRY(fuse().call(fuse::Opcode::ReadDirectory, node(), { bytes_of(request) }, buffer.span(), true));
    std::span<const u8> rest = std::as_const(buffer).span().first(length);
    while (!rest.empty()) {
        fuse::Dirent entry;
        const std::string_view name = TRY(take_record(rest, entry, entry));
        if (!sink.add({ name, entry.inode, static_cast<u8>(entry.type), entry.next }))
            return false;
        if (entry.next == position)
            return Errno::EIO; // would go round for ever
        position = entry.next;
    }
    return length != 0;
}

/// Likewise, with what a lookup of each would bring.
Result<bool> FuseInode::read_plus(u64 handle, u64& position, DirectorySink& sink)
{
    Bytes buffer = TRY(Bytes::create(k_directory_plus_buffer));
    const fuse::ReadIn request { .handle = handle, .offset = position, .size = k_directory_plus_buffer };
    // Nothing may be removed between the daemon's look and ours at what it saw.
    Locked lock(mutex());
    const usize length
        = TRY(fuse().call(fuse::Opcode::ReadDirectoryPlus, node(), { bytes_of(request) }, buffer.span(), true));
    std::span<const u8> rest = std::as_const(buffer).span().first(length);
    bool is_full = false;
    while (!rest.empty()) {
        fuse::DirentPlus plus;
        const fuse::Dirent& entry = plus.dirent;
        const std::string_view name = TRY(take_record(rest, plus, plus.dirent));
        if (plus.entry.node != 0) {
            // Also of those that there is no room for: the lookup has been counted.
            auto named = found(plus.entry);
            if (!named.is_error() && name != "." && name != "..")
                sink.found(name, named.value().inode, named.value().valid_until);
        }
        is_full = is_full || !sink.add({ name, entry.inode, static_cast<u8>(entry.type), entry.next });
        if (is_full)
            continue;
        if (entry.next == position)
            return Errno::EIO; // would go round for ever
        position = entry.next;
    }
    return length != 0 && !is_full;
}

Result<> FuseInode::read_directory(u64 handle, u64 position, u64, DirectorySink& sink)
{
    // Names are looked up with their directory at first, and later if whoever reads it looks at them.
    bool plus = fuse().has_readdirplus() && (position == 0 || m_names_are_asked_for.load(std::memory_order_relaxed));
    m_names_are_asked_for.store(false, std::memory_order_relaxed);
    while (true) {
        auto more = plus ? read_plus(handle, position, sink) : read_plain(handle, position, sink);
        if (plus && more.is_error() && more.error() == Errno::ENOSYS) {
            fuse().no_readdirplus();
            plus = false;
            continue;
        }
        if (!TRY(more))
            return {};
    }
}

Result<String> FuseInode::read_link()
{
    Bytes text = TRY(Bytes::create(abi::k_path_max));
    const usize length = TRY(fuse().call(fuse::Opcode::ReadLink, node(), {}, text.span(), true));
    return String::create({ reinterpret_cast<const char*>(text.span().data()), length });
}

u64 FuseInode::handle()
{
    Locked lock(m_handle_lock);
    return m_handle;
}

Result<u64> FuseInode::open_handle(u32 flags)
{
    if (is_directory()) {
        const fuse::OpenIn request { .flags = abi::k_o_directory };
        fuse::OpenOut answer;
        TRY(fuse().call(fuse::Opcode::OpenDirectory, node(), { bytes_of(request) }, bytes_of(answer)));
        return answer.handle;
    }
    const bool writes = (flags & abi::k_o_accmode) != abi::k_o_rdonly;
    // What another host wrote meanwhile is seen by whoever opens now.
    if (arch::now().value() >= m_valid_until.load(std::memory_order_relaxed))
        TRY(refresh());
    Locked lock(m_handle_lock);
    if (!m_has_handle || (writes && !m_handle_is_writable)) {
        const fuse::OpenIn request { .flags = (writes ? abi::k_o_rdwr : abi::k_o_rdonly) | abi::native::k_o_largefile };
        fuse::OpenOut answer;
        TRY(fuse().call(fuse::Opcode::Open, node(), { bytes_of(request) }, bytes_of(answer)));
        const u64 previous = m_handle;
        const bool had_previous = m_has_handle;
        m_handle = answer.handle;
        m_has_handle = true;
        m_handle_is_writable = writes;
        if (had_previous) {
            fuse::ReleaseIn release { .handle = previous };
            static_cast<void>(
                fuse().call(fuse::Opcode::Release, node(), { bytes_of(std::as_const(release)) }, {}).is_error());
        }
    }
    ++m_opens;
    return u64 { 0 };
}

void FuseInode::close_handle(u64 handle, u32)
{
    fuse::ReleaseIn release { .handle = handle };
    if (is_directory()) {
        static_cast<void>(
            fuse().call(fuse::Opcode::ReleaseDirectory, node(), { bytes_of(std::as_const(release)) }, {}).is_error());
        return;
    }
    bool last;
    {
        Locked lock(m_handle_lock);
        last = --m_opens == 0;
    }
    if (!last)
        return;
    if (auto written = write_back(); written.is_error())
        log_error("virtiofs: {} while writing back file {}: data are lost", written.error(), number());
    Locked lock(m_handle_lock);
    if (m_opens != 0 || !m_has_handle)
        return;
    release.handle = m_handle;
    m_has_handle = false;
    static_cast<void>(fuse().call(fuse::Opcode::Release, node(), { bytes_of(std::as_const(release)) }, {}).is_error());
}

void FuseInode::flush_handle(u64)
{
    if (auto written = write_back(); written.is_error())
        log_error("virtiofs: {} while writing back file {}", written.error(), number());
}

Result<> FuseInode::read_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages)
{
    while (!pages.empty()) {
        const auto batch = pages.first(std::min<usize>(pages.size(), fuse().pages_per_request()));
        const usize length = batch.size() * k_page_size;
        fuse::ReadIn request { .handle = handle(), .offset = first * k_page_size, .size = static_cast<u32>(length) };
        usize got
            = TRY(fuse().transfer(fuse::Opcode::Read, node(), bytes_of(std::as_const(request)), batch, length, {}));
        // A short answer is the end of the file: the rest reads as zero.
        for (const auto& page : batch) {
            const usize filled = std::min(got, k_page_size);
            std::ranges::fill(page.subspan(filled), u8 { 0 });
            got -= filled;
        }
        first += batch.size();
        pages = pages.subspan(batch.size());
    }
    return {};
}

Result<> FuseInode::write_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages, usize length)
{
    m_wrote.store(true, std::memory_order_relaxed);
    while (length != 0) {
        const auto batch = pages.first(std::min<usize>(pages.size(), fuse().pages_per_request()));
        const usize part = std::min(length, batch.size() * k_page_size);
        fuse::ReadIn request { .handle = handle(), .offset = first * k_page_size, .size = static_cast<u32>(part) };
        fuse::WriteOut answer;
        TRY(fuse().transfer(
            fuse::Opcode::Write, node(), bytes_of(std::as_const(request)), batch, part, bytes_of(answer)));
        if (answer.size != part)
            return answer.size < part ? Errno::ENOSPC : Errno::EIO;
        first += batch.size();
        pages = pages.subspan(batch.size());
        length -= part;
    }
    return {};
}

Result<usize> FuseInode::read(u64, u64 offset, IoBuffer buffer)
{
    return m_pages.read(offset, buffer);
}

Result<usize> FuseInode::write(u64, u64 offset, IoBuffer buffer)
{
    const usize count = TRY(m_pages.write(offset, buffer));
    if (count != 0) {
        const u64 first = offset / k_page_size;
        TRY(m_pages.write_back(first, (offset + count - 1) / k_page_size - first + 1, true));
    }
    return count;
}

Result<> FuseInode::truncate(u64, u64 length)
{
    TRY(write_back());
    m_wrote.store(true, std::memory_order_relaxed);
    TRY(m_pages.resize(length));
    return change({ .valid = fuse::k_set_size, .size = length });
}

Result<> FuseInode::allocate(u64, int mode, u64 offset, u64 length)
{
    TRY(write_back());
    const fuse::AllocateIn request {
        .handle = handle(), .offset = offset, .length = length, .mode = static_cast<u32>(mode)
    };
    TRY(fuse().call(fuse::Opcode::Allocate, node(), { bytes_of(request) }, {}));
    m_pages.drop_clean(offset / k_page_size, length / k_page_size + 2);
    m_wrote.store(true, std::memory_order_relaxed);
    return refresh();
}

Result<> FuseInode::sync(u64 handle_, bool data_only)
{
    TRY(write_back());
    const fuse::SyncIn request { .handle = is_directory() ? handle_ : handle(), .flags = data_only ? 1u : 0u };
    auto synced = fuse().call(
        is_directory() ? fuse::Opcode::SyncDirectory : fuse::Opcode::Sync, node(), { bytes_of(request) }, {});
    // A daemon without it has nothing to do.
    if (synced.is_error() && synced.error() != Errno::ENOSYS)
        return synced.error();
    return {};
}

Result<u64> FuseInode::seek_data(u64, u64 offset, bool hole)
{
    TRY(write_back());
    const fuse::SeekIn request {
        .handle = handle(), .offset = offset, .whence = static_cast<u32>(hole ? abi::k_seek_hole : abi::k_seek_data)
    };
    fuse::SeekOut answer;
    auto result = fuse().call(fuse::Opcode::Seek, node(), { bytes_of(request) }, bytes_of(answer));
    if (result.is_error()) {
        if (result.error() == Errno::ENOSYS)
            return hole ? size() : offset; // all of it is data
        return result.error();
    }
    return answer.offset > INT64_MAX ? Result<u64>(Errno::EIO) : Result<u64>(answer.offset);
}

Result<usize> FuseInode::get_xattr(std::string_view name, std::span<u8> buffer)
{
    const fuse::XattrIn request { .size = static_cast<u32>(buffer.size()) };
    if (!buffer.empty())
        return fuse().call(fuse::Opcode::GetXattr, node(), { bytes_of(request), text_of(name), k_nul }, buffer, true);
    fuse::XattrOut answer;
    TRY(fuse().call(fuse::Opcode::GetXattr, node(), { bytes_of(request), text_of(name), k_nul }, bytes_of(answer)));
    return usize { answer.size };
}

Result<> FuseInode::set_xattr(std::string_view name, std::span<const u8> value, int flags)
{
    const fuse::XattrIn request { .size = static_cast<u32>(value.size()), .flags = static_cast<u32>(flags) };
    TRY(fuse().call(fuse::Opcode::SetXattr, node(), { bytes_of(request), text_of(name), k_nul, value }, {}));
    return {};
}

Result<> FuseInode::remove_xattr(std::string_view name)
{
    TRY(fuse().call(fuse::Opcode::RemoveXattr, node(), { text_of(name), k_nul }, {}));
    return {};
}

Result<usize> FuseInode::list_xattrs(std::span<u8> buffer)
{
    const fuse::XattrIn request { .size = static_cast<u32>(buffer.size()) };
    if (!buffer.empty())
        return fuse().call(fuse::Opcode::ListXattrs, node(), { bytes_of(request) }, buffer, true);
    fuse::XattrOut answer;
    TRY(fuse().call(fuse::Opcode::ListXattrs, node(), { bytes_of(request) }, bytes_of(answer)));
    return usize { answer.size };
}

} // namespace eremite
