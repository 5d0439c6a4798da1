#include "cpio.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace tool {

namespace fs = std::filesystem;

namespace {

class Archive {
public:
    explicit Archive(Path folder)
        : m_folder(std::move(folder))
    {
    }

    void add_all()
    {
        struct stat status {};
        if (::stat(m_folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
            fail("{} is no folder", m_folder.string());
        header(".", status, 2, 0, 1);
        add_folder({});
    }

    Bytes finish()
    {
        struct stat none {};
        header("TRAILER!!!", none, 1, 0, 0);
        align(512);
        return std::move(m_bytes);
    }

private:
    void add_folder(const Path& relative)
    {
        std::vector<Path> names;
        for (const auto& entry : fs::directory_iterator(m_folder / relative))
            names.push_back(entry.path().filename());
        std::ranges::sort(names);
        for (const auto& name : names)
            add(relative / name);
    }

    void add(const Path& relative)
    {
        const auto path = m_folder / relative;
        struct stat status {};
        if (::lstat(path.c_str(), &status) != 0)
            fail("cannot look at {}: {}", path.string(), std::strerror(errno));
        if (S_ISSOCK(status.st_mode))
            return;
        const auto inode = number_of(status);
        if (S_ISREG(status.st_mode)) {
            // Of hard links the first carries the content (that is how newer kernels and cpio read it: any may).
            const bool first = status.st_nlink == 1 || m_written.insert({ inode, true }).second;
            const auto content = first ? read_bytes(path) : Bytes {};
            if (content.size() > 0xffffffffu)
                fail("{} has more than 4 GiB, which cpio cannot hold: share it with --share", path.string());
            header(relative.string(), status, static_cast<unsigned>(status.st_nlink), content.size(), inode);
            append(content);
        } else if (S_ISLNK(status.st_mode)) {
            const auto target = fs::read_symlink(path).string();
            header(relative.string(), status, 1, target.size(), inode);
            append({ reinterpret_cast<const std::uint8_t*>(target.data()), target.size() });
        } else if (S_ISDIR(status.st_mode)) {
            header(relative.string(), status, 2, 0, inode);
            add_folder(relative);
        } else {
            header(relative.string(), status, 1, 0, inode);
        }
    }

    std::uint32_t number_of(const struct stat& status)
    {
        const auto next = static_cast<std::uint32_t>(m_numbers.size() + 2);
        return m_numbers.insert({ { status.st_dev, status.st_ino }, next }).first->second;
    }

    void header(std::string_view name, const struct stat& status, unsigned links, std::size_t size, std::uint32_t inode)
    {
        const bool device = S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
        const auto text
            = fmt::format("070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}", inode,
                status.st_mode, 0, 0, links, static_cast<std::uint32_t>(status.st_mtime), size, 0, 0,
                device ? major(status.st_rdev) : 0, device ? minor(status.st_rdev) : 0, name.size() + 1, 0);
        m_bytes.insert(m_bytes.end(), text.begin(), text.end());
        m_bytes.insert(m_bytes.end(), name.begin(), name.end());
        m_bytes.push_back(0);
        align(4);
    }

    void append(std::span<const std::uint8_t> content)
    {
        m_bytes.insert(m_bytes.end(), content.begin(), content.end());
        align(4);
    }

    void align(std::size_t unit) { m_bytes.resize((m_bytes.size() + unit - 1) / unit * unit); }

    Path m_folder;
    Bytes m_bytes;
    std::map<std::pair<dev_t, ino_t>, std::uint32_t> m_numbers;
    std::map<std::uint32_t, bool> m_written;
};

} // namespace

Bytes pack_cpio(const Path& folder)
{
    Archive archive(folder);
    archive.add_all();
    return archive.finish();
}

} // namespace tool
