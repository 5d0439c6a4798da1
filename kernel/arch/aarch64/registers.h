// Values of system registers that assembly and C++ share (Arm ARM, D19).
#pragma once

#define SCTLR_RESET 0x30d00800
#define SCTLR_MMU (1 << 0)
#define SCTLR_CACHE (1 << 2)
#define SCTLR_STACK_ALIGNMENT (1 << 3)
#define SCTLR_INSTRUCTION_CACHE (1 << 12)
/// Writable means not executable, whatever the tables say.
#define SCTLR_WXN (1 << 19)
/// Pointer authentication by instruction key A.
#define SCTLR_PAC_IA (1 << 31)
#define SCTLR_EARLY (SCTLR_RESET | SCTLR_MMU | SCTLR_CACHE | SCTLR_STACK_ALIGNMENT | SCTLR_INSTRUCTION_CACHE)

/// Attribute 0: normal, write-back; 1: device-nGnRE; 2: normal, uncached. PageTableFormat names them.
#define MAIR_VALUE 0x4404ff

/// Both halves 48 bits (T0SZ and T1SZ are how many are left of 64), 4 KiB granule, walks cached and inner shareable;
/// the upper half off (EPD1) until it is there.
#define TCR_T0SZ_SHIFT 0
#define TCR_T1SZ_SHIFT 16
#define TCR_EPD1 (1 << 23)
#define TCR_VALUE                                                                                                      \
    (16 | (1 << 8) | (1 << 10) | (3 << 12) | (16 << 16) | (1 << 23) | (1 << 24) | (1 << 26) | (3 << 28) | (2 << 30))

/// An exception that finds less than this left of its entry stack is reported from elsewhere (traps.S).
#define ENTRY_STACK_RESERVE 1024

/// Memory behind the image that its first page tables may take.
#define EARLY_MEMORY 0x200000
