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

std::string_view as_text(std::span<const u8> bytes)
{
    return { reinterpret_cast<const char*>(bytes.data()), bytes.size() };
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
    std::string_view all = as_text(m_bytes);
    return all.substr(0, all.find('\0'));
}

bool DeviceTree::Property::lists(std::string_view wanted) const
{
    std::string_view rest = as_text(m_bytes);
    while (!rest.empty()) {
        std::string_view one = rest.substr(0, rest.find('\0'));
        if (one == wanted)
            return true;
        rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    }
    return false;
}

bool DeviceTree::read_string(std::span<const u8> block, usize offset, std::string_view& text) const
{
    if (offset >= block.size())
        return false;
    std::string_view rest = as_text(block.subspan(offset));
    usize end = rest.find('\0');
    if (end == std::string_view::npos)
        return false;
    text = rest.substr(0, end);
    return true;
}

bool DeviceTree::read(u32 offset, Item& item) const
{
    if (offset > m_structure.size() || m_structure.size() - offset < 4)
        return false;
    item.token = static_cast<Token>(big_endian(m_structure, offset));
    u64 next = u64 { offset } + 4;
    switch (item.token) {
    case Token::BeginNode:
        if (!read_string(m_structure, next, item.name))
            return false;
        next += item.name.size() + 1;
        break;
    case Token::Property: {
        if (m_structure.size() - next < 8)
            return false;
        u32 length = big_endian(m_structure, next);
        u32 name = big_endian(m_structure, next + 4);
        next += 8;
        if (length > m_structure.size() - next || !read_string(m_strings, name, item.name))
            return false;
        item.value = m_structure.subspan(next, length);
        next += length;
        break;
    }
    case Token::EndNode:
    case Token::Nop:
    case Token::End:
        break;
    default:
        return false;
    }
    next = align_up(next, 4);
    if (next > m_structure.size())
        return false;
    item.next = static_cast<u32>(next);
    return true;
}

bool DeviceTree::check(std::string_view& problem) const
{
    Item item;
    usize depth = 0;
    bool seen_root = false;
    for (u32 offset = 0;; offset = item.next) {
        if (!read(offset, item)) {
            problem = "device tree: the structure block is cut off or holds an unknown token";
            return false;
        }
        switch (item.token) {
        case Token::BeginNode:
            if (depth == 0 && seen_root) {
                problem = "device tree: there is more than one root";
                return false;
            }
            seen_root = true;
            if (++depth > k_max_depth) {
                problem = "device tree: nodes are nested too deeply";
                return false;
            }
            break;
        case Token::EndNode:
            if (depth == 0) {
                problem = "device tree: a node ends that never began";
                return false;
            }
            --depth;
            break;
        case Token::Property:
            if (depth == 0) {
                problem = "device tree: a property stands outside of any node";
                return false;
            }
            break;
        case Token::Nop:
            break;
        case Token::End:
            if (depth != 0 || !seen_root) {
                problem = "device tree: it ends within a node";
                return false;
            }
            return true;
        }
    }
}

bool DeviceTree::create(std::span<const u8> memory, DeviceTree& tree, std::string_view& problem)
{
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
    tree.m_size = total;
    tree.m_structure = memory.subspan(structure, structure_size);
    tree.m_strings = memory.subspan(strings, strings_size);
    tree.m_reservations = memory.subspan(reservations, total - reservations);
    return tree.check(problem);
}

DeviceTree::Node DeviceTree::root() const
{
    Item item;
    u32 offset = 0;
    while (read(offset, item) && item.token == Token::Nop)
        offset = item.next;
    Node node;
    node.m_tree = this;
    node.m_path[0] = offset;
    return node;
}

DeviceTree::Node DeviceTree::find_path(std::string_view path) const
{
    Node at = root();
    usize depth = 0;
    while (!path.empty() && path.front() == '/')
        path.remove_prefix(1);
    if (path.empty())
        return at;
    for (Node node = at.next(); node; node = node.next()) {
        if (node.depth() <= depth)
            break;
        if (node.depth() != depth + 1)
            continue;
        std::string_view part = path.substr(0, path.find('/'));
        if (node.name() != part && node.base_name() != part)
            continue;
        ++depth;
        path.remove_prefix(part.size());
        while (!path.empty() && path.front() == '/')
            path.remove_prefix(1);
        if (path.empty())
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
    for (Node node = root(); node; node = node.next()) {
        if (Property property = node.property("phandle"); property && property.cell(0) == phandle)
            return node;
    }
    return {};
}

std::string_view DeviceTree::Node::name() const
{
    Item item;
    return m_tree->read(offset(), item) ? item.name : std::string_view {};
}

std::string_view DeviceTree::Node::base_name() const
{
    std::string_view whole = name();
    return whole.substr(0, whole.find('@'));
}

DeviceTree::Property DeviceTree::Node::property(std::string_view name) const
{
    Item item;
    if (!m_tree->read(offset(), item))
        return {};
    // Properties come before subnodes.
    while (m_tree->read(item.next, item)) {
        if (item.token == Token::Property && item.name == name)
            return Property(item.value);
        if (item.token != Token::Property && item.token != Token::Nop)
            break;
    }
    return {};
}

bool DeviceTree::Node::is_enabled() const
{
    Property status = property("status");
    return !status || status.text() == "okay" || status.text() == "ok";
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
    Item item;
    if (!m_tree->read(offset(), item))
        return {};
    Node node = *this;
    while (true) {
        u32 at = item.next;
        if (!m_tree->read(at, item))
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
