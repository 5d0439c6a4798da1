// Extended attributes.
#include "fs/ext/library_headers.h"

#include "abi/fs.h"
#include "base/log.h"
#include "sched/clock.h"

#include <algorithm>

namespace eremite::ext {

namespace {

/// A file's extended attributes, read.
class Xattrs {
public:
    ~Xattrs()
    {
        if (m_handle)
            ext2fs_xattrs_close(&m_handle);
    }
    errcode_t open(ext2_filsys fs, u32 number)
    {
        if (errcode_t code = ext2fs_xattrs_open(fs, number, &m_handle))
            return code;
        return ext2fs_xattrs_read(m_handle);
    }
    ext2_xattr_handle* get() const { return m_handle; }

private:
    ext2_xattr_handle* m_handle { nullptr };
};

/// The library wants names that end with NUL.
struct Key {
    std::array<char, abi::k_name_max + 1> text {};
    explicit Key(std::string_view name) { std::ranges::copy(name.substr(0, abi::k_name_max), text.begin()); }
};

} // namespace

Result<usize> Library::get_xattr(u32 number, std::string_view name, std::span<u8> buffer)
{
    Xattrs attributes;
    const errcode_t opened = attributes.open(m_fs, number);
    if (opened == EXT2_ET_MISSING_EA_FEATURE)
        return Errno::ENODATA;
    TRY(check(opened, "attributes"));
    void* value = nullptr;
    size_t size = 0;
    TRY(check(ext2fs_xattr_get(attributes.get(), Key(name).text.data(), &value, &size), "attributes"));
    const std::span<const u8> bytes(static_cast<const u8*>(value), size);
    const bool fits = buffer.empty() || size <= buffer.size();
    if (fits && !buffer.empty())
        std::ranges::copy(bytes, buffer.begin());
    ext2fs_free_mem(static_cast<void*>(&value));
    return fits ? Result<usize>(size) : Errno::ERANGE;
}

Result<> Library::set_xattr(u32 number, std::string_view name, std::span<const u8> value, int flags)
{
    constexpr int create = 1;
    constexpr int replace = 2;
    Xattrs attributes;
    TRY(check(attributes.open(m_fs, number), "attributes"));
    void* old = nullptr;
    size_t size = 0;
    const Key key(name);
    const bool is_there = ext2fs_xattr_get(attributes.get(), key.text.data(), &old, &size) == 0;
    if (is_there)
        ext2fs_free_mem(static_cast<void*>(&old));
    if (is_there && (flags & create) != 0)
        return Errno::EEXIST;
    if (!is_there && (flags & replace) != 0)
        return Errno::ENODATA;
    return check(ext2fs_xattr_set(attributes.get(), key.text.data(), value.data(), value.size()), "attributes");
}

Result<> Library::remove_xattr(u32 number, std::string_view name)
{
    Xattrs attributes;
    const errcode_t opened = attributes.open(m_fs, number);
    if (opened == EXT2_ET_MISSING_EA_FEATURE)
        return Errno::ENODATA;
    TRY(check(opened, "attributes"));
    const Key key(name);
    void* old = nullptr;
    size_t size = 0;
    TRY(check(ext2fs_xattr_get(attributes.get(), key.text.data(), &old, &size), "attributes"));
    ext2fs_free_mem(static_cast<void*>(&old));
    return check(ext2fs_xattr_remove(attributes.get(), key.text.data()), "attributes");
}

Result<usize> Library::list_xattrs(u32 number, std::span<u8> buffer)
{
    Xattrs attributes;
    const errcode_t opened = attributes.open(m_fs, number);
    if (opened == EXT2_ET_MISSING_EA_FEATURE)
        return usize { 0 };
    TRY(check(opened, "attributes"));
    struct Walk {
        std::span<u8> out;
        usize size { 0 };
        bool fits { true };
    } walk { buffer };
    const auto visit = [](char* name, char*, size_t, void* context) {
        auto& walk = *static_cast<Walk*>(context);
        const std::string_view text(name);
        walk.fits = walk.fits && walk.size + text.size() + 1 <= walk.out.size();
        if (walk.fits) {
            *std::ranges::copy(text, walk.out.subspan(walk.size).begin()).out = 0;
        }
        walk.size += text.size() + 1;
        return 0;
    };
    TRY(check(ext2fs_xattrs_iterate(attributes.get(), visit, &walk), "attributes"));
    return buffer.empty() || walk.fits ? Result<usize>(walk.size) : Errno::ERANGE;
}

} // namespace eremite::ext
