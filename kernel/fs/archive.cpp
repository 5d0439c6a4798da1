#include "fs/archive.h"

#include "abi/fs.h"
#include <algorithm>

namespace eremite {

namespace {

constexpr usize k_block = 512;

std::string_view text_of(std::span<const u8> bytes)
{
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return all.substr(0, std::min(all.find('\0'), all.size()));
}

/// A tar number: octal digits, or base 256 when the first bit is set (GNU).
bool parse_tar_number(std::span<const u8> field, u64& value)
{
    value = 0;
    if ((field[0] & 0x80) != 0) {
        if ((field[0] & 0x40) != 0)
            return false; // negative
        value = field[0] & 0x3f;
        for (u8 byte : field.subspan(1)) {
            if ((value >> 56) != 0)
                return false;
            value = value << 8 | byte;
        }
        return true;
    }
    usize i = 0;
    while (i < field.size() && field[i] == ' ')
        ++i;
    for (; i < field.size() && field[i] != 0 && field[i] != ' '; ++i) {
        if (field[i] < '0' || field[i] > '7' || (value >> 61) != 0)
            return false;
        value = value << 3 | static_cast<u64>(field[i] - '0');
    }
    return true;
}

bool parse_hexadecimal(std::span<const u8> field, u32& value)
{
    value = 0;
    for (u8 c : field) {
        u32 digit;
        if (c >= '0' && c <= '9')
            digit = c - u32 { '0' };
        else if (c >= 'a' && c <= 'f')
            digit = c - u32 { 'a' } + 10;
        else if (c >= 'A' && c <= 'F')
            digit = c - u32 { 'A' } + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    return true;
}

bool parse_decimal(std::string_view text, u64& value)
{
    value = 0;
    if (text.empty())
        return false;
    for (char c : text) {
        if (c < '0' || c > '9' || value > (UINT64_MAX - 9) / 10)
            return false;
        value = value * 10 + static_cast<u64>(c - '0');
    }
    return true;
}

/// Linux's encoding of device numbers in stat (new_encode_dev).
u64 make_device(u64 major, u64 minor)
{
    return (minor & 0xff) | (major & 0xfff) << 8 | (minor & ~u64 { 0xff }) << 12 | (major & ~u64 { 0xfff }) << 32;
}

bool is_zero(std::span<const u8> bytes)
{
    return std::ranges::all_of(bytes, [](u8 byte) { return byte == 0; });
}

bool checksum_matches(std::span<const u8> header)
{
    u64 stated;
    if (!parse_tar_number(header.subspan(148, 8), stated))
        return false;
    u64 sum = 8 * ' ';
    for (usize i = 0; i < k_block; ++i) {
        if (i < 148 || i >= 156)
            sum += header[i];
    }
    return sum == stated;
}

} // namespace

ArchiveReader::ArchiveReader(std::span<const u8> archive)
    : m_archive(archive)
{
}

ArchiveReader::Step ArchiveReader::corrupt(const char* what)
{
    m_error = what;
    m_error_offset = m_position;
    return Step::Corrupt;
}

bool ArchiveReader::take(u64 size, usize alignment, std::span<const u8>& bytes)
{
    const u64 left = m_archive.size() - m_position;
    // cpio's last entry may lack its padding; a tar consists of whole blocks.
    if (size > left || (m_format == Format::Tar && align_up(size, alignment) > left))
        return false;
    bytes = m_archive.subspan(m_position, size);
    m_position += std::min(align_up(size, alignment), left);
    return true;
}

ArchiveReader::Step ArchiveReader::next(ArchiveEntry& entry)
{
    if (m_format == Format::Unknown) {
        if (is_zero(m_archive.first(std::min<usize>(m_archive.size(), k_block))))
            return m_archive.empty() ? Step::End : corrupt("neither tar nor cpio: it begins with zeros");
        const std::string_view start(
            reinterpret_cast<const char*>(m_archive.data()), std::min<usize>(m_archive.size(), 6));
        if (start == "070701" || start == "070702")
            m_format = Format::Cpio;
        else if (m_archive.size() >= k_block && checksum_matches(m_archive.first(k_block)))
            m_format = Format::Tar;
        else if (start.starts_with("\x1f\x8b"))
            return corrupt("compressed by gzip: give it uncompressed");
        else if (start.starts_with("\x28\xb5\x2f\xfd")
            || start.starts_with("\xfd"
                                 "7zXZ")
            || start.starts_with("BZh"))
            return corrupt("compressed: give it uncompressed");
        else if (start.starts_with("07070"))
            return corrupt("a cpio format other than newc");
        else
            return corrupt("neither tar nor cpio (newc)");
    }
    return m_format == Format::Tar ? next_tar(entry) : next_cpio(entry);
}

const char* ArchiveReader::read_pax(std::span<const u8> records)
{
    std::string_view rest(reinterpret_cast<const char*>(records.data()), records.size());
    while (!rest.empty()) {
        // "LENGTH KEY=VALUE\n", LENGTH in decimal and of the whole record.
        const usize space = rest.find(' ');
        u64 length;
        if (space == std::string_view::npos || !parse_decimal(rest.substr(0, space), length) || length > rest.size()
            || length < space + 3 || rest[length - 1] != '\n')
            return "bad extended header";
        const std::string_view record = rest.substr(space + 1, length - space - 2);
        rest.remove_prefix(length);
        const usize equals = record.find('=');
        if (equals == std::string_view::npos)
            return "bad extended header";
        const std::string_view key = record.substr(0, equals);
        const std::string_view value = record.substr(equals + 1);
        Extension& extension = m_next_extension;
        if (key == "path") {
            extension.path = value;
        } else if (key == "linkpath") {
            extension.link_target = value;
        } else if (key == "size") {
            if (!parse_decimal(value, extension.size))
                return "bad size in an extended header";
            extension.has_size = true;
        } else if (key == "uid") {
            extension.has_uid = parse_decimal(value, extension.uid);
        } else if (key == "gid") {
            extension.has_gid = parse_decimal(value, extension.gid);
        } else if (key == "mtime") {
            u64 seconds;
            extension.has_time = parse_decimal(value.substr(0, value.find('.')), seconds);
            extension.modify_seconds = static_cast<i64>(seconds);
        } else if (key.starts_with("GNU.sparse.")) {
            extension.is_sparse = true;
        }
    }
    return nullptr;
}

ArchiveReader::Step ArchiveReader::next_tar(ArchiveEntry& entry)
{
    m_next_extension = {};
    while (true) {
        if (m_position == m_archive.size())
            return Step::End; // no trailer: some writers leave it out
        const usize start = m_position;
        std::span<const u8> header;
        if (!take(k_block, k_block, header))
            return corrupt("truncated in a header");
        if (is_zero(header))
            return Step::End;
        if (!checksum_matches(header)) {
            m_position = start;
            return corrupt("bad header checksum");
        }
        u64 size;
        u64 mode;
        u64 uid;
        u64 gid;
        u64 time;
        u64 major = 0;
        u64 minor = 0;
        if (!parse_tar_number(header.subspan(100, 8), mode) || !parse_tar_number(header.subspan(108, 8), uid)
            || !parse_tar_number(header.subspan(116, 8), gid) || !parse_tar_number(header.subspan(124, 12), size)
            || !parse_tar_number(header.subspan(136, 12), time)) {
            m_position = start;
            return corrupt("bad number in a header");
        }
        const bool is_ustar = text_of(header.subspan(257, 6)).starts_with("ustar");
        const char kind = static_cast<char>(header[156]);
        if (kind == 'x' || kind == 'g' || kind == 'L' || kind == 'K') {
            std::span<const u8> data;
            if (!take(size, k_block, data))
                return corrupt("truncated in an extended header");
            if (kind == 'x') {
                if (const char* error = read_pax(data)) {
                    m_position = start;
                    return corrupt(error);
                }
            } else if (kind == 'L') {
                m_next_extension.path = text_of(data);
            } else if (kind == 'K') {
                m_next_extension.link_target = text_of(data);
            }
            continue; // global headers say nothing that matters here
        }
        const bool has_device = is_ustar && (kind == '3' || kind == '4');
        if (has_device
            && (!parse_tar_number(header.subspan(329, 8), major) || !parse_tar_number(header.subspan(337, 8), minor))) {
            m_position = start;
            return corrupt("bad device number in a header");
        }
        const Extension& extension = m_next_extension;
        if (extension.has_size)
            size = extension.size;
        // Links and the like have no data, whatever their size field says (POSIX); only "regular" kinds do.
        const bool has_data = kind == '0' || kind == '\0' || kind == '7' || kind == 'S' || kind < '0' || kind > '7';
        std::span<const u8> data;
        if (has_data && !take(size, k_block, data)) {
            m_position = start;
            return corrupt("truncated in a file");
        }
        if (kind == 'S' || extension.is_sparse) {
            m_position = start;
            return corrupt("sparse files in archives are not supported: pack without --sparse");
        }

        entry = {};
        if (!extension.path.empty()) {
            entry.path = extension.path;
        } else {
            const std::string_view name = text_of(header.first(100));
            const std::string_view prefix
                = is_ustar && header[262] == 0 ? text_of(header.subspan(345, 155)) : std::string_view {};
            if (prefix.empty()) {
                entry.path = name;
            } else {
                std::ranges::copy(prefix, m_name_buffer.begin());
                m_name_buffer[prefix.size()] = '/';
                std::ranges::copy(name, std::span(m_name_buffer).subspan(prefix.size() + 1).begin());
                entry.path = { m_name_buffer.data(), prefix.size() + 1 + name.size() };
            }
        }
        entry.link_target = !extension.link_target.empty() ? extension.link_target : text_of(header.subspan(157, 100));
        entry.uid = static_cast<u32>(extension.has_uid ? extension.uid : uid);
        entry.gid = static_cast<u32>(extension.has_gid ? extension.gid : gid);
        entry.modify_seconds = extension.has_time ? extension.modify_seconds : static_cast<i64>(time);
        entry.data = data;
        const u32 permissions = static_cast<u32>(mode) & 07777;
        switch (kind) {
        case '1':
            entry.is_hard_link = true;
            entry.mode = abi::k_s_ifreg | permissions;
            break;
        case '2':
            entry.mode = abi::k_s_iflnk | 0777;
            break;
        case '3':
            entry.mode = abi::k_s_ifchr | permissions;
            entry.device = make_device(major, minor);
            break;
        case '4':
            entry.mode = abi::k_s_ifblk | permissions;
            entry.device = make_device(major, minor);
            break;
        case '5':
            entry.mode = abi::k_s_ifdir | permissions;
            break;
        case '6':
            entry.mode = abi::k_s_ififo | permissions;
            break;
        default:
            // A regular file; a name that ends in a slash was a directory before POSIX.
            entry.mode = (entry.path.ends_with('/') ? abi::k_s_ifdir : abi::k_s_ifreg) | permissions;
            break;
        }
        if (entry.path.empty()) {
            m_position = start;
            return corrupt("an entry without a name");
        }
        return Step::Entry;
    }
}

ArchiveReader::Step ArchiveReader::next_cpio(ArchiveEntry& entry)
{
    constexpr usize header_size = 110;
    while (true) {
        // Archives may follow one another, with zeros between (the kernel's initramfs buffer format).
        while (m_position < m_archive.size() && m_archive[m_position] == 0)
            ++m_position;
        if (m_position == m_archive.size())
            return Step::End;
        const usize start = m_position;
        // Alignment counts from the start of the archive, and headers are aligned: names and data follow suit.
        std::span<const u8> header;
        if (!take(header_size, 1, header))
            return corrupt("truncated in a header");
        const std::string_view magic(reinterpret_cast<const char*>(header.data()), 6);
        std::array<u32, 13> fields;
        bool good = magic == "070701" || magic == "070702";
        for (usize i = 0; good && i < fields.size(); ++i)
            good = parse_hexadecimal(header.subspan(6 + i * 8, 8), fields[i]);
        if (!good) {
            m_position = start;
            return corrupt("bad header");
        }
        const auto [inode, mode, uid, gid, links, time, size, major, minor, device_major, device_minor, name_size,
            check]
            = fields;
        static_cast<void>(check);
        std::span<const u8> name;
        if (name_size == 0 || name_size > abi::k_path_max || !take(name_size, 1, name)) {
            m_position = start;
            return corrupt("bad length of a name");
        }
        m_position = start + std::min<usize>(align_up(header_size + name_size, 4), m_archive.size() - start);
        entry = {};
        entry.path = text_of(name);
        if (entry.path == "TRAILER!!!")
            continue;
        if (entry.path.empty()) {
            m_position = start;
            return corrupt("an entry without a name");
        }
        if (!take(size, 4, entry.data)) {
            m_position = start;
            return corrupt("truncated in a file");
        }
        entry.mode = mode;
        entry.uid = uid;
        entry.gid = gid;
        entry.modify_seconds = time;
        entry.device = make_device(device_major, device_minor);
        entry.link_count = links;
        entry.inode = static_cast<u64>(make_device(major, minor)) << 32 | inode;
        if ((mode & abi::k_s_ifmt) == abi::k_s_iflnk) {
            entry.link_target = text_of(entry.data);
            entry.data = {};
        }
        return Step::Entry;
    }
}

} // namespace eremite
