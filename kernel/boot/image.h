// The image's own layout, as the link script (libc/eremite.ld.in) bounds it. Between each pair lie whole pages.
#pragma once

#include "base/types.h"

#pragma GCC visibility push(hidden)
extern "C" {
extern const char __eremite_image_start[], __eremite_image_end[];
extern const char __eremite_rodata_start[], __eremite_rodata_end[];
extern const char __eremite_text_start[], __eremite_text_end[];
extern const char __eremite_kernel_text_start[], __eremite_kernel_text_end[];
extern const char __eremite_relro_start[], __eremite_relro_end[];
extern const char __eremite_data_start[], __eremite_data_end[];
extern const char __eremite_kernel_data_start[], __eremite_kernel_data_end[];
extern const char __eremite_bss_start[], __eremite_bss_end[];
extern const char __eremite_rela_start[], __eremite_rela_end[];
extern const char __eremite_relr_start[], __eremite_relr_end[];
extern const char __eremite_eh_frame_hdr_start[], __eremite_eh_frame_hdr_end[];
extern const char __eremite_tls_start[], __eremite_tls_file_end[], __eremite_tls_end[];
/// Facts that are no addresses: [0] is the alignment of the thread-local data.
extern const eremite::u64 __eremite_layout[1];
/// Program headers for the application: k_program_header_count of k_program_header_size bytes.
extern const char __eremite_program_headers[];
}
#pragma GCC visibility pop

namespace eremite {

inline constexpr usize k_program_header_count = 5;
inline constexpr usize k_program_header_size = 56;

/// Where the image runs: what crash reports call "image base".
inline VirtualAddress image_base()
{
    return VirtualAddress(reinterpret_cast<u64>(__eremite_image_start));
}
inline VirtualAddress image_end()
{
    return VirtualAddress(reinterpret_cast<u64>(__eremite_image_end));
}

/// Whether `address` is code of the kernel's.
inline bool is_kernel_text(u64 address)
{
    return address >= reinterpret_cast<u64>(__eremite_kernel_text_start)
        && address < reinterpret_cast<u64>(__eremite_kernel_text_end);
}

/// Whether `address` is in code of the image, application's or kernel's.
inline bool is_text(u64 address)
{
    return is_kernel_text(address)
        || (address >= reinterpret_cast<u64>(__eremite_text_start)
            && address < reinterpret_cast<u64>(__eremite_text_end));
}

} // namespace eremite
