// PCI as far as drivers of virtio need it: finding functions on the first bus and those behind bridges that firmware
// has set up, capabilities, BARs (placed where firmware has not), MSI-X.
#pragma once

#include "arch/interrupt.h"
#include "base/result.h"
#include "drivers/registers.h"

namespace eremite::pci {

/// One function: bus << 8 | device << 3 | function, what interrupt controllers call the requester.
class Function {
public:
    constexpr Function() = default;
    constexpr explicit Function(u16 id)
        : m_id(id)
    {
    }

    u16 id() const { return m_id; }
    u8 bus() const { return static_cast<u8>(m_id >> 8); }
    u8 device() const { return m_id >> 3 & 31; }
    u8 number() const { return m_id & 7; }

    /// Configuration space; `offset` is a multiple of the width, below 256.
    u32 read32(u8 offset) const;
    u16 read16(u8 offset) const;
    u8 read8(u8 offset) const;
    void write32(u8 offset, u32 value) const;
    void write16(u8 offset, u16 value) const;

    u16 vendor() const { return read16(0); }
    u16 device_id() const { return read16(2); }
    /// Offset of the next capability with that number after `after` (0: the first); 0 if there is none.
    u8 find_capability(u8 number, u8 after = 0) const;
    /// Lets it answer memory accesses and write to memory.
    void enable() const;
    /// Physical range of memory BAR `index`; places it if nobody has. ENODEV: no such BAR; ENOSPC: no room for it.
    Result<PhysicalRange> bar(u8 index) const;

private:
    u16 m_id { 0 };
};

/// MSI-X of a function: a table of messages, all masked at first.
class MessageTable {
public:
    constexpr MessageTable() = default;
    /// Maps the table and turns MSI-X on. ENODEV: it has none.
    static Result<MessageTable> create(Function function);
    u16 size() const { return m_size; }
    /// Binds entry `index` to a handler on processor 0.
    Result<> bind(u16 index, arch::InterruptHandler handler, void* context);

private:
    Function m_function;
    Registers m_table;
    u16 m_size { 0 };
};

/// Calls `visit` for each function that is there. The first call finds the host bridge; without one, none is visited.
void for_each_function(void (*visit)(Function function, void* context), void* context);

} // namespace eremite::pci
