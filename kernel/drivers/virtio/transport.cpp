#include "drivers/virtio/transport.h"

#include "arch/cpu.h"
#include "base/log.h"
#include "sched/clock.h"

#include <algorithm>

namespace eremite::virtio {

void Transport::set_location(std::string_view text)
{
    m_location_length = std::min(text.size(), m_location.size());
    std::copy_n(text.begin(), m_location_length, m_location.begin());
}

bool Transport::reset()
{
    write_status(0);
    // Virtio 1.2, 4.1.4.3.2: the device says 0 when it is done. A second is long.
    Nanoseconds deadline = monotonic_now() + Nanoseconds::from_seconds(1);
    while (read_status() != 0) {
        if (monotonic_now() > deadline)
            return false;
        arch::relax();
    }
    return true;
}

Result<u64> Transport::negotiate(std::string_view driver, u64 wanted, u64 unwanted)
{
    if (!reset()) {
        log_error("{}: the device at {} doesn't answer a reset", driver, location());
        return Errno::EIO;
    }
    write_status(k_status_acknowledge);
    write_status(k_status_acknowledge | k_status_driver);
    u64 offered = device_features();
    if ((offered & k_feature_version_1) == 0) {
        log_error("{}: the device at {} is older than virtio 1 (with QEMU, add disable-legacy=on, or -global "
                  "virtio-mmio.force-legacy=false)",
            driver, location());
        fail();
        return Errno::EPROTO;
    }
    u64 features = offered
        & (wanted | k_feature_version_1 | k_feature_access_platform | k_feature_event_index | k_feature_indirect)
        & ~unwanted;
    set_driver_features(features);
    write_status(k_status_acknowledge | k_status_driver | k_status_features_ok);
    if ((read_status() & k_status_features_ok) == 0) {
        log_error("{}: the device at {} refuses the features that it offered", driver, location());
        fail();
        return Errno::EPROTO;
    }
    m_features = features;
    return features;
}

Result<OwnPtr<Virtqueue>> Transport::create_queue(
    std::string_view owner, u16 index, u16 size_limit, u16 indirect_tables, u16 indirect_length)
{
    u16 size = std::min(queue_size_limit(index), size_limit);
    if (size == 0)
        return Errno::ENODEV;
    while (!is_power_of_two(size))
        size &= static_cast<u16>(size - 1);
    bool indirect = has(k_feature_indirect);
    auto queue = TRY(Virtqueue::create({ .owner = owner,
        .index = index,
        .size = size,
        .event_index = has(k_feature_event_index),
        .indirect_tables = indirect ? indirect_tables : u16 { 0 },
        .indirect_length = indirect ? indirect_length : u16 { 0 } }));
    TRY(enable_queue(*queue));
    return queue;
}

u64 Transport::read_configuration64(usize offset)
{
    while (true) {
        u32 before = configuration_generation();
        u64 low = read_configuration(offset, 4);
        u64 high = read_configuration(offset + 4, 4);
        if (configuration_generation() == before)
            return high << 32 | low;
    }
}

} // namespace eremite::virtio
