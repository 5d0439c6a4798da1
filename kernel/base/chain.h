// A doubly linked intrusive list that a constinit global can hold, which Boost's can't: no constructor runs, no
// destructor. Null-terminated; an object holds a hook for each chain it can be in.
#pragma once

#include "base/assert.h"
#include "base/types.h"

namespace eremite {

template<typename T> struct ChainHook {
    T* previous { nullptr };
    T* next { nullptr };
    bool linked { false };

    bool is_linked() const { return linked; }
};

template<typename T, ChainHook<T> T::* Hook> class Chain {
public:
    bool is_empty() const { return m_first == nullptr; }
    T* first() const { return m_first; }
    T* last() const { return m_last; }
    static T* next(const T& object) { return (object.*Hook).next; }

    void push_back(T& object) { insert_between(m_last, object, nullptr); }
    void push_front(T& object) { insert_between(nullptr, object, m_first); }
    void insert_before(T& position, T& object) { insert_between((position.*Hook).previous, object, &position); }

    void remove(T& object)
    {
        auto& hook = object.*Hook;
        ASSERT(hook.linked);
        // Somebody who wrote over a link may not choose what is written where.
        ASSERT((hook.previous ? (hook.previous->*Hook).next : m_first) == &object);
        ASSERT((hook.next ? (hook.next->*Hook).previous : m_last) == &object);
        (hook.previous ? (hook.previous->*Hook).next : m_first) = hook.next;
        (hook.next ? (hook.next->*Hook).previous : m_last) = hook.previous;
        hook = {};
    }
    /// Null if empty.
    T* pop_front()
    {
        T* object = m_first;
        if (object)
            remove(*object);
        return object;
    }

    class Iterator {
    public:
        explicit Iterator(T* object)
            : m_object(object)
        {
        }
        T& operator*() const { return *m_object; }
        Iterator& operator++()
        {
            m_object = next(*m_object);
            return *this;
        }
        bool operator==(const Iterator&) const = default;

    private:
        T* m_object;
    };
    Iterator begin() const { return Iterator(m_first); }
    Iterator end() const { return Iterator(nullptr); }

private:
    void insert_between(T* previous, T& object, T* following)
    {
        auto& hook = object.*Hook;
        ASSERT(!hook.linked);
        hook = { previous, following, true };
        (previous ? (previous->*Hook).next : m_first) = &object;
        (following ? (following->*Hook).previous : m_last) = &object;
    }

    T* m_first { nullptr };
    T* m_last { nullptr };
};

} // namespace eremite
