// Device trees for tests, written token by token.
#pragma once

#include "device/device_tree.h"

#include <string>
#include <vector>

namespace eremite {

/// Writes a flattened tree (Devicetree Specification 0.4, chapter 5).
class TreeBuilder {
public:
    TreeBuilder& begin(const char* name)
    {
        word(1);
        text(name);
        return *this;
    }
    TreeBuilder& end()
    {
        word(2);
        return *this;
    }
    TreeBuilder& cells(const char* name, const std::vector<u32>& values)
    {
        word(3);
        word(static_cast<u32>(values.size() * 4));
        word(intern(name));
        for (u32 value : values)
            word(value);
        return *this;
    }
    /// `value` may hold NULs: a list of strings.
    TreeBuilder& string(const char* name, const std::string& value)
    {
        word(3);
        word(static_cast<u32>(value.size() + 1));
        word(intern(name));
        for (usize i = 0; i <= value.size(); ++i)
            m_structure.push_back(static_cast<u8>(value.c_str()[i]));
        pad();
        return *this;
    }
    std::vector<u8> blob(bool with_end = true)
    {
        if (with_end)
            word(9);
        std::vector<u8> structure = std::move(m_structure);
        u32 structure_at = 56;
        u32 strings_at = structure_at + static_cast<u32>(structure.size());
        u32 total = strings_at + static_cast<u32>(m_strings.size());
        m_structure.clear();
        for (u32 value : { DeviceTree::k_magic, total, structure_at, strings_at, 40u, 17u, 16u, 0u,
                 static_cast<u32>(m_strings.size()), static_cast<u32>(structure.size()), 0u, 0u, 0u, 0u })
            word(value);
        m_structure.insert(m_structure.end(), structure.begin(), structure.end());
        m_structure.insert(m_structure.end(), m_strings.begin(), m_strings.end());
        return m_structure;
    }

private:
    void word(u32 value)
    {
        for (int shift : { 24, 16, 8, 0 })
            m_structure.push_back(static_cast<u8>(value >> shift));
    }
    void text(const char* value)
    {
        for (const char* c = value;; ++c) {
            m_structure.push_back(static_cast<u8>(*c));
            if (*c == 0)
                break;
        }
        pad();
    }
    void pad()
    {
        while (m_structure.size() % 4 != 0)
            m_structure.push_back(0);
    }
    u32 intern(const std::string& name)
    {
        u32 at = static_cast<u32>(m_strings.size());
        m_strings += name;
        m_strings += '\0';
        return at;
    }
    std::vector<u8> m_structure;
    std::string m_strings;
};

} // namespace eremite
