// The application's half at boot: what the image's parts are, and where mappings, heap and stack will be.
#include "boot/image.h"
#include "mm/address_space.h"
#include "random/random.h"

#include <bit>

namespace eremite {

namespace {

VirtualRange between(const char* start, const char* end)
{
    u64 first = reinterpret_cast<u64>(start);
    return { VirtualAddress(first), reinterpret_cast<u64>(end) - first };
}

} // namespace

void initialize_address_space(bool randomize)
{
    constexpr u8 read = abi::k_prot_read;
    constexpr u8 execute = abi::k_prot_read | abi::k_prot_execute;
    constexpr u8 write = abi::k_prot_read | abi::k_prot_write;
    using enum MappingKind;
    // Tables of calls, virtual functions and the like are the kernel's: with keys, the application may read them, and
    // that is all.
    constexpr MappingKind constants = k_has_keys ? Constant : Image;
    const std::array<ImagePart, 7> parts {
        ImagePart { between(__eremite_rodata_start, __eremite_rodata_end), constants, read, "read-only data" },
        ImagePart { between(__eremite_text_start, __eremite_text_end), Image, execute, "text" },
        ImagePart { between(__eremite_kernel_text_start, __eremite_kernel_text_end), Kernel, execute, "kernel text" },
        ImagePart { between(__eremite_relro_start, __eremite_relro_end), constants, read, "read-only data" },
        ImagePart { between(__eremite_data_start, __eremite_data_end), Image, write, "data" },
        ImagePart { between(__eremite_kernel_data_start, __eremite_kernel_data_end), Kernel, write, "kernel data" },
        ImagePart { between(__eremite_bss_start, __eremite_bss_end), Image, write, "data" },
    };
    // With 48-bit addresses 28 bits of pages for mappings, 24 for the heap's distance from the image.
    u64 pages = std::bit_ceil(arch::address_layout().application_end) / k_page_size;
    u64 top = arch::address_layout().application_end - 16 * k_page_size;
    u64 heap = align_up(image_end().value(), k_page_size) + k_page_size;
    if (randomize) {
        top -= random_u64() % (pages >> 7) * k_page_size;
        heap += random_u64() % (pages >> 11) * k_page_size;
    }
    create_address_space({ .root = arch::page_table_root(VirtualAddress()),
                             .map_top = VirtualAddress(top),
                             .heap_start = VirtualAddress(heap) },
        parts);
}

} // namespace eremite
