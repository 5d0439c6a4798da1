#include "inspection.h"

#include "process.h"

#include <algorithm>
#include <cstring>
#include <cxxabi.h>
#include <elf.h>
#include <fstream>

namespace tool {

namespace fs = std::filesystem;

namespace {

/// Folder of each kernel source, by the name of its object: archives keep no folders.
using Folders = std::multimap<std::string, std::string>;

Folders kernel_folders(Arch arch)
{
    Folders folders;
    const auto kernel = root() / "kernel";
    for (const auto& entry : fs::recursive_directory_iterator(kernel)) {
        const auto extension = entry.path().extension();
        if (extension != ".cpp" && extension != ".S")
            continue;
        const auto relative = entry.path().lexically_relative(kernel);
        auto part = relative.begin();
        const auto folder = part->string();
        if (folder == "arch" && (++part)->string() != name_of(arch))
            continue;
        folders.emplace(entry.path().filename().string() + ".o", folder);
    }
    return folders;
}

std::string component_of(std::string_view object, std::string_view input_section, const Folders& folders)
{
    // path/liberemite.a(member.o), path/file.o, <internal>
    const auto open = object.find('(');
    if (object.starts_with('<'))
        return "linker";
    if (open == std::string_view::npos) {
        const auto name = Path(object).filename().string();
        if (name == "crt1.o" || name == "crti.o" || name == "crtn.o" || name.starts_with("Scrt")
            || name.starts_with("rcrt"))
            return "libc";
        if (name.starts_with("crtbegin") || name.starts_with("crtend") || name.starts_with("clang_rt"))
            return "compiler-rt";
        return "application";
    }
    const auto archive = Path(object.substr(0, open)).filename().string();
    const std::string member(object.substr(open + 1, object.size() - open - 2));
    if (archive == "liberemite.a") {
        // The archive keeps no paths. Of two members of one name, one is an architecture's, in a namespace of its own.
        const bool is_arch = input_section.contains("7eremite4arch");
        std::string folder = "?";
        for (auto [found, end] = folders.equal_range(member); found != end; ++found) {
            if (folder == "?" || (found->second == "arch") == is_arch)
                folder = found->second;
        }
        return "kernel/" + folder;
    }
    if (archive == "libc_musl.a" || archive == "libc.a" || archive == "libm.a")
        return "libc";
    if (archive.starts_with("libc++") || archive == "libunwind.a")
        return "libc++";
    if (archive.contains("builtins") || archive.contains("clang_rt"))
        return "compiler-rt";
    if (archive.starts_with("lib") && archive.ends_with(".a"))
        return "application"; // the application's own libraries
    return "application";
}

PieceKind kind_of(const ElfSection& section)
{
    if (section.type == SHT_NOBITS)
        return PieceKind::Zero;
    if (section.flags & SHF_EXECINSTR)
        return PieceKind::Text;
    return section.flags & SHF_WRITE ? PieceKind::Data : PieceKind::ReadOnly;
}

bool starts_with_landing_pad(const Inspection& inspection, const ImageSymbol& symbol)
{
    for (const auto& section : inspection.elf().sections()) {
        if (!(section.flags & SHF_EXECINSTR) || symbol.address < section.address
            || symbol.address + 4 > section.address + section.size)
            continue;
        const auto code = inspection.elf().content(section).subspan(symbol.address - section.address, 4);
        std::uint32_t word = 0;
        std::memcpy(&word, code.data(), 4);
        if (inspection.elf().arch() == Arch::x86_64)
            return word == 0xfa1e0ff3; // endbr64
        return word == 0xd503245f || word == 0xd503233f || word == 0xd50324df; // bti c, paciasp, bti jc
    }
    return false;
}

} // namespace

std::string demangled(const std::string& name)
{
    if (!name.starts_with("_Z"))
        return name;
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(
        abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), std::free);
    return status == 0 && text ? std::string(text.get()) : name;
}

Inspection::Inspection(const Path& image)
    : m_elf(Elf::load(image))
{
    const auto map = Path(image.string() + ".map");
    if (fs::exists(map))
        read_map(map);
    else
        pieces_by_address();
    std::ranges::sort(m_pieces, {}, &Piece::address);
    read_symbols();
}

void Inspection::read_map(const Path& map)
{
    m_has_map = true;
    const auto folders = kernel_folders(m_elf.arch());
    std::ifstream file(map);
    const ElfSection* section = nullptr;
    for (std::string line; std::getline(file, line);) {
        // Address, load address, size, alignment; then the output section, 8 columns further an input section, 16 a
        // symbol.
        std::uint64_t address = 0;
        std::uint64_t load = 0;
        std::uint64_t size = 0;
        unsigned long long alignment = 0;
        int consumed = 0;
        if (std::sscanf(line.c_str(), "%lx %lx %lx %llu%n", &address, &load, &size, &alignment, &consumed) != 4
            || static_cast<std::size_t>(consumed) + 1 >= line.size())
            continue;
        const auto rest = std::string_view(line).substr(static_cast<std::size_t>(consumed) + 1);
        const auto indent = rest.find_first_not_of(' ');
        if (indent == 0) {
            section = m_elf.section(trim(rest));
            continue;
        }
        if (indent != 8 || !section || !(section->flags & SHF_ALLOC) || size == 0)
            continue;
        const auto text = rest.substr(indent);
        const auto colon = text.rfind(":(");
        if (colon == std::string_view::npos)
            continue;
        const auto object = text.substr(0, colon);
        if (const auto at = object.find("/kernel-"); at != std::string_view::npos && object.contains("liberemite.a"))
            m_isolation = object.substr(at + 8, object.find('/', at + 8) - at - 8);
        m_pieces.push_back({ address, size, kind_of(*section), component_of(object, text.substr(colon), folders),
            std::string(object) });
    }
}

