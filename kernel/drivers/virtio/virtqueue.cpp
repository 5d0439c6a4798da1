#include "drivers/virtio/virtqueue.h"

#include "arch/cpu.h"
#include "base/log.h"

namespace eremite::virtio {

namespace {

// The rings are shared with the device: each access is one of its own, and the compiler assumes nothing about them.
template<typename T> T load(const T& place)
{
    return __atomic_load_n(&place, __ATOMIC_RELAXED);
}
template<typename T> T load_acquire(const T& place)
{
    return __atomic_load_n(&place, __ATOMIC_ACQUIRE);
}
template<typename T> void store(T& place, T value)
{
    __atomic_store_n(&place, value, __ATOMIC_RELAXED);
}

constexpr usize k_flags = 0;
constexpr usize k_index = 1;
constexpr usize k_ring = 2; // of the driver area; in it, used_event follows the ring
constexpr usize k_device_header = 4; // bytes before the elements of the device area

unsigned order_for(usize bytes)
{
    unsigned order = 0;
    while ((k_page_size << order) < bytes)
        ++order;
    return order;
}

} // namespace

Result<OwnPtr<Virtqueue>> Virtqueue::create(const Options& options)
{
    if (!is_power_of_two(options.size) || options.size > 32768)
        return Errno::EINVAL;
    void* memory = kmalloc(sizeof(Virtqueue), alignof(Virtqueue));
    if (!memory)
        return Errno::ENOMEM;
    auto queue = OwnPtr<Virtqueue>::adopt(::new (memory) Virtqueue(options));
    TRY(queue->allocate());
    return queue;
}

Result<> Virtqueue::allocate()
{
    usize size = m_options.size;
    TRY(m_chains.try_resize(size));
    TRY(m_next.try_resize(size));
    // Virtio 1.2, 2.7: descriptors 16 bytes, driver area 2-aligned, device area 4-aligned.
    m_driver_offset = sizeof(Descriptor) * size;
    m_device_offset = align_up(m_driver_offset + 2 * (k_ring + size + 1), 64);
    usize total = m_device_offset + k_device_header + sizeof(UsedElement) * size + 2;
    m_order = order_for(total);
    m_memory = TRY(allocate_frames(m_order));
    std::span<u8> bytes(static_cast<u8*>(direct_map(m_memory)), k_page_size << m_order);
    __builtin_memset(bytes.data(), 0, bytes.size());
#pragma clang unsafe_buffer_usage begin // the rings' places within `bytes`, whose size was computed from them
    m_descriptors = { reinterpret_cast<Descriptor*>(bytes.data()), size };
    m_driver = { reinterpret_cast<u16*>(bytes.subspan(m_driver_offset).data()), k_ring + size + 1 };
    m_device = { reinterpret_cast<u16*>(bytes.subspan(m_device_offset).data()),
        (k_device_header + sizeof(UsedElement) * size + 2) / 2 };
    m_used = { reinterpret_cast<UsedElement*>(bytes.subspan(m_device_offset + k_device_header).data()), size };
#pragma clang unsafe_buffer_usage end

    if (m_options.indirect_tables != 0) {
        usize descriptors = usize { m_options.indirect_tables } * m_options.indirect_length;
        TRY(m_free_tables.try_reserve(m_options.indirect_tables));
        m_indirect_order = order_for(descriptors * sizeof(Descriptor));
        m_indirect_memory = TRY(allocate_frames(m_indirect_order));
        m_indirect = { static_cast<Descriptor*>(direct_map(m_indirect_memory)), descriptors };
        for (u16 table = 0; table < m_options.indirect_tables; ++table)
            TRY(m_free_tables.try_append(table));
    }
    for (usize i = 0; i < size; ++i)
        m_next[i] = static_cast<u16>(i + 1);
    m_free_count = m_options.size;
    return {};
}

Virtqueue::~Virtqueue()
{
    if (!m_memory.is_null())
        free_frames(m_memory, m_order);
    if (!m_indirect_memory.is_null())
        free_frames(m_indirect_memory, m_indirect_order);
}

void Virtqueue::shut(std::string_view reason)
{
    if (m_broken)
        return;
    m_broken = true;
    log_error("{}: queue {} is shut: {}", m_options.owner, m_options.index, reason);
}

bool Virtqueue::uses_indirect(usize segments) const
{
    return segments <= m_options.indirect_length && !m_free_tables.is_empty()
        && (segments > k_longest_direct || segments > m_free_count);
}

std::span<Virtqueue::Descriptor> Virtqueue::indirect_table(u16 table)
{
    return m_indirect.subspan(usize { table } * m_options.indirect_length, m_options.indirect_length);
}

void Virtqueue::offer(u16 head)
{
    store(m_driver[k_ring + (m_available & (m_options.size - 1))], head);
    ++m_available;
    ++m_outstanding;
}

bool Virtqueue::push_single(const DmaSegment& segment, bool writable, void* token)
{
    ASSERT(token);
    u16 head = m_first_free;
    m_chains[head] = { token, writable ? segment.length : 0, 1, k_none };
    m_descriptors[head] = { segment.address.value(), segment.length, writable ? k_flag_write : u16 { 0 }, 0 };
    m_first_free = m_next[head];
    --m_free_count;
    offer(head);
    return true;
}

bool Virtqueue::push(std::span<const DmaSegment> readable, std::span<const DmaSegment> writable, void* token)
{
    usize count = readable.size() + writable.size();
    if (count == 1 && m_free_count != 0 && !m_broken) [[likely]]
        return push_single(readable.empty() ? writable[0] : readable[0], readable.empty(), token);
    if (m_broken || count == 0 || !has_room(count))
        return false;
    ASSERT(token);
    u16 head = m_first_free;
    Chain& chain = m_chains[head];
    chain.token = token;
    u32 writable_length = 0;
    for (const DmaSegment& segment : writable)
        writable_length += segment.length;
    chain.writable_length = writable_length;

    auto segment_at = [&](usize i) -> const DmaSegment& {
        return i < readable.size() ? readable[i] : writable[i - readable.size()];
    };
    auto flags_at = [&](usize i) {
        return static_cast<u16>((i + 1 < count ? k_flag_next : 0) | (i < readable.size() ? 0 : k_flag_write));
    };
    if (uses_indirect(count)) {
        u16 number = m_free_tables.last();
        m_free_tables.remove_last();
        chain.indirect_table = number;
        chain.descriptors = 1;
        std::span<Descriptor> table = indirect_table(number);
        for (usize i = 0; i < count; ++i) {
            const DmaSegment& segment = segment_at(i);
            table[i] = { segment.address.value(), segment.length, flags_at(i), static_cast<u16>(i + 1) };
        }
        u64 address = m_indirect_memory.value() + usize { number } * m_options.indirect_length * sizeof(Descriptor);
        m_descriptors[head] = { address, static_cast<u32>(count * sizeof(Descriptor)), k_flag_indirect, 0 };
        m_first_free = m_next[head];
        m_free_count -= 1;
    } else {
        chain.indirect_table = k_none;
        chain.descriptors = static_cast<u16>(count);
        u16 at = head;
        for (usize i = 0; i < count; ++i) {
            const DmaSegment& segment = segment_at(i);
            u16 next = m_next[at];
            m_descriptors[at] = { segment.address.value(), segment.length, flags_at(i), next };
            if (i + 1 == count)
                m_first_free = next;
            else
                at = next;
        }
        m_free_count -= static_cast<u16>(count);
    }
    offer(head);
    return true;
}

bool Virtqueue::publish()
{
    u16 before = m_published;
    if (m_broken || before == m_available)
        return false;
    m_published = m_available;
    __atomic_store_n(&m_driver[k_index], m_published, __ATOMIC_RELEASE);
    // The device looks at our index after it has written whether it wants to be told: one of us sees the other's.
    arch::device_barrier();
    if (!m_options.event_index)
        return (load(m_device[k_flags]) & 1) == 0;
    u16 event = load(m_device.back());
    return static_cast<u16>(m_published - event - 1) < static_cast<u16>(m_published - before);
}

bool Virtqueue::has_completions() const
{
    return !m_broken && load_acquire(m_device[k_index]) != m_last_used;
}

bool Virtqueue::pop(Completion& completion)
{
    if (!look(completion))
        return false;
    take(completion);
    return true;
}

void Virtqueue::take(const Completion& completion)
{
    ++m_last_used;
    release(completion.head);
}

void Virtqueue::offer_again(const Completion& completion)
{
    ++m_last_used;
    --m_outstanding;
    offer(completion.head);
}

bool Virtqueue::look(Completion& completion)
{
    if (m_broken)
        return false;
    u16 waiting = static_cast<u16>(load_acquire(m_device[k_index]) - m_last_used);
    if (waiting == 0)
        return false;
    if (waiting > m_outstanding) {
        shut("the device claims to be done with more than it has");
        return false;
    }
    const UsedElement& element = m_used[m_last_used & (m_options.size - 1)];
    u32 id = load(element.id);
    u32 length = load(element.length);
    if (id >= m_options.size || m_chains[id].descriptors == 0) [[unlikely]] {
        shut("the device is done with a buffer that it doesn't have");
        return false;
    }
    if (length > m_chains[id].writable_length) {
        shut("the device claims to have written more than there is room");
        return false;
    }
    completion = { m_chains[id].token, length, static_cast<u16>(id) };
    return true;
}

void Virtqueue::release(u16 head)
{
    Chain& chain = m_chains[head];
    --m_outstanding;
    if (chain.descriptors == 1 && chain.indirect_table == k_none) [[likely]] {
        m_next[head] = m_first_free;
        m_first_free = head;
        ++m_free_count;
        chain.descriptors = 0;
        chain.token = nullptr;
        return;
    }
    if (chain.indirect_table != k_none) {
        // Its capacity was reserved for all of them.
        ASSERT(m_free_tables.try_append(chain.indirect_table).has_value());
        chain.indirect_table = k_none;
    }
    u16 last = head;
    for (u16 i = 1; i < chain.descriptors; ++i)
        last = m_next[last];
    m_next[last] = m_first_free;
    m_first_free = head;
    m_free_count += chain.descriptors;
    chain.descriptors = 0;
    chain.token = nullptr;
}

bool Virtqueue::enable_interrupts_after(u16 count)
{
    if (m_options.event_index)
        store(m_driver.back(), static_cast<u16>(m_last_used + count - 1));
    else
        store(m_driver[k_flags], u16 { 0 });
    arch::device_barrier();
    u16 waiting = static_cast<u16>(load_acquire(m_device[k_index]) - m_last_used);
    return !m_broken && waiting >= (m_options.event_index ? count : 1);
}

void Virtqueue::disable_interrupts()
{
    // As far away as an index can be.
    if (m_options.event_index)
        store(m_driver.back(), static_cast<u16>(m_last_used + 0x8000));
    else
        store(m_driver[k_flags], u16 { 1 });
}

void* Virtqueue::reclaim()
{
    for (; m_reclaimed < m_options.size; ++m_reclaimed) {
        if (m_chains[m_reclaimed].descriptors == 0)
            continue;
        void* token = m_chains[m_reclaimed].token;
        release(m_reclaimed);
        return token;
    }
    return nullptr;
}

} // namespace eremite::virtio
