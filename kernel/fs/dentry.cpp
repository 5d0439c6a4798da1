#include "fs/dentry.h"

#include "arch/clock.h"

namespace eremite {

namespace {

constexpr usize k_buckets = 2048;
constexpr usize k_max_unused = 8192; // names kept in all before unused ones are dropped
constexpr u32 k_max_chain = 128; // a reader that met more has strayed into another bucket

constinit SpinLock s_lock; // the buckets, the free list, every dentry's place and name
constinit std::array<std::atomic<Dentry*>, k_buckets> s_buckets {};
constinit std::atomic<u32> s_sequence { 0 }; // odd while a name is being changed
constinit Dentry* s_free = nullptr;
constinit std::atomic<usize> s_count { 0 };
constinit usize s_sweep = 0;
constinit Mutex s_rename_lock;

std::atomic<Dentry*>& bucket_of(const Dentry* directory, u32 hash)
{
    const u64 mixed = (reinterpret_cast<u64>(directory) >> 7) * 0x9e37'79b9'7f4a'7c15 + hash;
    return s_buckets[(mixed ^ (mixed >> 17)) % k_buckets];
}

} // namespace

Mutex& rename_lock()
{
    return s_rename_lock;
}

bool Dentry::try_ref() const
{
    // Sequentially consistent, as is the look at s_sequence that follows: drop_unused() moves the sequence and then
    // looks at the count, and one of the two must notice the other.
    u32 count = m_references.load(std::memory_order_relaxed);
    while (count != 0) {
        if (m_references.compare_exchange_weak(count, count + 1, std::memory_order_seq_cst, std::memory_order_relaxed))
            return true;
    }
    return false;
}

void Dentry::unref() const
{
    if (m_references.fetch_sub(1, std::memory_order_acq_rel) == 1)
        DentryCache::release(const_cast<Dentry&>(*this));
}

RefPtr<Dentry> Dentry::parent()
{
    Locked lock(s_lock);
    return RefPtr<Dentry>(m_parent.load(std::memory_order_relaxed));
}

Result<String> Dentry::name()
{
    std::array<char, PackedName::k_max_length> text;
    while (true) {
        bool is_long;
        usize length = 0;
        {
            Locked lock(s_lock);
            is_long = (m_flags.load(std::memory_order_relaxed) & Long) != 0;
            if (!is_long) {
                for (; length < text.size(); ++length) {
                    const char c
                        = static_cast<char>(m_words[length / 8].load(std::memory_order_relaxed) >> (length % 8 * 8));
                    if (c == 0)
                        break;
                    text[length] = c;
                }
            }
        }
        if (!is_long)
            return String::create({ text.data(), length });
        // Only a rename could change a long name; that lock keeps it away while the copy allocates.
        Locked lock(rename_lock());
        if ((m_flags.load(std::memory_order_relaxed) & Long) != 0)
            return String::create(m_long_name);
    }
}

Dentry* DentryCache::allocate()
{
    {
        Locked lock(s_lock);
        if (Dentry* dentry = s_free) {
            s_free = dentry->m_next.load(std::memory_order_relaxed);
            return dentry;
        }
    }
    constexpr usize count = k_page_size / sizeof(Dentry);
    auto* memory = static_cast<Dentry*>(kmalloc(count * sizeof(Dentry), alignof(Dentry)));
    if (!memory)
        return nullptr;
    Dentry* first = nullptr;
    Locked lock(s_lock);
    for (usize i = 0; i < count; ++i) {
#pragma clang unsafe_buffer_usage begin // i < count, the size of what was allocated
        Dentry* dentry = ::new (&memory[i]) Dentry;
#pragma clang unsafe_buffer_usage end
        if (i == 0) {
            first = dentry;
            continue;
        }
        dentry->m_next.store(s_free, std::memory_order_relaxed);
        s_free = dentry;
    }
    return first;
}

void DentryCache::release(Dentry& dentry)
{
    // Not by recursion: the parent may go as well, and its parent.
    Dentry* next = &dentry;
    while (next) {
        Dentry* current = next;
        Inode* inode = current->m_inode.exchange(nullptr, std::memory_order_relaxed);
        next = current->m_parent.exchange(nullptr, std::memory_order_relaxed);
        String name = std::move(current->m_long_name);
        {
            Locked lock(s_lock);
            current->m_flags.store(0, std::memory_order_relaxed);
            current->m_next.store(s_free, std::memory_order_relaxed);
            s_free = current;
        }
        if (inode)
            inode->unref();
        if (next && next->m_references.fetch_sub(1, std::memory_order_acq_rel) != 1)
            next = nullptr;
    }
}

void DentryCache::set_name(Dentry& dentry, Dentry* parent, const PackedName& packed, String long_name)
{
    dentry.m_parent.store(parent, std::memory_order_relaxed);
    for (usize i = 0; i < packed.words.size(); ++i)
        dentry.m_words[i].store(packed.words[i], std::memory_order_relaxed);
    dentry.m_hash.store(packed.hash, std::memory_order_relaxed);
    const u32 flags = dentry.m_flags.load(std::memory_order_relaxed) & ~u32 { Dentry::Long };
    dentry.m_flags.store(packed.fits ? flags : flags | Dentry::Long, std::memory_order_relaxed);
    dentry.m_long_name = std::move(long_name);
}

Result<String> DentryCache::prepare_name(std::string_view name)
{
    if (name.size() <= PackedName::k_max_length)
        return String();
    return String::create(name);
}

Result<RefPtr<Dentry>> DentryCache::create_root(RefPtr<Inode> inode)
{
    Dentry* dentry = allocate();
    if (!dentry)
        return Errno::ENOMEM;
    dentry->m_flags.store(inode->is_directory() ? u32 { Dentry::Directory } : 0, std::memory_order_relaxed);
    dentry->m_mounted.store(nullptr, std::memory_order_relaxed);
    dentry->m_covered.store(nullptr, std::memory_order_relaxed);
    set_name(*dentry, nullptr, PackedName(std::string_view {}), String());
    dentry->m_inode.store(inode.leak(), std::memory_order_relaxed);
    dentry->m_references.store(1, std::memory_order_release);
    return RefPtr<Dentry>::adopt(dentry);
}

Result<RefPtr<Dentry>> DentryCache::create_unnamed(Dentry& directory, RefPtr<Inode> inode)
{
    RefPtr<Dentry> dentry = TRY(create_root(std::move(inode)));
    std::array<char, 24> text;
    const std::string_view name = [&] {
        usize length = 0;
        text[length++] = '#';
        u64 number = dentry->inode().number();
        usize digits = 1;
        for (u64 rest = number; rest >= 10; rest /= 10)
            ++digits;
        for (usize i = digits; i > 0; --i, number /= 10)
            text[length + i - 1] = static_cast<char>('0' + number % 10);
        return std::string_view(text.data(), length + digits);
    }();
    directory.ref();
    set_name(*dentry, &directory, PackedName(name), String());
    dentry->m_flags.fetch_or(Dentry::Removed, std::memory_order_relaxed);
    return dentry;
}

Result<RefPtr<Dentry>> DentryCache::create_memory_file(RefPtr<Inode> inode, std::string_view name)
{
    Vector<char> text;
    TRY(text.try_append(std::span(std::string_view("memfd:"))));
    TRY(text.try_append(std::span(name)));
    const std::string_view whole(text.begin(), text.size());
    String long_name = TRY(prepare_name(whole));
    // A root of its own to hang from, which nobody can walk to.
    RefPtr<Dentry> root = TRY(create_root(inode));
    RefPtr<Dentry> dentry = TRY(create_root(std::move(inode)));
    set_name(*dentry, root.leak(), PackedName(whole), std::move(long_name));
    dentry->m_flags.fetch_or(Dentry::Removed, std::memory_order_relaxed);
    return dentry;
}

Dentry* DentryCache::find(Dentry& directory, const PackedName& packed, std::string_view name)
{
    for (Dentry* dentry = bucket_of(&directory, packed.hash).load(std::memory_order_relaxed); dentry;
        dentry = dentry->m_next.load(std::memory_order_relaxed)) {
        if (dentry->m_hash.load(std::memory_order_relaxed) != packed.hash
            || dentry->m_parent.load(std::memory_order_relaxed) != &directory)
            continue;
        const bool is_long = (dentry->m_flags.load(std::memory_order_relaxed) & Dentry::Long) != 0;
        if (is_long == packed.fits)
            continue;
        if (is_long ? dentry->m_long_name.view() == name : dentry->has_words(packed))
            return dentry;
    }
    return nullptr;
}

Result<RefPtr<Dentry>> DentryCache::lookup(Dentry& directory, std::string_view name)
{
    if (!directory.inode().is_directory())
        return Errno::ENOTDIR;
    if (name.size() > abi::k_name_max)
        return Errno::ENAMETOOLONG;
    const PackedName packed(name);
    {
        Locked lock(s_lock);
        Dentry* dentry = find(directory, packed, name);
        if (dentry
            && ((dentry->m_flags.load(std::memory_order_relaxed) & Dentry::Expires) == 0
                || arch::now().value() < dentry->m_valid_until.load(std::memory_order_relaxed)))
            return RefPtr<Dentry>(dentry);
    }
    Locked lock(directory.inode().mutex());
    return lookup_locked(directory, name);
}

Result<RefPtr<Dentry>> DentryCache::lookup_locked(Dentry& directory, std::string_view name)
{
    if (name.size() > abi::k_name_max)
        return Errno::ENAMETOOLONG;
    const PackedName packed(name);
    RefPtr<Dentry> known;
    {
        Locked lock(s_lock);
        known = RefPtr<Dentry>(find(directory, packed, name));
    }
    if (known) {
        if ((known->m_flags.load(std::memory_order_relaxed) & Dentry::Expires) == 0
            || arch::now().value() < known->m_valid_until.load(std::memory_order_relaxed) || known->mounted())
            return known;
        // The name's time is up: does it still mean the same file?
        auto found = directory.inode().lookup(name);
        if (found.is_error()) {
            if (found.error() == Errno::ENOENT)
                remove(*known);
            return found.error();
        }
        if (found.value().inode.get() == &known->inode()) {
            known->m_valid_until.store(found.value().valid_until.value(), std::memory_order_relaxed);
            return known;
        }
        remove(*known);
        return insert(directory, name, found.release_value());
    }
    return insert(directory, name, TRY(directory.inode().lookup(name)));
}

Result<RefPtr<Dentry>> DentryCache::insert(Dentry& directory, std::string_view name, Inode::Found found)
{
    if (s_count.load(std::memory_order_relaxed) >= k_max_unused)
        drop_unused(nullptr);
    const PackedName packed(name);
    String long_name = TRY(prepare_name(name));
    const bool is_directory = found.inode->is_directory();
    const bool is_symlink = found.inode->is_symlink();
    RefPtr<Dentry> dentry = TRY(create_root(std::move(found.inode)));
    directory.ref();
    u32 flags = Dentry::Hashed;
    if (is_directory)
        flags |= Dentry::Directory;
    if (is_symlink)
        flags |= Dentry::Symlink;
    if (found.valid_until != Nanoseconds::max())
        flags |= Dentry::Expires;
    dentry->m_flags.store(flags, std::memory_order_relaxed);
    dentry->m_valid_until.store(found.valid_until.value(), std::memory_order_relaxed);
    dentry->ref(); // the cache's own
    Locked lock(s_lock);
    set_name(*dentry, &directory, packed, std::move(long_name));
    auto& bucket = bucket_of(&directory, packed.hash);
    dentry->m_next.store(bucket.load(std::memory_order_relaxed), std::memory_order_relaxed);
    bucket.store(dentry.get(), std::memory_order_release);
    s_count.fetch_add(1, std::memory_order_relaxed);
    return dentry;
}

void DentryCache::learn(Dentry& directory, std::string_view name, Inode::Found found)
{
    if (name.size() > abi::k_name_max)
        return;
    {
        const PackedName packed(name);
        Locked lock(s_lock);
        if (Dentry* known = find(directory, packed, name)) {
            if (&known->inode() == found.inode.get())
                known->m_valid_until.store(found.valid_until.value(), std::memory_order_relaxed);
            return;
        }
    }
    // Without memory it is looked up when it is asked for.
    static_cast<void>(insert(directory, name, std::move(found)).is_error());
}

void DentryCache::unlist(Dentry& dentry)
{
    auto* link
        = &bucket_of(dentry.m_parent.load(std::memory_order_relaxed), dentry.m_hash.load(std::memory_order_relaxed));
    while (Dentry* at = link->load(std::memory_order_relaxed)) {
        if (at == &dentry) {
            link->store(dentry.m_next.load(std::memory_order_relaxed), std::memory_order_release);
            return;
        }
        link = &at->m_next;
    }
    ASSERT_NOT_REACHED();
}

void DentryCache::remove(Dentry& dentry)
{
    {
        Locked lock(s_lock);
        if ((dentry.m_flags.load(std::memory_order_relaxed) & Dentry::Hashed) == 0)
            return;
        unlist(dentry);
        dentry.m_flags.fetch_and(~u32 { Dentry::Hashed }, std::memory_order_relaxed);
        dentry.m_flags.fetch_or(Dentry::Removed, std::memory_order_relaxed);
        s_sequence.fetch_add(2, std::memory_order_acq_rel);
        s_count.fetch_sub(1, std::memory_order_relaxed);
    }
    dentry.unref();
}

void DentryCache::move(Dentry& dentry, Dentry& directory, std::string_view name, String long_name, Dentry* replaced)
{
    if (replaced)
        remove(*replaced);
    const PackedName packed(name);
    Dentry* old_parent = nullptr;
    directory.ref();
    {
        Locked lock(s_lock);
        s_sequence.fetch_add(1, std::memory_order_acq_rel);
        if ((dentry.m_flags.load(std::memory_order_relaxed) & Dentry::Hashed) != 0)
            unlist(dentry);
        old_parent = dentry.m_parent.load(std::memory_order_relaxed);
        std::swap(dentry.m_long_name, long_name); // freed without the lock
        set_name(dentry, &directory, packed, std::move(dentry.m_long_name));
        auto& bucket = bucket_of(&directory, packed.hash);
        dentry.m_next.store(bucket.load(std::memory_order_relaxed), std::memory_order_relaxed);
        bucket.store(&dentry, std::memory_order_release);
        s_sequence.fetch_add(1, std::memory_order_acq_rel);
    }
    if (old_parent)
        old_parent->unref();
}

void DentryCache::exchange(Dentry& first, Dentry& second, String first_long, String second_long)
{
    Locked lock(s_lock);
    s_sequence.fetch_add(1, std::memory_order_acq_rel);
    unlist(first);
    unlist(second);
    Dentry* first_parent = first.m_parent.load(std::memory_order_relaxed);
    Dentry* second_parent = second.m_parent.load(std::memory_order_relaxed);
    for (usize i = 0; i < PackedName::k_words; ++i) {
        const u64 word = first.m_words[i].load(std::memory_order_relaxed);
        first.m_words[i].store(second.m_words[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
        second.m_words[i].store(word, std::memory_order_relaxed);
    }
    const u32 hash = first.m_hash.load(std::memory_order_relaxed);
    first.m_hash.store(second.m_hash.load(std::memory_order_relaxed), std::memory_order_relaxed);
    second.m_hash.store(hash, std::memory_order_relaxed);
    first.m_parent.store(second_parent, std::memory_order_relaxed);
    second.m_parent.store(first_parent, std::memory_order_relaxed);
    first.m_long_name = std::move(first_long);
    second.m_long_name = std::move(second_long);
    for (Dentry* dentry : { &first, &second }) {
        const u32 flags = dentry->m_flags.load(std::memory_order_relaxed) & ~u32 { Dentry::Long };
        dentry->m_flags.store(dentry->m_long_name.is_empty() ? flags : flags | Dentry::Long, std::memory_order_relaxed);
        auto& bucket = bucket_of(
            dentry->m_parent.load(std::memory_order_relaxed), dentry->m_hash.load(std::memory_order_relaxed));
        dentry->m_next.store(bucket.load(std::memory_order_relaxed), std::memory_order_relaxed);
        bucket.store(dentry, std::memory_order_release);
    }
    s_sequence.fetch_add(1, std::memory_order_acq_rel);
}

RefPtr<Dentry> DentryCache::walk(Dentry& start, std::string_view path, bool follow_last)
{
    const u32 sequence = s_sequence.load(std::memory_order_acquire);
    if ((sequence & 1) != 0)
        return nullptr;
    Dentry* at = &start;
    while (true) {
        while (!path.empty() && path.front() == '/')
            path.remove_prefix(1);
        if (path.empty())
            break;
        if ((at->m_flags.load(std::memory_order_relaxed) & Dentry::Directory) == 0)
            return nullptr;
        usize length;
        const PackedName packed = PackedName::take(path, length);
        if (!packed.fits)
            return nullptr;
        if (packed.words[0] == '.' || packed.words[0] == ('.' | '.' << 8)) {
            if (length == 1)
                continue;
            return nullptr; // "..": mounts and the root have a say
        }
        Dentry* dentry = bucket_of(at, packed.hash).load(std::memory_order_acquire);
        for (u32 steps = 0; dentry; dentry = dentry->m_next.load(std::memory_order_acquire)) {
            if (++steps > k_max_chain)
                return nullptr;
            if (dentry->m_hash.load(std::memory_order_relaxed) == packed.hash
                && dentry->m_parent.load(std::memory_order_relaxed) == at && dentry->has_words(packed))
                break;
        }
        if (!dentry)
            return nullptr;
        const u32 flags = dentry->m_flags.load(std::memory_order_relaxed);
        constexpr u32 unusual = Dentry::Symlink | Dentry::MountPoint | Dentry::Expires | Dentry::Long;
        if ((flags & unusual) != 0) [[unlikely]] {
            if ((flags & Dentry::Long) != 0)
                return nullptr;
            if ((flags & Dentry::Symlink) != 0 && (follow_last || !path.empty()))
                return nullptr;
            if ((flags & Dentry::Expires) != 0
                && arch::now().value() >= dentry->m_valid_until.load(std::memory_order_relaxed))
                return nullptr;
            while ((dentry->m_flags.load(std::memory_order_relaxed) & Dentry::MountPoint) != 0) {
                Dentry* root = dentry->mounted();
                if (!root)
                    return nullptr;
                dentry = root;
            }
        }
        if (!path.empty() && (dentry->m_flags.load(std::memory_order_relaxed) & Dentry::Directory) == 0)
            return nullptr; // a slash follows what is no directory: let the other way say so
        at = dentry;
    }
    if (!at->try_ref())
        return nullptr;
    RefPtr<Dentry> result = RefPtr<Dentry>::adopt(at);
    if (s_sequence.load(std::memory_order_seq_cst) != sequence)
        return nullptr;
    return result;
}

bool DentryCache::is_ancestor(Dentry& ancestor, Dentry& dentry)
{
    for (Dentry* at = &dentry; at; at = at->m_parent.load(std::memory_order_relaxed)) {
        if (at == &ancestor)
            return true;
    }
    return false;
}

void DentryCache::set_mounted(Dentry& point, Dentry& root)
{
    point.ref();
    root.ref();
    Locked lock(s_lock);
    s_sequence.fetch_add(2, std::memory_order_acq_rel);
    root.m_covered.store(&point, std::memory_order_release);
    point.m_mounted.store(&root, std::memory_order_release);
    point.m_flags.fetch_or(Dentry::MountPoint, std::memory_order_release);
}

void DentryCache::clear_mounted(Dentry& point, Dentry& root)
{
    {
        Locked lock(s_lock);
        s_sequence.fetch_add(2, std::memory_order_acq_rel);
        point.m_flags.fetch_and(~u32 { Dentry::MountPoint }, std::memory_order_release);
        point.m_mounted.store(nullptr, std::memory_order_release);
        root.m_covered.store(nullptr, std::memory_order_release);
    }
    root.unref();
    point.unref();
}

usize DentryCache::drop_unused(FileSystem* file_system)
{
    usize dropped = 0;
    // Leaves first: a directory is in use as long as a child is cached, so the sweep repeats until nothing more goes.
    while (true) {
        const usize before = dropped;
        for (usize i = 0; i < k_buckets; ++i) {
            std::array<Dentry*, 16> victims;
            usize count = 0;
            {
                Locked lock(s_lock);
                s_sequence.fetch_add(2, std::memory_order_seq_cst);
                const usize bucket = file_system ? i : s_sweep++ % k_buckets;
                for (Dentry* dentry = s_buckets[bucket].load(std::memory_order_relaxed);
                    dentry && count < victims.size();) {
                    Dentry* next = dentry->m_next.load(std::memory_order_relaxed);
                    if (dentry->m_references.load(std::memory_order_seq_cst) == 1 && !dentry->mounted()
                        && (!file_system || &dentry->inode().file_system() == file_system)) {
                        unlist(*dentry);
                        dentry->m_flags.fetch_and(~u32 { Dentry::Hashed }, std::memory_order_relaxed);
                        victims[count++] = dentry;
                    }
                    dentry = next;
                }
                s_count.fetch_sub(count, std::memory_order_relaxed);
            }
            for (Dentry* dentry : std::span(victims).first(count))
                dentry->unref();
            dropped += count;
            // A full cache needs room, not emptiness.
            if (!file_system && dropped >= k_max_unused / 8)
                return dropped;
        }
        if (dropped == before)
            return dropped;
    }
}

usize DentryCache::count()
{
    return s_count.load(std::memory_order_relaxed);
}

Result<String> path_of(Dentry& dentry, Dentry& root)
{
    // Filled from the end, as the names come.
    Vector<char> reversed;
    const auto prepend = [&](std::string_view text) -> Result<> {
        for (usize i = text.size(); i > 0; --i)
            TRY(reversed.try_append(text[i - 1]));
        return {};
    };
    RefPtr<Dentry> at(&dentry);
    if (at->is_removed())
        TRY(prepend(" (deleted)"));
    bool any = false;
    while (at.get() != &root) {
        while (Dentry* covered = at->covered()) {
            if (at.get() == &root)
                break;
            at = RefPtr<Dentry>(covered);
        }
        RefPtr<Dentry> parent = at->parent();
        if (!parent)
            break;
        TRY(prepend(TRY(at->name())));
        TRY(prepend("/"));
        any = true;
        at = std::move(parent);
    }
    if (!any)
        TRY(prepend("/"));
    for (usize i = 0, j = reversed.size() - 1; i < j; ++i, --j)
        std::swap(reversed[i], reversed[j]);
    return String::create({ reversed.begin(), reversed.size() });
}

} // namespace eremite
