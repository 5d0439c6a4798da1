// Isolation `mpk`: overwrites the instructions that only the boot needs, and that would be as good as a key in the
// application's hands (key_sites.h). After it, what is left of their kind are the gates and one XRSTOR, with checks.
#include "arch/platform.h"

#include "base/types.h"

#if EREMITE_ISOLATION == 2

#include "arch/paging.h"
#include "base/assert.h"
#include "base/key_instructions.h"
#include "mm/address_space.h"

#include <algorithm>
#include <span>

extern "C" {
/// Entries of key_sites.h: where an instruction is, relative to the entry.
extern const eremite::i32 __start_eremite_erased[] __attribute__((visibility("hidden")));
extern const eremite::i32 __stop_eremite_erased[] __attribute__((visibility("hidden")));
}

namespace eremite::arch {

namespace {

constexpr u8 k_trap = 0xcc; // INT3
constexpr usize k_longest_instruction = 15;

void erase(u64 address)
{
    // A prefix may come first. Whole instructions lie within a function, so these bytes are all there.
    std::span<u8> code(reinterpret_cast<u8*>(address), k_longest_instruction);
    auto found = find_key_instruction(code);
    if (!found)
        return; // already: functions that are alike are one after the link
    std::ranges::fill(code.first(found->offset + found->length), k_trap);
}

/// Lets the pages of [address, address + length) be written to while `write` runs.
template<typename Write> void while_writable(u64 address, u64 length, Write write)
{
    using Format = PageTable::Format;
    TlbBatch batch;
    VirtualAddress first = VirtualAddress(address).page_floor();
    VirtualRange pages { first, align_up(address + length, k_page_size) - first.value() };
    auto set_writable = [&](bool writable) {
        address_space().page_table().for_each(pages, [&](VirtualAddress page, u64& entry, unsigned level) {
            PageAttributes attributes = Format::attributes(entry);
            attributes.writable = writable;
            PageTable::exchange(entry, Format::leaf_entry(Format::address(entry, level), attributes, level));
            batch.invalidate(page);
        });
        batch.flush();
    };
    set_writable(true);
    write();
    set_writable(false);
}

} // namespace

void seal_code()
{
    for (const i32& entry : std::span(__start_eremite_erased, __stop_eremite_erased)) {
        u64 address = reinterpret_cast<u64>(&entry) + static_cast<u64>(i64 { entry });
        while_writable(address, k_longest_instruction, [&] { erase(address); });
    }
}

} // namespace eremite::arch

#else

void eremite::arch::seal_code() { }

#endif
