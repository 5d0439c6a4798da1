#include "device/device_tree.h"

#include <algorithm>

namespace eremite {

namespace {

u32 big_endian(std::span<const u8> bytes, usize offset)
{
    if (offset > bytes.size() || bytes.size() - offset < 4)
        return 0;
    u32 value = 0;
    __builtin_memcpy(&value, bytes.subspan(offset, 4).data(), 4);
    return __builtin_bswap32(value);
}

/// The whole words in `bytes`, which begins on a boundary of them.
std::span<const u32> words_in(std::span<const u8> bytes)
{
    return { reinterpret_cast<const u32*>(reinterpret_cast<uintptr_t>(bytes.data())), bytes.size() / 4 };
}

/// Not 0 if a byte of `word` is: its lowest bit that is set is the first one's highest.
template<typename Word> constexpr Word zero_byte(Word word)
{
    constexpr Word ones = static_cast<Word>(~Word { 0 }) / 255;
    return (word - ones) & ~word & (ones << 7);
}

/// What comes before the first NUL in `bytes`, or all.
std::string_view text_in(std::span<const u8> bytes)
{
    usize length = 0;
    for (; bytes.size() - length >= 8; length += 8) {
        u64 word;
        __builtin_memcpy(&word, bytes.subspan(length, 8).data(), 8);
        if (u64 zero = zero_byte(word); zero != 0)
            return { reinterpret_cast<const char*>(bytes.data()),
                length + static_cast<usize>(__builtin_ctzll(zero)) / 8 };
    }
    while (length < bytes.size() && bytes[length] != 0)
        ++length;
    return { reinterpret_cast<const char*>(bytes.data()), length };
}

/// Takes the first name off a path; empty at its end.
std::string_view take_part(std::string_view& path)
{
    while (!path.empty() && path.front() == '/')
        path.remove_prefix(1);
    std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    return part;
}

/// Whether the text at the beginning of `bytes` is `name`.
[[gnu::always_inline]] inline bool begins_with_text(std::span<const u8> bytes, std::string_view name)
{
    return bytes.size() > name.size() && bytes[0] == static_cast<u8>(name[0]) && bytes[name.size()] == 0
        && __builtin_memcmp(bytes.data(), name.data(), name.size()) == 0;
}

DeviceTree::Known known_by_name(std::span<const u8> name)
{
    using enum DeviceTree::Known;
    if (begins_with_text(name, "chosen"))
        return Chosen;
    if (begins_with_text(name, "cpus"))
        return Processors;
    return begins_with_text(name, "reserved-memory") ? ReservedMemory : None;
}

/// The first eight bytes of a text, as they lie in memory.
constexpr u64 head(std::string_view text)
{
    u64 word = 0;
    for (usize i = 8; i > 0; --i)
        word = word << 8 | static_cast<u8>(text[i - 1]);
    return word;
}

/// Which of the known ones the text at the beginning of `list` is. A table would hold addresses.
DeviceTree::Known known_by_compatible(std::span<const u8> list)
{
    using enum DeviceTree::Known;
    if (list.size() < 8)
        return None;
    u64 first;
    __builtin_memcpy(&first, list.data(), 8);
    auto is = [&](std::string_view name) { return begins_with_text(list, name); };
    switch (first) {
    case head("arm,pl011"):
        return is("arm,pl011") ? Uart : None;
    case head("arm,pl031"):
        return is("arm,pl031") ? WallClock : None;
    case head("arm,psci"):
        return is("arm,psci-0.2") || is("arm,psci-1.0") ? Psci : None;
    case head("arm,armv8-timer"):
        return is("arm,armv8-timer") ? Timer : None;
    case head("arm,cortex-a15-gic"):
        return is("arm,cortex-a15-gic") ? Gic2 : None;
    case head("arm,gic-"):
        return is("arm,gic-v3")       ? Gic3
            : is("arm,gic-v3-its")    ? TranslationService
            : is("arm,gic-v2m-frame") ? MessageFrame
            : is("arm,gic-400")       ? Gic2
                                      : None;
    case head("pci-host-ecam-generic"):
        return is("pci-host-ecam-generic") ? PciHost : None;
    case head("virtio,mmio"):
        return is("virtio,mmio") ? VirtioMmio : None;
    default:
        return None;
    }
}

} // namespace

u32 DeviceTree::Property::cell(usize index) const
{
    return big_endian(m_bytes, index * 4);
}

u64 DeviceTree::Property::number(usize index, usize count) const
{
    u64 value = 0;
    for (usize i = 0; i < count; ++i)
        value = value << 32 | cell(index + i);
    return value;
}

std::string_view DeviceTree::Property::text() const
{
    return text_in(m_bytes);
}

bool DeviceTree::Property::lists(std::string_view wanted) const
{
    for (std::span<const u8> rest = m_bytes; !rest.empty();) {
        std::string_view one = text_in(rest);
        if (one == wanted)
            return true;
        rest = rest.subspan(std::min(one.size() + 1, rest.size()));
    }
    return false;
}

[[gnu::always_inline]] inline bool DeviceTree::take(std::span<const u32>& rest, Item& item) const
{
    if (rest.empty())
        return false;
    item.token = static_cast<Token>(__builtin_bswap32(rest[0]));
    usize used = 1;
    switch (item.token) {
    case Token::Property: {
        if (rest.size() < 3)
            return false;
        u64 length = __builtin_bswap32(rest[1]);
        item.name = __builtin_bswap32(rest[2]);
        u64 words = (length + 3) / 4;
        if (words > rest.size() - 3 || item.name >= m_strings.size())
            return false;
        item.text = { reinterpret_cast<const u8*>(rest.subspan(3).data()), length };
        used = 3 + words;
        break;
    }
    case Token::BeginNode:
        do {
            if (used == rest.size())
                return false;
        } while (zero_byte(rest[used++]) == 0);
        item.text = { reinterpret_cast<const u8*>(rest.subspan(1).data()), (used - 1) * 4 };
        break;
    case Token::EndNode:
    case Token::Nop:
    case Token::End:
        break;
    default:
        return false;
    }
    rest = rest.subspan(used);
    return true;
}

[[gnu::always_inline]] inline bool DeviceTree::is_named(const Item& property, std::string_view name) const
{
    return begins_with_text(m_strings.subspan(property.name), name);
}

/// What the walk of create() knows of the node whose properties it is reading.
struct DeviceTree::Reading {
    Known what { Known::None };
    bool is_enabled { true };
    bool is_memory { false };
};

[[gnu::always_inline]] inline void DeviceTree::read_property(const Item& item, usize depth, Reading& reading) const
{
    // Most are none of these, and seen to be by their first letter.
    u8 first = m_strings[item.name];
    if (first == 'c' && is_named(item, "compatible")) {
        for (std::span<const u8> rest = item.text; reading.what == Known::None && !rest.empty();) {
            reading.what = known_by_compatible(rest);
            if (reading.what == Known::None)
                rest = rest.subspan(std::min(text_in(rest).size() + 1, rest.size()));
        }
    } else if (first == 's' && is_named(item, "status")) {
        reading.is_enabled = is_enabled(Property(item.text));
    } else if (first == 'd' && depth == 1 && is_named(item, "device_type")) {
        reading.is_memory = text_in(item.text) == "memory";
    }
}

void DeviceTree::note(const Node& node, const Reading& reading)
{
    if (!reading.is_enabled)
        return;
    if (reading.is_memory && m_memory_count < k_max_memory_nodes)
        m_memory[m_memory_count++] = node.offset();
    if (reading.what == Known::None)
        return;
    Node& known = m_known[static_cast<usize>(reading.what)];
    if (!known)
        known = node;
}

std::string_view DeviceTree::index()
{
    std::span<const u32> rest = m_structure;
    Node node; // the last one that began; its properties end where another begins or it ends
    node.m_tree = this;
    Reading reading;
    bool in_properties = false;
    bool seen_root = false;
    usize open = 0; // nodes that have begun and not ended
    auto end_properties = [&] {
        if (in_properties && (reading.what != Known::None || reading.is_memory))
            note(node, reading);
        in_properties = false;
    };
    while (true) {
        u32 offset = static_cast<u32>(m_structure.size() - rest.size());
        Item item;
        if (!take(rest, item))
            return "device tree: the structure block is cut off or holds an unknown token";
        switch (item.token) {
        case Token::Property:
            if (open == 0)
                return "device tree: a property stands outside of any node";
            if (in_properties)
                read_property(item, open - 1, reading);
            break;
        case Token::BeginNode:
            if (open == 0 && seen_root)
                return "device tree: there is more than one root";
            if (open == k_max_depth)
                return "device tree: nodes are nested too deeply";
            end_properties();
            seen_root = true;
            in_properties = true;
            reading = {};
            node.m_path[open] = offset;
            node.m_depth = open++;
            if (open == 2)
                reading.what = known_by_name(item.text);
            break;
        case Token::EndNode:
            if (open == 0)
                return "device tree: a node ends that never began";
            end_properties();
            --open;
            break;
        case Token::Nop:
            break;
        case Token::End:
            return open == 0 && seen_root ? std::string_view {} : "device tree: it ends within a node";
        }
    }
}

bool DeviceTree::lay_out(std::span<const u8> memory, std::string_view& problem)
{
    if (reinterpret_cast<uintptr_t>(memory.data()) % 8 != 0) {
        problem = "device tree: its address is not a multiple of 8";
        return false;
    }
    if (memory.size() < 40 || big_endian(memory, 0) != k_magic) {
        problem = "device tree: there is none (no magic number)";
        return false;
    }
    u32 total = big_endian(memory, 4);
    u32 structure = big_endian(memory, 8);
    u32 strings = big_endian(memory, 12);
    u32 reservations = big_endian(memory, 16);
    u32 version = big_endian(memory, 20);
    u32 compatible = big_endian(memory, 24);
    u32 strings_size = big_endian(memory, 32);
    u32 structure_size = big_endian(memory, 36);
    if (total < 40 || total > memory.size()) {
        problem = "device tree: it is cut off, or longer than the memory it lies in";
        return false;
    }
    if (version < 17 || compatible > 17) {
        problem = "device tree: its version is not 17";
        return false;
    }
    auto lies_within = [&](u32 start, u32 size) { return start <= total && size <= total - start; };
    if (!lies_within(structure, structure_size) || !lies_within(strings, strings_size) || !lies_within(reservations, 0)
        || structure % 4 != 0) {
        problem = "device tree: a block lies outside of it";
        return false;
    }
    if (structure_size > k_max_structure) {
        problem = "device tree: it is longer than 2 MiB";
        return false;
    }
    // Pairs of 64-bit words, up to one of zeros.
    u32 reservations_end = reservations;
    for (u32 word = 0; word != 4 && total - reservations_end >= 16;) {
        for (word = 0; word < 4 && big_endian(memory, reservations_end + word * 4) == 0;)
            ++word;
        reservations_end += 16;
    }
    // Monitors pad the blob (QEMU to 1 MiB); what lies behind the blocks is nobody's.
    m_blob = memory.first(std::max({ 40u, structure + structure_size, strings + strings_size, reservations_end }));
    m_structure = words_in(memory.subspan(structure, structure_size));
    m_strings = memory.subspan(strings, strings_size);
    m_reservations = memory.subspan(reservations, reservations_end - reservations);
    if (!m_strings.empty() && m_strings.back() != 0) {
        problem = "device tree: the names of properties don't end";
        return false;
    }
    return true;
}

bool DeviceTree::create(std::span<const u8> memory, DeviceTree& tree, std::string_view& problem)
{
    if (!tree.lay_out(memory, problem))
        return false;
    problem = tree.index();
    return problem.empty();
}

void DeviceTree::move_to(std::span<const u8> memory)
{
    auto moved = [&](const void* data, usize length) {
        auto offset = reinterpret_cast<uintptr_t>(data) - reinterpret_cast<uintptr_t>(m_blob.data());
        return memory.subspan(offset, length);
    };
    m_structure = words_in(moved(m_structure.data(), m_structure.size_bytes()));
    m_strings = moved(m_strings.data(), m_strings.size());
    m_reservations = moved(m_reservations.data(), m_reservations.size());
    m_blob = memory;
}

DeviceTree::Node DeviceTree::root() const
{
    std::span<const u32> rest = m_structure;
    Node node;
    node.m_tree = this;
    for (Item item; take(rest, item) && item.token == Token::Nop;)
        node.m_path[0] = static_cast<u32>(m_structure.size() - rest.size());
    return node;
}

DeviceTree::Node DeviceTree::known(Known which) const
{
    Node node = m_known[static_cast<usize>(which)];
    if (node)
        node.m_tree = this; // the tree may have been moved
    return node;
}

DeviceTree::Node DeviceTree::memory(usize index) const
{
    if (index >= m_memory_count)
        return {};
    Node node = root();
    node.m_path[++node.m_depth] = m_memory[index];
    return node;
}

DeviceTree::Node DeviceTree::find_path(std::string_view path) const
{
    Node at = root();
    usize depth = 0;
    std::string_view part = take_part(path);
    if (part.empty())
        return at;
    for (Node node = at.next(); node; node = node.next()) {
        if (node.depth() <= depth)
            break;
        if (node.depth() != depth + 1 || !node.is_called(part))
            continue;
        ++depth;
        part = take_part(path);
        if (part.empty())
            return node;
    }
    return {};
}

DeviceTree::Node DeviceTree::find_compatible(std::string_view with) const
{
    for (Node node = root(); node; node = node.next()) {
        if (node.is_compatible(with) && node.is_enabled())
            return node;
    }
    return {};
}

DeviceTree::Node DeviceTree::find_phandle(u32 phandle) const
{
    // Nearly always it is the interrupt controller that is meant.
    for (Known which : { Known::Gic2, Known::Gic3 }) {
        if (Node node = known(which); node && node.property("phandle").cell(0) == phandle)
            return node;
    }
    for (Node node = root(); node; node = node.next()) {
        if (Property property = node.property("phandle"); property && property.cell(0) == phandle)
            return node;
    }
    return {};
}

std::string_view DeviceTree::Node::name() const
{
    Item item;
    std::span<const u32> rest = tokens();
    return m_tree->take(rest, item) ? text_in(item.text) : std::string_view {};
}

std::span<const u32> DeviceTree::Node::tokens() const
{
    return m_tree->m_structure.subspan(offset());
}

std::string_view DeviceTree::Node::base_name() const
{
    std::string_view whole = name();
    return whole.substr(0, whole.find('@'));
}

bool DeviceTree::Node::is_called(std::string_view part) const
{
    return name() == part || base_name() == part;
}

bool DeviceTree::Node::is_at(std::string_view path) const
{
    Node node = *this;
    for (node.m_depth = 1; node.m_depth <= m_depth; ++node.m_depth) {
        if (std::string_view part = take_part(path); part.empty() || !node.is_called(part))
            return false;
    }
    return take_part(path).empty();
}

DeviceTree::Property DeviceTree::Node::property(std::string_view name) const
{
    if (!m_tree)
        return {};
    std::span<const u32> rest = tokens();
    Item item;
    if (!m_tree->take(rest, item))
        return {};
    // Properties come before subnodes.
    while (m_tree->take(rest, item)) {
        if (item.token == Token::Property && m_tree->is_named(item, name))
            return Property(item.text);
        if (item.token != Token::Property && item.token != Token::Nop)
            break;
    }
    return {};
}

bool DeviceTree::is_enabled(Property status)
{
    return !status || status.text() == "okay" || status.text() == "ok";
}

bool DeviceTree::Node::is_enabled() const
{
    return DeviceTree::is_enabled(property("status"));
}

DeviceTree::Node DeviceTree::Node::parent() const
{
    if (m_depth == 0)
        return {};
    Node node = *this;
    --node.m_depth;
    return node;
}

DeviceTree::Node DeviceTree::Node::next() const
{
    std::span<const u32> rest = tokens();
    Item item;
    if (!m_tree->take(rest, item))
        return {};
    Node node = *this;
    while (true) {
        u32 at = static_cast<u32>(m_tree->m_structure.size() - rest.size());
        if (!m_tree->take(rest, item))
            return {};
        switch (item.token) {
        case Token::BeginNode:
            if (node.m_depth + 1 >= k_max_depth)
                return {};
            node.m_path[++node.m_depth] = at;
            return node;
        case Token::EndNode:
            if (node.m_depth == 0)
                return {};
            --node.m_depth;
            break;
        case Token::End:
            return {};
        case Token::Property:
        case Token::Nop:
            break;
        }
    }
}

Result<PhysicalRange> DeviceTree::Node::reg(usize index) const
{
    Node bus = parent();
    if (!bus)
        return Errno::ENOENT;
    auto cells_of = [](const Node& node, std::string_view which, u32 otherwise) {
        Property property = node.property(which);
        return property ? property.cell(0) : otherwise;
    };
    u32 address_cells = cells_of(bus, "#address-cells", 2);
    u32 size_cells = cells_of(bus, "#size-cells", 1);
    if (address_cells == 0 || address_cells > 2 || size_cells > 2)
        return Errno::EINVAL;
    Property property = this->property("reg");
    usize entry = address_cells + size_cells;
    if (index >= property.cell_count() / entry)
        return Errno::ENOENT;
    u64 address = property.number(index * entry, address_cells);
    u64 size = property.number(index * entry + address_cells, size_cells);

    // Up through the buses, each of which may map its children's addresses into its parent's.
    for (; bus.depth() > 0; bus = bus.parent()) {
        Property ranges = bus.property("ranges");
        if (!ranges)
            return Errno::EINVAL;
        if (ranges.bytes().empty())
            continue;
        u32 child_cells = cells_of(bus, "#address-cells", 2);
        u32 parent_cells = cells_of(bus.parent(), "#address-cells", 2);
        u32 length_cells = cells_of(bus, "#size-cells", 1);
        if (child_cells == 0 || child_cells > 2 || parent_cells == 0 || parent_cells > 2 || length_cells > 2)
            return Errno::EINVAL;
        usize range_cells = child_cells + parent_cells + length_cells;
        bool found = false;
        for (usize i = 0; !found && i < ranges.cell_count() / range_cells; ++i) {
            u64 child = ranges.number(i * range_cells, child_cells);
            u64 above = ranges.number(i * range_cells + child_cells, parent_cells);
            u64 length = ranges.number(i * range_cells + child_cells + parent_cells, length_cells);
            if (address < child || address - child >= length)
                continue;
            address = above + (address - child);
            found = true;
        }
        if (!found)
            return Errno::EINVAL;
    }
    if (address + size < address)
        return Errno::EINVAL;
    return PhysicalRange { PhysicalAddress(address), size };
}

Result<DeviceTree::Node::Interrupt> DeviceTree::Node::interrupt(usize index) const
{
    if (!m_tree)
        return Errno::ENOENT;
    // The controller is named here, or by the nearest node above; it may itself be a mere relay.
    Node at = *this;
    u32 phandle = 0;
    constexpr usize k_max_hops = 8;
    for (usize hop = 0;; ++hop) {
        if (hop == k_max_hops)
            return Errno::ELOOP;
        phandle = 0;
        for (Node above = at; above && phandle == 0; above = above.parent()) {
            if (Property parent = above.property("interrupt-parent"))
                phandle = parent.cell(0);
        }
        if (phandle == 0)
            return Errno::EINVAL;
        at = m_tree->find_phandle(phandle);
        if (!at)
            return Errno::EINVAL;
        if (at.property("interrupt-controller"))
            break;
    }
    if (at.property("#interrupt-cells").cell(0) != 3)
        return Errno::EINVAL;
    Property property = this->property("interrupts");
    if (index >= property.cell_count() / 3)
        return Errno::ENOENT;
    // Arm GIC binding: 0 SPI, 1 PPI; number; flags, whose lower bits are 1 rising, 2 falling, 4 high, 8 low.
    u32 kind = property.cell(index * 3);
    u32 number = property.cell(index * 3 + 1);
    u32 flags = property.cell(index * 3 + 2) & 15;
    if (kind > 1 || number > 987)
        return Errno::EINVAL;
    return Interrupt { number + (kind == 0 ? 32 : 16), flags == 1 || flags == 2 };
}

} // namespace eremite
