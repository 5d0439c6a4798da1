// Numbers of the virtio 1.2 specification that several files need.
#pragma once

#include "base/types.h"

namespace eremite::virtio {

/// Device types (chapter 5).
enum class DeviceType : u32 { Net = 1, Block = 2, Console = 3, Entropy = 4, FileSystem = 26 };

/// Device status bits (2.1).
inline constexpr u8 k_status_acknowledge = 1;
inline constexpr u8 k_status_driver = 2;
inline constexpr u8 k_status_driver_ok = 4;
inline constexpr u8 k_status_features_ok = 8;
inline constexpr u8 k_status_needs_reset = 64;
inline constexpr u8 k_status_failed = 128;

constexpr u64 feature(unsigned bit)
{
    return u64 { 1 } << bit;
}

/// Features of any device (chapter 6).
inline constexpr u64 k_feature_indirect = feature(28);
inline constexpr u64 k_feature_event_index = feature(29);
inline constexpr u64 k_feature_version_1 = feature(32);
inline constexpr u64 k_feature_access_platform = feature(33);

} // namespace eremite::virtio
