// Errors travel as values: Result<T> holds a T or an Errno, TRY unwraps it or returns the error to the caller.
#pragma once

#include "base/assert.h"
#include "base/errno.h"
#include <new>
#include <type_traits>
#include <utility>

namespace eremite {

/// Either a value or an Errno. Must be looked at: discarding one doesn't compile.
template<typename T = void> class [[nodiscard]] Result {
    static_assert(!std::is_reference_v<T>, "use a pointer: a Result owns what it holds");

public:
    using Value = T;

    constexpr Result(Errno error)
        : m_error(error)
    {
    }
    template<typename U = T>
        requires(std::is_constructible_v<T, U &&> && !std::is_same_v<std::remove_cvref_t<U>, Result>
            && !std::is_same_v<std::remove_cvref_t<U>, Errno>)
    constexpr Result(U&& value)
        : m_value(std::forward<U>(value))
    {
    }
    // Trivial for trivial T, so that it travels in two registers.
    constexpr Result(Result&& other)
        requires(std::is_trivially_copyable_v<T>)
    = default;
    Result(Result&& other)
        requires(!std::is_trivially_copyable_v<T>)
        : m_error(other.m_error)
    {
        if (other.has_value())
            ::new (&m_value) T(std::move(other.m_value));
    }
    Result& operator=(Result&& other)
    {
        if (this != &other) {
            this->~Result();
            ::new (this) Result(std::move(other));
        }
        return *this;
    }
    constexpr ~Result()
        requires(std::is_trivially_copyable_v<T>)
    = default;
    constexpr ~Result()
        requires(!std::is_trivially_copyable_v<T>)
    {
        if (has_value())
            m_value.~T();
    }

    constexpr bool has_value() const { return m_error == Errno {}; }
    constexpr bool is_error() const { return !has_value(); }
    constexpr explicit operator bool() const { return has_value(); }

    /// The error; only if is_error().
    constexpr Errno error() const
    {
        ASSERT(is_error());
        return m_error;
    }
    /// The value; only if has_value().
    constexpr T& value() &
    {
        ASSERT(has_value());
        return m_value;
    }
    constexpr const T& value() const&
    {
        ASSERT(has_value());
        return m_value;
    }
    constexpr T release_value()
    {
        ASSERT(has_value());
        return std::move(m_value);
    }
    constexpr T value_or(T fallback) && { return has_value() ? std::move(m_value) : std::move(fallback); }

private:
    Errno m_error {};
    union {
        T m_value;
    };
};

/// Success, or an Errno.
template<> class [[nodiscard]] Result<void> {
public:
    using Value = void;

    constexpr Result() = default;
    constexpr Result(Errno error)
        : m_error(error)
    {
    }

    constexpr bool has_value() const { return m_error == Errno {}; }
    constexpr bool is_error() const { return !has_value(); }
    constexpr explicit operator bool() const { return has_value(); }
    constexpr Errno error() const
    {
        ASSERT(is_error());
        return m_error;
    }
    constexpr void release_value() { ASSERT(has_value()); }

private:
    Errno m_error {};
};

} // namespace eremite

/// The value of a Result expression, or return from this function with its error.
#define TRY(expression)                                                                                                \
    ({                                                                                                                 \
        auto&& try_result_ = (expression);                                                                             \
        if (try_result_.is_error()) [[unlikely]]                                                                       \
            return try_result_.error();                                                                                \
        try_result_.release_value();                                                                                   \
    })
