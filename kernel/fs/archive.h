// Archives that lie in memory: tar (ustar, pax, GNU long names) and cpio newc. The reader yields one entry after
// another, data and names referring to the archive where they can; it trusts nothing in it. pax: POSIX.1-2017, pax,
// "ustar Interchange Format" and "pax Interchange Format"; GNU tar manual, "Basic Tar Format"; Linux
// Documentation/driver-api/early-userspace/buffer-format.rst.
#pragma once

#include "base/result.h"
#include "base/types.h"
#include <array>
#include <span>
#include <string_view>

namespace eremite {

/// One file of an archive. `path` and `link_target` are as they stand there: relative, absolute, with "..", whatever.
/// They are valid until the next entry is read.
struct ArchiveEntry {
    std::string_view path;
    std::string_view link_target; // symbolic links, and hard links by name (tar)
    u32 mode { 0 }; // type and permissions
    u32 uid { 0 };
    u32 gid { 0 };
    u64 device { 0 };
    i64 modify_seconds { 0 };
    std::span<const u8> data;
    bool is_hard_link { false }; // tar: another name of link_target
    u64 inode { 0 }; // cpio: same inode, same file; 0 otherwise
    u32 link_count { 1 };
};

class ArchiveReader {
public:
    explicit ArchiveReader(std::span<const u8> archive);

    enum class Step : u8 { Entry, End, Corrupt };
    /// The next entry; after Corrupt, error() says what is wrong at offset().
    Step next(ArchiveEntry& entry);

    const char* error() const { return m_error; }
    u64 offset() const { return m_error_offset; }

private:
    enum class Format : u8 { Unknown, Tar, Cpio };
    Step next_tar(ArchiveEntry& entry);
    Step next_cpio(ArchiveEntry& entry);
    Step corrupt(const char* what);
    /// `size` bytes at the position, which moves on to the next multiple of `alignment`; false: they aren't there.
    bool take(u64 size, usize alignment, std::span<const u8>& bytes);
    const char* read_pax(std::span<const u8> records);

    std::span<const u8> m_archive;
    usize m_position { 0 };
    Format m_format { Format::Unknown };
    const char* m_error { "" };
    u64 m_error_offset { 0 };
    std::array<char, 257> m_name_buffer {}; // ustar: prefix/name

    // What extended headers say of the next entry, and global ones of all.
    struct Extension {
        std::string_view path;
        std::string_view link_target;
        u64 size { 0 };
        u64 uid { 0 };
        u64 gid { 0 };
        i64 modify_seconds { 0 };
        bool has_size { false };
        bool has_uid { false };
        bool has_gid { false };
        bool has_time { false };
        bool is_sparse { false };
    };
    Extension m_next_extension;
};

} // namespace eremite
