#include "fs/file_locks.h"

#include "file/file.h"
#include <algorithm>

namespace eremite {

Result<FileLocks*> FileLocks::of(Inode& inode)
{
    if (FileLocks* existing = inode.locks.load(std::memory_order_acquire))
        return existing;
    OwnPtr<FileLocks> fresh = TRY(make<FileLocks>());
    FileLocks* expected = nullptr;
    if (inode.locks.compare_exchange_strong(expected, fresh.get(), std::memory_order_acq_rel))
        return fresh.leak();
    return expected;
}

const FileLocks::Held* FileLocks::conflicting(const Held& wanted) const
{
    for (const Held& held : m_held) {
        if (held.family == wanted.family && held.owner != wanted.owner && held.start <= wanted.last
            && wanted.start <= held.last && (held.type == abi::k_f_wrlck || wanted.type == abi::k_f_wrlck))
            return &held;
    }
    return nullptr;
}

Result<> FileLocks::apply(const Held& wanted)
{
    // At most one more piece per split, and one for the lock itself: so nothing fails half-way.
    TRY(m_held.try_reserve(m_held.size() + 2));
    Held merged = wanted;
    for (usize i = 0; i < m_held.size();) {
        Held& held = m_held[i];
        if (held.family != wanted.family || held.owner != wanted.owner) {
            ++i;
            continue;
        }
        const bool overlaps = held.start <= wanted.last && wanted.start <= held.last;
        const bool touches = (held.last != UINT64_MAX && held.last + 1 == merged.start)
            || (merged.last != UINT64_MAX && merged.last + 1 == held.start) || overlaps;
        if (held.type == wanted.type && touches) {
            merged.start = std::min(merged.start, held.start);
            merged.last = std::max(merged.last, held.last);
            m_held.remove_unordered(i);
            continue;
        }
        if (!overlaps) {
            ++i;
            continue;
        }
        const Held old = held;
        m_held.remove_unordered(i);
        if (old.start < wanted.start) {
            Held before = old;
            before.last = wanted.start - 1;
            TRY(m_held.try_append(before));
        }
        if (old.last > wanted.last) {
            Held after = old;
            after.start = wanted.last + 1;
            TRY(m_held.try_append(after));
        }
    }
    if (wanted.type != abi::k_f_unlck)
        TRY(m_held.try_append(merged));
    return {};
}

Result<> FileLocks::request(Inode& inode, File& file, u64 position, int command, abi::FileLock& lock)
{
    Held wanted;
    bool may_wait = false;
    bool only_ask = false;
    if (command == File::k_flock_command) {
        const int operation = lock.type;
        const int kind = operation & ~abi::k_lock_nb;
        wanted = { .start = 0,
            .last = UINT64_MAX,
            .owner = &file,
            .type = kind == abi::k_lock_ex ? abi::k_f_wrlck
                : kind == abi::k_lock_sh   ? abi::k_f_rdlck
                                           : abi::k_f_unlck,
            .family = Family::Whole };
        may_wait = (operation & abi::k_lock_nb) == 0;
    } else {
        const bool of_description = command >= abi::k_f_ofd_getlk;
        only_ask = command == abi::k_f_getlk || command == abi::k_f_ofd_getlk;
        may_wait = command == abi::k_f_setlkw || command == abi::k_f_ofd_setlkw;
        if (lock.type < abi::k_f_rdlck || lock.type > abi::k_f_unlck || (of_description && lock.pid != 0))
            return Errno::EINVAL;
        i64 start = lock.start;
        i64 base = 0;
        if (lock.whence == abi::k_seek_cur)
            base = static_cast<i64>(position);
        else if (lock.whence == abi::k_seek_end)
            base = static_cast<i64>(inode.size());
        else if (lock.whence != abi::k_seek_set)
            return Errno::EINVAL;
        if (__builtin_add_overflow(start, base, &start))
            return Errno::EOVERFLOW;
        i64 last = INT64_MAX;
        if (lock.length > 0 && __builtin_add_overflow(start, lock.length - 1, &last))
            return Errno::EOVERFLOW;
        if (lock.length < 0) {
            last = start - 1;
            start += lock.length;
        }
        if (start < 0)
            return Errno::EINVAL;
        if (!only_ask) {
            if ((lock.type == abi::k_f_rdlck && !file.is_readable())
                || (lock.type == abi::k_f_wrlck && !file.is_writable()))
                return Errno::EBADF;
        }
        wanted = { .start = static_cast<u64>(start),
            .last = last == INT64_MAX ? UINT64_MAX : static_cast<u64>(last),
            .owner = of_description ? &file : nullptr,
            .type = lock.type,
            .family = Family::Record };
    }

    FileLocks* state = TRY(of(inode));
    {
        Locked guard(state->m_lock);
        if (only_ask) {
            const Held* other = state->conflicting(wanted);
            if (!other || wanted.type == abi::k_f_unlck) {
                lock.type = abi::k_f_unlck;
                return {};
            }
            lock.type = other->type;
            lock.whence = abi::k_seek_set;
            lock.start = static_cast<i64>(other->start);
            lock.length = other->last == UINT64_MAX ? 0 : static_cast<i64>(other->last - other->start + 1);
            lock.pid = other->owner ? -1 : k_process_id;
            return {};
        }
        if (wanted.type != abi::k_f_unlck && state->conflicting(wanted)) {
            if (!may_wait)
                return Errno::EAGAIN;
            // flock converts by giving up what was held first.
            if (wanted.family == Family::Whole) {
                Held nothing = wanted;
                nothing.type = abi::k_f_unlck;
                TRY(state->apply(nothing));
                state->m_waiters.wake_all();
            }
            TRY(state->m_waiters.wait_until(
                state->m_lock, [&]() NO_THREAD_SAFETY_ANALYSIS { return !state->conflicting(wanted); }));
        }
        TRY(state->apply(wanted));
    }
    state->m_waiters.wake_all();
    return {};
}

void FileLocks::release_owner(Inode& inode, const void* owner)
{
    FileLocks* state = inode.locks.load(std::memory_order_acquire);
    if (!state)
        return;
    {
        Locked guard(state->m_lock);
        for (usize i = 0; i < state->m_held.size();) {
            if (state->m_held[i].owner == owner)
                state->m_held.remove_unordered(i);
            else
                ++i;
        }
    }
    state->m_waiters.wake_all();
}

} // namespace eremite
