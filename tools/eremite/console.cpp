#include "console.h"

#include "process.h"
#include "project.h"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace tool {

namespace {

constexpr std::string_view k_frame_prefix = "  #";
constexpr std::size_t k_longest_line = 4096;

/// The hexadecimal number after the first `prefix` in `text`.
std::optional<std::uint64_t> hex_after(std::string_view text, std::string_view prefix)
{
    const auto at = text.find(prefix);
    if (at == std::string_view::npos)
        return std::nullopt;
    const auto* begin = text.data() + at + prefix.size();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value, 16);
    return error == std::errc {} && end != begin ? std::optional(value) : std::nullopt;
}

std::string shortened(const std::string& path)
{
    const auto prefix = root().string() + "/";
    return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

} // namespace

struct Symbolizer::Process {
    Child child;
    int to;
    int from;
};

Symbolizer::Symbolizer(Path image)
    : m_image(std::move(image))
{
}

Symbolizer::~Symbolizer()
{
    if (!m_process)
        return;
    ::close(m_process->to);
    ::close(m_process->from);
}

bool Symbolizer::start()
{
    if (m_process || m_failed)
        return m_process != nullptr;
    m_failed = true;
    if (!find_program("llvm-symbolizer-19"))
        return false;
    int to[2];
    int from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0)
        return false;
    const Command command { .arguments
        = { "llvm-symbolizer-19", "--obj=" + m_image.string(), "--demangle", "--functions=linkage", "--inlines" } };
    m_process = std::make_unique<Process>(Child::start(command, { to[0], from[1], -1 }, false), to[1], from[0]);
    ::close(to[0]);
    ::close(from[1]);
    return true;
}

Strings Symbolizer::look_up(std::uint64_t address)
{
    if (!start())
        return {};
    const auto question = fmt::format("{:#x}\n", address);
    if (::write(m_process->to, question.data(), question.size()) != static_cast<ssize_t>(question.size()))
        return {};
    // Pairs of lines, function and place, closed by an empty line.
    std::string answer;
    while (!answer.ends_with("\n\n")) {
        pollfd entry { m_process->from, POLLIN, 0 };
        char chunk[4096];
        const auto count = ::poll(&entry, 1, 20'000) == 1 ? ::read(m_process->from, chunk, sizeof chunk) : 0;
        if (count <= 0) {
            m_process.reset();
            return {};
        }
        answer.append(chunk, static_cast<std::size_t>(count));
    }
    const auto lines = split(answer, '\n');
    Strings places;
    for (std::size_t i = 0; i + 1 < lines.size(); i += 2) {
        if (lines[i] == "??")
            continue;
        auto place = lines[i + 1];
        if (const auto column = place.rfind(':'); column != std::string::npos)
            place.resize(column);
        places.push_back(place.starts_with("??") ? lines[i] : fmt::format("{} at {}", lines[i], shortened(place)));
    }
    return places;
}

void ConsoleRelay::write(std::string_view bytes)
{
    while (!bytes.empty()) {
        const auto count = ::write(m_output, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN) {
            pollfd entry { m_output, POLLOUT, 0 };
            ::poll(&entry, 1, -1);
            continue;
        }
        if (count <= 0)
            return; // nobody reads any more; the machine goes on, as a program with a closed terminal does
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

void ConsoleRelay::flush()
{
    write(m_held);
    m_held.clear();
    m_holding = false;
}

void ConsoleRelay::end_of_line()
{
    if (const auto base = hex_after(m_line, "image base 0x"))
        m_base = *base;
    if (m_held.starts_with(k_frame_prefix)) {
        auto line = m_held;
        std::string ending;
        while (line.ends_with('\n') || line.ends_with('\r')) {
            ending.insert(ending.begin(), line.back());
            line.pop_back();
        }
        const auto address = hex_after(line, " 0x");
        if (address && *address >= m_base) {
            // All but the innermost are return addresses: the call is before them.
            const bool return_address = !line.starts_with("  #0 ");
            const auto places = m_symbolizer.look_up(*address - m_base - (return_address ? 1 : 0));
            for (std::size_t i = 0; i < places.size(); ++i)
                line += i == 0 ? "  " + places[i] : ending + "     (inlined into) " + places[i];
        }
        m_held = line + ending;
    }
    write(m_held);
    m_held.clear();
    m_line.clear();
    m_holding = true;
}

void ConsoleRelay::receive(std::string_view bytes)
{
    std::size_t passed = 0; // bytes before that are written or held
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const char c = bytes[i];
        if (m_line.size() < k_longest_line)
            m_line += c;
        if (m_holding) {
            m_held += c;
            passed = i + 1;
            const auto known = std::min(m_held.size(), k_frame_prefix.size());
            if (std::string_view(m_held).substr(0, known) != k_frame_prefix.substr(0, known)
                || m_held.size() > k_longest_line) {
                write(m_held);
                m_held.clear();
                m_holding = false;
            }
        }
        if (c == '\n') {
            if (passed < i + 1) {
                write(bytes.substr(passed, i + 1 - passed));
                passed = i + 1;
            }
            end_of_line();
        }
    }
    write(bytes.substr(passed));
}

} // namespace tool
