// A file's name as words, so that it is copied, compared and hashed by words.
#pragma once

#include "base/types.h"
#include <array>
#include <string_view>

namespace eremite {

/// Short names (up to 40 bytes) are held whole; of longer ones there is only the hash, and their text must be compared.
struct PackedName {
    static constexpr usize k_words = 5;
    static constexpr usize k_max_length = k_words * sizeof(u64);
    std::array<u64, k_words> words {};
    u32 hash { 0 };
    u16 size { 0 };
    bool fits { true };

    PackedName() = default;
    /// `name` has no slash in it.
    explicit PackedName(std::string_view name);
    /// Takes the name off the front of `path`, up to a slash or the end. One that doesn't fit is not taken whole.
    static PackedName take(std::string_view& path, usize& length);

    /// Whether two names that fit are one. (The array's own comparison would be a call.)
    bool is_same(const PackedName& other) const
    {
        return words[0] == other.words[0] && words[1] == other.words[1] && words[2] == other.words[2]
            && words[3] == other.words[3] && words[4] == other.words[4];
    }
    /// The name, if it fits.
    std::string_view view() const { return { reinterpret_cast<const char*>(words.data()), size }; }

    /// Something unpredictable, before the first name: nobody can choose names that all have one hash.
    static void set_secret(u64 secret);
};

} // namespace eremite
