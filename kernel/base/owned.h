// Ownership: OwnPtr (one owner), RefPtr with RefCounted (shared). Creation is fallible: make<T>() and make_ref<T>()
// return ENOMEM instead of throwing.
#pragma once

#include "base/result.h"
#include "base/types.h"
#include <atomic>
#include <new>
#include <utility>

namespace eremite {

/// Allocates `size` bytes aligned to `alignment` (a power of two, at most a page) from the kernel heap; null when there
/// is no memory. Defined by mm/ (the host's malloc on arch `host`).
void* kmalloc(usize size, usize alignment = alignof(std::max_align_t));
/// Frees what kmalloc gave; null is fine. `size` is what was asked for.
void kfree(void* pointer, usize size);

/// Sole owner of an object on the kernel heap. For a base class pointer, T needs a virtual destructor and a
/// `kfree_size()`-like size: OwnPtr remembers the most derived size.
template<typename T> class OwnPtr {
public:
    constexpr OwnPtr() = default;
    constexpr OwnPtr(std::nullptr_t) { }
    OwnPtr(OwnPtr&& other)
        : m_pointer(std::exchange(other.m_pointer, nullptr))
        , m_size(other.m_size)
    {
    }
    template<typename U>
        requires std::is_convertible_v<U*, T*>
    OwnPtr(OwnPtr<U>&& other)
        : m_size(other.m_size)
    {
        static_assert(std::is_same_v<U, T> || std::has_virtual_destructor_v<T>);
        m_pointer = std::exchange(other.m_pointer, nullptr);
    }
    OwnPtr& operator=(OwnPtr&& other)
    {
        OwnPtr taken(std::move(other));
        std::swap(m_pointer, taken.m_pointer);
        std::swap(m_size, taken.m_size);
        return *this;
    }
    ~OwnPtr()
    {
        if (m_pointer) {
            void* memory = const_cast<std::remove_const_t<T>*>(m_pointer);
            m_pointer->~T();
            kfree(memory, m_size);
        }
    }

    T* get() const { return m_pointer; }
    T* operator->() const
    {
        ASSERT(m_pointer);
        return m_pointer;
    }
    T& operator*() const
    {
        ASSERT(m_pointer);
        return *m_pointer;
    }
    explicit operator bool() const { return m_pointer != nullptr; }
    /// Gives up ownership, of an object that adopt() will take back with the same static type.
    T* leak() { return std::exchange(m_pointer, nullptr); }
    static OwnPtr adopt(T* pointer) { return OwnPtr(pointer, sizeof(T)); }

private:
    template<typename U> friend class OwnPtr;
    OwnPtr(T* pointer, u32 size)
        : m_pointer(pointer)
        , m_size(size)
    {
    }

    T* m_pointer { nullptr };
    u32 m_size { 0 };
};

/// Base of objects with shared ownership. The count starts at 1, owned by the RefPtr that make_ref returns.
/// When it reaches 0, `Derived::last_reference_dropped()`, if there is one, is called before the destructor.
template<typename Derived> class RefCounted {
public:
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;

    void ref() const { m_count.fetch_add(1, std::memory_order_relaxed); }
    void unref() const
    {
        if (m_count.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            auto* self = const_cast<Derived*>(static_cast<const Derived*>(this));
            if constexpr (requires { self->last_reference_dropped(); })
                self->last_reference_dropped();
            u32 size = m_allocation_size;
            self->~Derived();
            kfree(self, size);
        }
    }
    /// Takes a reference unless the object is already dying: for tables that hold no reference of their own.
    bool try_ref() const
    {
        u32 count = m_count.load(std::memory_order_relaxed);
        while (count != 0) {
            if (m_count.compare_exchange_weak(count, count + 1, std::memory_order_acquire, std::memory_order_relaxed))
                return true;
        }
        return false;
    }
    u32 reference_count() const { return m_count.load(std::memory_order_relaxed); }
    void set_allocation_size(u32 size) { m_allocation_size = size; }

protected:
    RefCounted() = default;
    ~RefCounted() = default;

private:
    mutable std::atomic<u32> m_count { 1 };
    u32 m_allocation_size { 0 };
};

/// Shared owner of a RefCounted object; may be null.
template<typename T> class RefPtr {
public:
    constexpr RefPtr() = default;
    constexpr RefPtr(std::nullptr_t) { }
    /// Shares: takes a reference of its own.
    RefPtr(T* pointer)
        : m_pointer(pointer)
    {
        if (m_pointer)
            m_pointer->ref();
    }
    RefPtr(const RefPtr& other)
        : RefPtr(other.m_pointer)
    {
    }
    RefPtr(RefPtr&& other)
        : m_pointer(std::exchange(other.m_pointer, nullptr))
    {
    }
    template<typename U>
        requires std::is_convertible_v<U*, T*>
    RefPtr(const RefPtr<U>& other)
        : RefPtr(static_cast<T*>(other.get()))
    {
    }
    template<typename U>
        requires std::is_convertible_v<U*, T*>
    RefPtr(RefPtr<U>&& other)
        : m_pointer(other.leak())
    {
    }
    RefPtr& operator=(RefPtr other)
    {
        std::swap(m_pointer, other.m_pointer);
        return *this;
    }
    ~RefPtr()
    {
        if (m_pointer)
            m_pointer->unref();
    }

    T* get() const { return m_pointer; }
    T* operator->() const
    {
        ASSERT(m_pointer);
        return m_pointer;
    }
    T& operator*() const
    {
        ASSERT(m_pointer);
        return *m_pointer;
    }
    explicit operator bool() const { return m_pointer != nullptr; }
    bool operator==(const RefPtr& other) const { return m_pointer == other.m_pointer; }
    /// Gives up the reference without dropping it; adopt() takes it back.
    T* leak() { return std::exchange(m_pointer, nullptr); }
    static RefPtr adopt(T* pointer)
    {
        RefPtr result;
        result.m_pointer = pointer;
        return result;
    }

private:
    T* m_pointer { nullptr };
};

/// A new T on the kernel heap, constructed from `arguments`. ENOMEM.
template<typename T, typename... Arguments> Result<OwnPtr<T>> make(Arguments&&... arguments)
{
    void* memory = kmalloc(sizeof(T), alignof(T));
    if (!memory)
        return Errno::ENOMEM;
    return OwnPtr<T>::adopt(::new (memory) T(std::forward<Arguments>(arguments)...));
}

/// A new reference-counted T on the kernel heap. ENOMEM.
template<typename T, typename... Arguments> Result<RefPtr<T>> make_ref(Arguments&&... arguments)
{
    void* memory = kmalloc(sizeof(T), alignof(T));
    if (!memory)
        return Errno::ENOMEM;
    T* object = ::new (memory) T(std::forward<Arguments>(arguments)...);
    object->set_allocation_size(sizeof(T));
    return RefPtr<T>::adopt(object);
}

} // namespace eremite
