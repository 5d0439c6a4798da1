// Small things that every part of the tool uses: how it fails, files, locks and stamps.
//
// The tool reports errors by exception, unlike the kernel: a Failure ends the command, main() prints its text as one
// line and leaves with its status. Its text says what is wrong and what to do about it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fmt/format.h>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

using Path = std::filesystem::path;
using Strings = std::vector<std::string>;
using Bytes = std::vector<std::uint8_t>;

struct Failure : std::runtime_error {
    explicit Failure(std::string text, int exit_status = 1)
        : std::runtime_error(std::move(text))
        , status(exit_status)
    {
    }
    int status;
};

template<typename... Arguments>
[[noreturn]] void fail(fmt::format_string<Arguments...> pattern, Arguments&&... arguments)
{
    throw Failure(fmt::format(pattern, std::forward<Arguments>(arguments)...));
}

/// A line on standard error, `eremite: ...`, as progress or warning.
void say(std::string_view text);

/// The whole file; fails where it cannot be read.
std::string read_file(const Path& path);
Bytes read_bytes(const Path& path);

/// Writes beside the file and renames, so that nobody sees half of it. Makes the folders above it.
void write_file(const Path& path, std::string_view content);
void write_file(const Path& path, std::span<const std::uint8_t> content);

Strings split(std::string_view text, char separator, bool keep_empty = false);
Strings split_words(std::string_view text);
std::string trim(std::string_view text);
std::string join(const Strings& parts, std::string_view separator);

/// Splits as a shell would: blanks separate, double and single quotes keep together, backslash takes the next
/// character.
Strings split_quoted(std::string_view text);

/// For people to paste into a shell.
std::string shell_quoted(const Strings& arguments);

/// A scratch folder that goes when the object goes.
class ScratchFolder {
public:
    ScratchFolder();
    ~ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    const Path& path() const { return m_path; }

private:
    Path m_path;
};

/// Holds an exclusive lock on a file while it lives; waits for whoever holds it.
class FileLock {
public:
    explicit FileLock(const Path& path);
    ~FileLock();
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

private:
    int m_descriptor;
};

/// What a build step was made from: paths, sizes and times of its input files, and any further text. Two equal
/// fingerprints mean that the step need not run again.
class Fingerprint {
public:
    void add(std::string_view text);
    /// A file, or all files below a folder; a missing one counts as such.
    void add_tree(const Path& path);
    std::string text() const;

    /// Whether `stamp` holds this fingerprint.
    bool matches(const Path& stamp) const;

private:
    std::uint64_t m_hash = 0xcbf29ce484222325;
};

/// The program's path by $PATH, as the shell would find it.
std::optional<Path> find_program(std::string_view name);

} // namespace tool
