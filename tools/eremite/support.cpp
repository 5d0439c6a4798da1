#include "support.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tool {

namespace fs = std::filesystem;

void say(std::string_view text)
{
    fmt::print(stderr, "eremite: {}\n", text);
}

std::string read_file(const Path& path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        fail("cannot read {}: {}", path.string(), std::strerror(errno));
    std::string content { std::istreambuf_iterator<char>(file), {} };
    if (file.bad())
        fail("cannot read {}: {}", path.string(), std::strerror(EIO));
    return content;
}

Bytes read_bytes(const Path& path)
{
    const auto content = read_file(path);
    return { content.begin(), content.end() };
}

void write_file(const Path& path, std::string_view content)
{
    if (path.has_parent_path())
        fs::create_directories(path.parent_path());
    auto beside = path;
    beside += fmt::format(".{}", ::getpid());
    {
        std::ofstream file(beside, std::ios::binary);
        file.write(content.data(), static_cast<std::streamsize>(content.size()));
        if (!file.flush())
            fail("cannot write {}: {}", path.string(), std::strerror(errno));
    }
    fs::rename(beside, path);
}

void write_file(const Path& path, std::span<const std::uint8_t> content)
{
    write_file(path, std::string_view(reinterpret_cast<const char*>(content.data()), content.size()));
}

Strings split(std::string_view text, char separator, bool keep_empty)
{
    Strings parts;
    while (true) {
        const auto end = text.find(separator);
        const auto part = text.substr(0, end);
        if (keep_empty || !part.empty())
            parts.emplace_back(part);
        if (end == std::string_view::npos)
            return parts;
        text.remove_prefix(end + 1);
    }
}

Strings split_words(std::string_view text)
{
    Strings words;
    std::size_t at = 0;
    constexpr std::string_view blanks = " \t\r\n";
    while ((at = text.find_first_not_of(blanks, at)) != std::string_view::npos) {
        const auto end = std::min(text.find_first_of(blanks, at), text.size());
        words.emplace_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

std::string trim(std::string_view text)
{
    constexpr std::string_view blanks = " \t\r\n";
    const auto begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos)
        return {};
    return std::string(text.substr(begin, text.find_last_not_of(blanks) - begin + 1));
}

std::string join(const Strings& parts, std::string_view separator)
{
    std::string text;
    for (const auto& part : parts) {
        if (&part != &parts.front())
            text += separator;
        text += part;
    }
    return text;
}

Strings split_quoted(std::string_view text)
{
    Strings words;
    std::string word;
    bool in_word = false;
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
            word += text[++i];
            in_word = true;
        } else if (quote) {
            if (c == quote)
                quote = 0;
            else
                word += c;
        } else if (c == '"' || c == '\'') {
            quote = c;
            in_word = true;
        } else if (c == ' ' || c == '\t' || c == '\n') {
            if (in_word)
                words.push_back(std::exchange(word, {}));
            in_word = false;
        } else {
            word += c;
            in_word = true;
        }
    }
    if (quote)
        fail("a quote is not closed in: {}", text);
    if (in_word)
        words.push_back(word);
    return words;
}

std::string shell_quoted(const Strings& arguments)
{
    Strings quoted;
    for (const auto& argument : arguments) {
        const auto plain
            = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("_-./,:=+@%", c); };
        if (!argument.empty() && std::ranges::all_of(argument, plain)) {
            quoted.push_back(argument);
            continue;
        }
        std::string text = "'";
        for (const char c : argument) {
            if (c == '\'')
                text += "'\\''";
            else
                text += c;
        }
        quoted.push_back(text + "'");
    }
    return join(quoted, " ");
}

ScratchFolder::ScratchFolder()
{
    auto name = (fs::temp_directory_path() / "eremite-XXXXXX").string();
    if (!::mkdtemp(name.data()))
        fail("cannot make a folder in {}: {}", fs::temp_directory_path().string(), std::strerror(errno));
    m_path = name;
}

ScratchFolder::~ScratchFolder()
{
    std::error_code ignored;
    fs::remove_all(m_path, ignored);
}

FileLock::FileLock(const Path& path)
{
    fs::create_directories(path.parent_path());
    m_descriptor = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (m_descriptor < 0)
        fail("cannot open {}: {}", path.string(), std::strerror(errno));
    while (::flock(m_descriptor, LOCK_EX) != 0 && errno == EINTR) { }
}

FileLock::~FileLock()
{
    ::close(m_descriptor);
}

void Fingerprint::add(std::string_view text)
{
    // FNV-1a: this tells changes apart, it does not guard against an adversary.
    for (const unsigned char c : text)
        m_hash = (m_hash ^ c) * 0x100000001b3;
    m_hash = (m_hash ^ 0xff) * 0x100000001b3;
}

void Fingerprint::add_tree(const Path& path)
{
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        add(path.string() + " is missing");
        return;
    }
    if (!S_ISDIR(status.st_mode)) {
        add(fmt::format("{} {} {}.{}", path.string(), status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec));
        return;
    }
    std::vector<Path> entries;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path, error))
        entries.push_back(entry.path());
    std::ranges::sort(entries);
    for (const auto& entry : entries)
        add_tree(entry);
}

std::string Fingerprint::text() const
{
    return fmt::format("{:016x}", m_hash);
}

bool Fingerprint::matches(const Path& stamp) const
{
    std::ifstream file(stamp);
    std::string content;
    return file && std::getline(file, content) && content == text();
}

std::optional<Path> find_program(std::string_view name)
{
    if (name.contains('/'))
        return ::access(std::string(name).c_str(), X_OK) == 0 ? std::optional<Path>(name) : std::nullopt;
    const char* search = std::getenv("PATH");
    for (const auto& folder : split(search ? search : "/usr/bin:/bin", ':')) {
        const auto candidate = Path(folder) / name;
        if (::access(candidate.c_str(), X_OK) == 0)
            return candidate;
    }
    return std::nullopt;
}

} // namespace tool
