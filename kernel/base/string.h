// An owned, immutable piece of text on the kernel heap (not NUL-terminated); creation can fail.
#pragma once

#include "base/vector.h"
#include <string_view>

namespace eremite {

class String {
public:
    String() = default;
    static Result<String> create(std::string_view text)
    {
        String result;
        TRY(result.m_text.try_append(std::span<const char>(text.data(), text.size())));
        return result;
    }

    std::string_view view() const { return { m_text.span().data(), m_text.size() }; }
    operator std::string_view() const { return view(); }
    usize size() const { return m_text.size(); }
    bool is_empty() const { return m_text.is_empty(); }

private:
    Vector<char> m_text;
};

} // namespace eremite
