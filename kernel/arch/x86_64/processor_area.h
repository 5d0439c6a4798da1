// The processor's own top-level slot (rights.h), as assembly sees it too: a page of descriptors, which is read-only,
// then the entry stacks, each with a guard page below it. Private to arch/x86_64.
#pragma once

// Within the last 2 GiB, which an instruction can name.
#define PROCESSOR_AREA 0xffffffff80000000
#define PROCESSOR_SELF 0xffffffff80000ff8 // the PerCpu, at the end of the page of descriptors
#define PROCESSOR_STACKS 0xffffffff80001000
#define PROCESSOR_STACKS_SIZE 0xe000 // sizeof(EntryStacks)
#define PROCESSOR_RETURN 0xffffffff80005f00 // near the top of the stack for interrupts: where frames are left from
