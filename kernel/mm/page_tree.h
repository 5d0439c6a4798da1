// From page numbers to words: a radix tree of 64 entries a node, for files from one page to all there may be. An entry
// of 0 is not there. No lock of its own.
#pragma once

#include "base/owned.h"
#include "base/result.h"
#include <array>
#include <bit>

namespace eremite {

class PageTree {
public:
    PageTree() = default;
    ~PageTree() { clear(); }
    PageTree(const PageTree&) = delete;
    PageTree& operator=(const PageTree&) = delete;

    /// The entry of page `index`, or null where there is none.
    u64* find(u64 index)
    {
        if (m_height != 1) [[unlikely]]
            return find_in_tall(index);
        if (index >= k_fanout)
            return nullptr;
        u64& word = m_root->words[index];
        return word != 0 ? &word : nullptr;
    }
    /// The entry of page `index`, made if need be (then it is 0, and must be set before anything else is called).
    /// ENOMEM.
    Result<u64*> ensure(u64 index);
    /// Takes it out; frees nodes that hold nothing else.
    void erase(u64 index);
    /// The first page at or after `index` that has an entry; puts its number into `index`. Null: none.
    u64* next(u64& index);
    /// The first page at or after `index` that has none.
    u64 next_absent(u64 index);
    /// Calls visitor(number, entry) for each page from `first` on, in order, until it returns false. The tree stays as
    /// it is meanwhile.
    template<typename Visitor> void visit(u64 first, Visitor visitor) const
    {
        if (covers(m_height, first))
            visit_in(*m_root, m_height, 0, first, visitor);
    }
    /// Forgets all entries.
    void clear();

private:
    static constexpr unsigned k_shift = 6;
    static constexpr usize k_fanout = 64;
    static constexpr unsigned k_max_height = 9; // 54 bits of page number

    // A node's words are entries at height 1, and pointers to nodes above.
    struct Node {
        std::array<u64, k_fanout> words {};
        u64 used { 0 }; // a bit for each word that isn't 0
    };

    static bool covers(unsigned height, u64 index)
    {
        return height != 0 && (height * k_shift >= 64 || (index >> (height * k_shift)) == 0);
    }
    static usize slot(u64 index, unsigned height) { return (index >> ((height - 1) * k_shift)) & (k_fanout - 1); }
    static Node* child(u64 word) { return reinterpret_cast<Node*>(word); }
    u64* find_in_tall(u64 index);
    static Node* create();
    static void release(Node* node, unsigned height);
    static bool erase_in(Node& node, unsigned height, u64 index);
    static u64* next_in(Node& node, unsigned height, u64& index);

    /// `base`: the number of the first page below `node`.
    template<typename Visitor>
    static bool visit_in(const Node& node, unsigned height, u64 base, u64 first, Visitor& visitor)
    {
        const unsigned shift = (height - 1) * k_shift;
        const u64 skipped = first > base ? (first - base) >> shift : 0;
        for (u64 ahead = node.used & (~u64 { 0 } << skipped); ahead != 0; ahead &= ahead - 1) {
            const auto position = static_cast<usize>(std::countr_zero(ahead));
            const u64 word = node.words[position];
            const u64 number = base + (static_cast<u64>(position) << shift);
            if (height == 1 ? !visitor(number, word) : !visit_in(*child(word), height - 1, number, first, visitor))
                return false;
        }
        return true;
    }

    Node* m_root { nullptr };
    unsigned m_height { 0 };
};

} // namespace eremite
