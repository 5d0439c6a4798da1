#include "mm/page_tree.h"

namespace eremite {

PageTree::Node* PageTree::create()
{
    void* memory = kmalloc(sizeof(Node));
    return memory ? ::new (memory) Node : nullptr;
}

void PageTree::release(Node* node, unsigned height)
{
    if (!node)
        return;
    if (height > 1) {
        for (u64 word : node->words)
            release(child(word), height - 1);
    }
    kfree(node, sizeof(Node));
}

void PageTree::clear()
{
    release(m_root, m_height);
    m_root = nullptr;
    m_height = 0;
}

u64* PageTree::find_in_tall(u64 index)
{
    if (!covers(m_height, index))
        return nullptr;
    Node* node = m_root;
    for (unsigned height = m_height; height > 1 && node; --height)
        node = child(node->words[slot(index, height)]);
    if (!node)
        return nullptr;
    u64& word = node->words[slot(index, 1)];
    return word != 0 ? &word : nullptr;
}

Result<u64*> PageTree::ensure(u64 index)
{
    if ((index >> (k_max_height * k_shift)) != 0)
        return Errno::EFBIG;
    while (!covers(m_height, index)) {
        Node* root = create();
        if (!root)
            return Errno::ENOMEM;
        if (m_root) {
            root->words[0] = reinterpret_cast<u64>(m_root);
            root->used = 1;
        }
        m_root = root;
        ++m_height;
    }
    Node* node = m_root;
    for (unsigned height = m_height; height > 1; --height) {
        usize position = slot(index, height);
        u64& word = node->words[position];
        if (word == 0) {
            Node* made = create();
            if (!made)
                return Errno::ENOMEM;
            word = reinterpret_cast<u64>(made);
            node->used |= u64 { 1 } << position;
        }
        node = child(word);
    }
    node->used |= u64 { 1 } << slot(index, 1);
    return &node->words[slot(index, 1)];
}

/// Returns whether `node` holds nothing any more.
bool PageTree::erase_in(Node& node, unsigned height, u64 index)
{
    usize position = slot(index, height);
    u64& word = node.words[position];
    if (height > 1) {
        if (word == 0 || !erase_in(*child(word), height - 1, index))
            return false;
        kfree(child(word), sizeof(Node));
    }
    word = 0;
    node.used &= ~(u64 { 1 } << position);
    return node.used == 0;
}

void PageTree::erase(u64 index)
{
    if (!covers(m_height, index) || !erase_in(*m_root, m_height, index))
        return;
    kfree(m_root, sizeof(Node));
    m_root = nullptr;
    m_height = 0;
}

u64* PageTree::next_in(Node& node, unsigned height, u64& index)
{
    unsigned shift = (height - 1) * k_shift;
    for (usize position = slot(index, height); position < k_fanout;) {
        u64 ahead = node.used >> position;
        if (ahead == 0)
            return nullptr;
        usize skip = static_cast<usize>(std::countr_zero(ahead));
        if (skip != 0) {
            position += skip;
            index = (((index >> shift) + skip) << shift);
        }
        if (height == 1)
            return &node.words[position];
        u64 here = index >> shift;
        if (u64* found = next_in(*child(node.words[position]), height - 1, index))
            return found;
        ++position;
        index = (here + 1) << shift;
    }
    return nullptr;
}

u64* PageTree::next(u64& index)
{
    return covers(m_height, index) ? next_in(*m_root, m_height, index) : nullptr;
}

u64 PageTree::next_absent(u64 index)
{
    while (find(index))
        ++index;
    return index;
}

} // namespace eremite
