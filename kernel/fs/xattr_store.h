// Extended attributes kept in memory, for file systems that have no other place for them. Locked by its owner.
#pragma once

#include "base/result.h"
#include "base/string.h"
#include <algorithm>
#include <span>

namespace eremite {

class XattrStore {
public:
    static constexpr int k_create = 1;
    static constexpr int k_replace = 2;

    /// Copies the value; an empty buffer only asks for the size. ENODATA, ERANGE.
    Result<usize> get(std::string_view name, std::span<u8> buffer) const
    {
        const Entry* entry = find(name);
        if (!entry)
            return Errno::ENODATA;
        if (buffer.empty())
            return entry->value.size();
        if (buffer.size() < entry->value.size())
            return Errno::ERANGE;
        std::ranges::copy(entry->value, buffer.begin());
        return entry->value.size();
    }

    /// EEXIST (XATTR_CREATE), ENODATA (XATTR_REPLACE), ENOMEM.
    Result<> set(std::string_view name, std::span<const u8> value, int flags)
    {
        Entry* entry = find(name);
        if (entry && (flags & k_create) != 0)
            return Errno::EEXIST;
        if (!entry && (flags & k_replace) != 0)
            return Errno::ENODATA;
        Vector<u8> copy;
        TRY(copy.try_append(value));
        if (!entry)
            return m_entries.try_append(Entry { TRY(String::create(name)), std::move(copy) });
        entry->value = std::move(copy);
        return {};
    }

    /// ENODATA.
    Result<> remove(std::string_view name)
    {
        for (usize i = 0; i < m_entries.size(); ++i) {
            if (m_entries[i].name.view() == name) {
                m_entries.remove_unordered(i);
                return {};
            }
        }
        return Errno::ENODATA;
    }

    /// Names, each ended by NUL; an empty buffer only asks for the size. ERANGE.
    Result<usize> list(std::span<u8> buffer) const
    {
        usize size = 0;
        for (const Entry& entry : m_entries)
            size += entry.name.size() + 1;
        if (buffer.empty())
            return size;
        if (buffer.size() < size)
            return Errno::ERANGE;
        auto out = buffer.begin();
        for (const Entry& entry : m_entries) {
            out = std::ranges::copy(entry.name.view(), out).out;
            *out++ = 0;
        }
        return size;
    }

private:
    struct Entry {
        String name;
        Vector<u8> value;
    };
    const Entry* find(std::string_view name) const
    {
        for (const Entry& entry : m_entries) {
            if (entry.name.view() == name)
                return &entry;
        }
        return nullptr;
    }
    Entry* find(std::string_view name) { return const_cast<Entry*>(static_cast<const XattrStore*>(this)->find(name)); }

    Vector<Entry> m_entries;
};

} // namespace eremite
