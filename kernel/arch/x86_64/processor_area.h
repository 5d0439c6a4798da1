// The processor's own top-level slot (rights.h), as assembly sees it too: a page of descriptors, which is read-only,
// then the entry stacks, each with a guard page below it. Private to arch/x86_64.
#pragma once

#define PROCESSOR_AREA 0xfffff80000000000
#define PROCESSOR_SELF 0xfffff80000000ff8 // the PerCpu, at the end of the page of descriptors
#define PROCESSOR_STACKS 0xfffff80000001000
#define PROCESSOR_STACKS_SIZE 0xe000 // sizeof(EntryStacks)
#define PROCESSOR_RETURN 0xfffff80000005f00 // near the top of the stack for interrupts: where frames are left from