void Inspection::pieces_by_address()
{
    for (const auto& section : m_elf.sections()) {
        if (section.flags & SHF_ALLOC && section.size) {
            const bool kernel = section.name.ends_with(".kernel");
            m_pieces.push_back({ section.address, section.size, kind_of(section),
                kernel ? "kernel" : "application and libraries", "" });
        }
    }
}

void Inspection::read_symbols()
{
    for (auto& symbol : m_elf.symbols()) {
        if (symbol.section == SHN_UNDEF || symbol.section >= SHN_LORESERVE || symbol.name.empty()
            || symbol.type == STT_SECTION || symbol.type == STT_FILE || symbol.type == STT_TLS
            || symbol.name.starts_with('$'))
            continue;
        const auto* piece = piece_at(symbol.value);
        m_symbols.push_back({ demangled(symbol.name), symbol.name, symbol.value, symbol.size, symbol.type == STT_FUNC,
            piece ? piece->component : "" });
    }
    // Of several names for one address the one with the greatest size comes last: symbol_at finds it.
    std::ranges::sort(m_symbols, [](const ImageSymbol& a, const ImageSymbol& b) {
        return std::tie(a.address, a.size, a.raw_name) < std::tie(b.address, b.size, b.raw_name);
    });
}

std::optional<std::size_t> Inspection::symbol_at(std::uint64_t address) const
{
    auto after = std::ranges::upper_bound(m_symbols, address, {}, &ImageSymbol::address);
    // Sized symbols first; a label of assembly without a size reaches to the next symbol.
    for (auto steps = 0; after != m_symbols.begin() && steps < 8; ++steps) {
        --after;
        if (address < after->address + after->size || (after->size == 0 && steps == 0))
            return static_cast<std::size_t>(after - m_symbols.begin());
    }
    return std::nullopt;
}

const Piece* Inspection::piece_at(std::uint64_t address) const
{
    const auto after = std::ranges::upper_bound(m_pieces, address, {}, &Piece::address);
    if (after == m_pieces.begin())
        return nullptr;
    const auto& piece = *std::prev(after);
    return address < piece.address + piece.size ? &piece : nullptr;
}

std::map<std::string, ComponentSize> Inspection::components() const
{
    std::map<std::string, ComponentSize> sizes;
    for (const auto& piece : m_pieces) {
        auto& size = sizes[piece.component];
        switch (piece.kind) {
        case PieceKind::Text:
            size.text += piece.size;
            break;
        case PieceKind::ReadOnly:
            size.read_only += piece.size;
            break;
        case PieceKind::Data:
            size.data += piece.size;
            break;
        case PieceKind::Zero:
            size.zero += piece.size;
            break;
        }
    }
    return sizes;
}

void strip_image(const Path& image, const Path& copy)
{
    output_of({ "llvm-objcopy-19", "--strip-all", "--strip-sections", image.string(), copy.string() });
}

std::uint64_t Inspection::stripped_size() const
{
    const ScratchFolder scratch;
    const auto copy = scratch.path() / "stripped";
    strip_image(m_elf.path(), copy);
    return fs::file_size(copy);
}

std::vector<Mitigation> Inspection::mitigations() const
{
    const auto& segments = m_elf.segments();
    const auto has = [&](std::uint32_t type) {
        return std::ranges::any_of(segments, [=](const ElfSegment& segment) { return segment.type == type; });
    };
    const auto writable_code = std::ranges::any_of(segments, [](const ElfSegment& segment) {
        return segment.type == PT_LOAD && (segment.flags & PF_W) && (segment.flags & PF_X);
    });
    const auto stack_code = std::ranges::any_of(
        segments, [](const ElfSegment& segment) { return segment.type == PT_GNU_STACK && (segment.flags & PF_X); });
    const auto named = [&](std::string_view name) {
        return std::ranges::any_of(m_symbols, [&](const ImageSymbol& symbol) { return symbol.raw_name == name; });
    };
    std::size_t functions = 0;
    std::size_t with_pads = 0;
    for (const auto& symbol : m_symbols) {
        if (!symbol.function || symbol.size == 0)
            continue;
        ++functions;
        with_pads += starts_with_landing_pad(*this, symbol);
    }
    const auto* pad = m_elf.arch() == Arch::x86_64 ? "IBT landing pads" : "BTI landing pads";
    return {
        { "position-independent", m_elf.type() == ET_DYN, "loaded at a random base" },
        { "read-only after relocation", has(PT_GNU_RELRO), "RELRO, all relocations applied before main" },
        { "no writable code", !writable_code, "W^X: no segment is writable and executable" },
        { "no executable stack", has(PT_GNU_STACK) && !stack_code, "NX" },
        { "stack protector", named("__stack_chk_fail") || named("__eremite___stack_chk_fail"), "random canary" },
        { pad, functions && with_pads * 2 > functions, fmt::format("{} of {} functions", with_pads, functions) },
        { "protection keys", m_isolation == "mpk",
            m_isolation.empty() ? "isolation level unknown" : "isolation " + m_isolation },
    };
}

Strings Inspection::system_calls() const
{
    constexpr std::string_view prefix = "__eremite_sys_";
    Strings calls;
    for (const auto& symbol : m_symbols) {
        if (symbol.raw_name.starts_with(prefix))
            calls.push_back(symbol.raw_name.substr(prefix.size()));
    }
    std::ranges::sort(calls);
    calls.erase(std::unique(calls.begin(), calls.end()), calls.end());
    return calls;
}

} // namespace tool
