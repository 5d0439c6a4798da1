// A flattened device tree (Devicetree Specification 0.4, chapter 5), read in place. The blob is the monitor's and not
// trusted: create() walks all of it once, so that later walks cannot leave it, and everything that refers from one node
// to another (phandles, ranges) is bounded. That walk also notes where the nodes are that the kernel asks for, so that
// nothing on the way to the application walks the tree again.
//
// Runs before the image is relocated too, so nothing here refers to data that holds addresses. No allocation, no locks.
#pragma once

#include "base/result.h"
#include "base/types.h"
#include <array>
#include <span>
#include <string_view>

namespace eremite {

class DeviceTree {
public:
    static constexpr usize k_max_depth = 16;
    static constexpr u32 k_magic = 0xd00dfeed;
    /// Longer structure blocks are refused: the whole blob may take 2 MiB (Linux's booting.rst).
    static constexpr u32 k_max_structure = 2_MiB;
    static constexpr usize k_max_memory_nodes = 16;

    /// What the kernel asks of a machine: the first three by their names below the root, the others by what they are
    /// compatible with.
    enum class Known : u8 {
        Chosen,
        Processors,
        ReservedMemory,
        Psci,
        Uart, // PL011
        WallClock, // PL031
        Timer,
        Gic2,
        Gic3,
        TranslationService, // ITS
        MessageFrame, // GICv2m
        PciHost,
        VirtioMmio,
        None, // their number
    };

    /// A property's value; all integers in it are big-endian.
    class Property {
    public:
        constexpr Property() = default;
        constexpr explicit Property(std::span<const u8> bytes)
            : m_bytes(bytes)
            , m_present(true)
        {
        }
        explicit operator bool() const { return m_present; }
        std::span<const u8> bytes() const { return m_bytes; }
        /// How many 32-bit cells it holds.
        usize cell_count() const { return m_bytes.size() / 4; }
        /// Cell `index`; 0 beyond the end.
        u32 cell(usize index) const;
        /// `count` (0 to 2) cells from `index` on as one number.
        u64 number(usize index, usize count) const;
        /// Text up to the first NUL.
        std::string_view text() const;
        /// Whether a list of strings holds `wanted`.
        bool lists(std::string_view wanted) const;

    private:
        std::span<const u8> m_bytes;
        bool m_present { false };
    };

    /// A node, and the way to it from the root. Invalid (false) where there is none; that has no properties.
    class Node {
    public:
        constexpr Node() = default;
        explicit operator bool() const { return m_tree != nullptr; }
        /// With unit address: "memory@40000000".
        std::string_view name() const;
        /// Without.
        std::string_view base_name() const;
        Property property(std::string_view name) const;
        bool is_compatible(std::string_view with) const { return property("compatible").lists(with); }
        /// status is absent or "okay".
        bool is_enabled() const;
        /// Whether it is the one of that path, as find_path() takes it.
        bool is_at(std::string_view path) const;
        Node parent() const;
        /// The next one in the order of the blob, depth first.
        Node next() const;
        usize depth() const { return m_depth; }

        /// Entry `index` of `reg`, translated to physical addresses through the buses above.
        /// ENOENT: no such entry; EINVAL: malformed, or a bus that translates nothing.
        Result<PhysicalRange> reg(usize index) const;
        /// Entry `index` of `interrupts` as a GIC has it, as INTID (SPIs from 32 on). ENOENT, EINVAL, ELOOP
        /// (controllers that refer to one another in a circle).
        struct Interrupt {
            u32 number { 0 };
            bool edge { false };
        };
        Result<Interrupt> interrupt(usize index) const;

    private:
        friend class DeviceTree;
        std::span<const u32> tokens() const; // the structure block from this node on
        bool is_called(std::string_view part) const;
        u32 offset() const { return m_path[m_depth]; }
        const DeviceTree* m_tree { nullptr };
        std::array<u32, k_max_depth> m_path {}; // where their tokens are in the structure block, in words; root first
        usize m_depth { 0 };
    };

    constexpr DeviceTree() = default;

    /// Checks the whole blob, which begins at `memory`, a multiple of 8, and may be shorter than that. On failure,
    /// `problem` says what is wrong. The tree refers to `memory`.
    static bool create(std::span<const u8> memory, DeviceTree& tree, std::string_view& problem);

    /// How much of the blob is used.
    usize size() const { return m_blob.size(); }
    /// The same blob, visible at another address now: `memory` begins there and is size() long.
    void move_to(std::span<const u8> memory);

    Node root() const;
    /// The first such node that is enabled, without a walk.
    Node known(Known which) const;
    /// Node `index` below the root whose device_type is memory; without a walk. Those beyond k_max_memory_nodes are not
    /// seen.
    Node memory(usize index) const;
    /// By names of nodes, "/soc/uart"; a part without '@' also matches one with it. Follows no aliases.
    Node find_path(std::string_view path) const;
    Node find_compatible(std::string_view with) const;
    Node find_phandle(u32 phandle) const;
    /// Calls `visit(node)` for each, depth first.
    template<typename Visit> void for_each(Visit visit) const
    {
        for (Node node = root(); node; node = node.next())
            visit(node);
    }
    /// Calls `visit(address, size)` for each entry of the memory reservation block.
    template<typename Visit> void for_each_reservation(Visit visit) const
    {
        for (usize offset = 0; offset + 16 <= m_reservations.size(); offset += 16) {
            u64 address = Property(m_reservations.subspan(offset)).number(0, 2);
            u64 size = Property(m_reservations.subspan(offset)).number(2, 2);
            if (address == 0 && size == 0)
                return;
            visit(address, size);
        }
    }

private:
    enum class Token : u32 { BeginNode = 1, EndNode = 2, Property = 3, Nop = 4, End = 9 };
    struct Item {
        Token token;
        u32 name { 0 }; // of a property: where in the strings block
        std::span<const u8> text; // the value of a property; the name of a node, and zeros
    };
    struct Reading;

    /// Takes the first token off `rest`, the rest of the structure block; false if it doesn't lie wholly in it.
    bool take(std::span<const u32>& rest, Item& item) const;
    bool is_named(const Item& property, std::string_view name) const;
    void read_property(const Item& item, usize depth, Reading& reading) const;
    void note(const Node& node, const Reading& reading);
    /// The one walk of create(): checks each token, and notes where the known nodes are. Returns what is wrong with the
    /// structure block, or an empty text.
    std::string_view index();
    static bool is_enabled(Property status);
    bool lay_out(std::span<const u8> memory, std::string_view& problem);

    std::span<const u32> m_structure;
    std::span<const u8> m_strings; // ends with a NUL, if there are any
    std::span<const u8> m_reservations;
    std::span<const u8> m_blob; // what is used of it
    std::array<Node, static_cast<usize>(Known::None)> m_known {};
    std::array<u32, k_max_memory_nodes> m_memory {};
    u32 m_memory_count { 0 };
};

} // namespace eremite
