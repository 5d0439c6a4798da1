// What an image consists of: pieces (input sections, from the linker's map) that belong to components, symbols, and
// references between symbols (from the relocations that were kept in the file).
#pragma once

#include "elf_file.h"

#include <map>

namespace tool {

enum class PieceKind { Text, ReadOnly, Data, Zero };

/// An input section as it lies in the image.
struct Piece {
    std::uint64_t address;
    std::uint64_t size;
    PieceKind kind;
    std::string component;
    std::string object;
};

struct ImageSymbol {
    std::string name; // demangled
    std::string raw_name;
    std::uint64_t address;
    std::uint64_t size;
    bool function;
    std::string component;
};

struct ComponentSize {
    std::uint64_t text = 0;
    std::uint64_t read_only = 0;
    std::uint64_t data = 0;
    std::uint64_t zero = 0;
    std::uint64_t in_file() const { return text + read_only + data; }
};

struct Mitigation {
    std::string name;
    bool present;
    std::string detail;
};

class Inspection {
public:
    explicit Inspection(const Path& image);

    const Elf& elf() const { return m_elf; }
    /// False when there is no map beside the image: then components are told apart by address, as kernel and the rest.
    bool has_map() const { return m_has_map; }
    const std::vector<Piece>& pieces() const { return m_pieces; }
    /// Sorted by address.
    const std::vector<ImageSymbol>& symbols() const { return m_symbols; }

    std::map<std::string, ComponentSize> components() const;
    /// Size of the file as strip_image() leaves it.
    std::uint64_t stripped_size() const;
    std::vector<Mitigation> mitigations() const;
    Strings system_calls() const;
    /// The level, from the path of the kernel library in the map; empty where that is not known.
    const std::string& isolation() const { return m_isolation; }

    /// The symbol that `address` lies in, as an index; nothing outside all.
    std::optional<std::size_t> symbol_at(std::uint64_t address) const;
    const Piece* piece_at(std::uint64_t address) const;

    /// How `wanted` (a symbol, or a component such as net) is reached: names from a root of the program on. Empty if
    /// the image does not hold it. Fails where the image was linked without --emit-relocs.
    Strings chain_to(const std::string& wanted) const;

private:
    void read_map(const Path& map);
    void pieces_by_address();
    void read_symbols();

    Elf m_elf;
    bool m_has_map = false;
    std::string m_isolation;
    std::vector<Piece> m_pieces;
    std::vector<ImageSymbol> m_symbols;
};

/// A treemap: area is size in the file, colour is the component, nested boxes are symbols.
std::string treemap_svg(const Inspection& inspection);

std::string demangled(const std::string& name);

/// Writes to `copy` what a monitor or the loader maps of the image: no symbols, no section headers.
void strip_image(const Path& image, const Path& copy);

} // namespace tool
