// walk MEMORY stack|mpk ROOT: judges the page tables (Intel SDM 3A, 4.5 and 4.6) at ROOT, a physical address in hex, in
// the file MEMORY, which is physical memory from 0.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRESENT = 1, WRITABLE = 2, USER = 4, LARGE = 0x80, FRAMES = 1 << 13 };
#define NO_EXECUTE (UINT64_C(1) << 63)
#define FRAME UINT64_C(0x000ffffffffff000)
#define KERNEL_HALF UINT64_C(0xffff800000000000)
#define DIRECT_MAP_END UINT64_C(0xffffc00000000000)
/* The image lies below; memory that the program itself made executable, above. */
#define IMAGE_END UINT64_C(0x600000000000)
/* The processor's own area: descriptor tables, entry stacks. */
#define AREA UINT64_C(0xffffffff80000000)
#define AREA_END UINT64_C(0xffffffff8000f000)

static uint8_t* memory;
static uint64_t size;
static int keys, wrong, leaves, supervisor_writable;
/* Of each frame: how some mapping has it. */
static uint8_t executable[FRAMES], image[FRAMES], writable[FRAMES], direct[FRAMES], application[FRAMES],
    trusted[FRAMES], table[FRAMES];

static void complain(const char* what, uint64_t address, uint64_t entry)
{
    printf("%#lx: %s (entry %#lx)\n", (unsigned long)address, what, (unsigned long)entry);
    wrong++;
}

static void look_at(uint64_t address, uint64_t entry, uint64_t length)
{
    int user = (entry & USER) != 0, may_write = (entry & WRITABLE) != 0, may_execute = !(entry & NO_EXECUTE);
    int key = entry >> 59 & 15, kernel_half = address >= KERNEL_HALF;
    leaves++;
    if (may_write && may_execute)
        complain("writable and executable", address, entry);
    if (keys) {
        if (may_execute && user)
            complain("executable with the user bit: SMEP does not cover it", address, entry);
        if (may_write && !user) {
            supervisor_writable++;
            if (address < AREA || address >= AREA_END)
                complain("writable data that no key applies to", address, entry);
        }
        if (user && kernel_half && key != 1 && key != 2)
            complain("the kernel's half under a key of the application's", address, entry);
        if (user && !kernel_half && key == 2)
            complain("untrusted kernel memory in the application's half", address, entry);
    } else if (key != 0) {
        complain("a key, and there are none", address, entry);
    }
    for (uint64_t frame = (entry & FRAME & ~(length - 1)) >> 12, end = frame + (length >> 12); frame < end; frame++) {
        if (frame >= FRAMES)
            break; /* devices */
        int in_direct_map = kernel_half && address < DIRECT_MAP_END;
        executable[frame] |= may_execute;
        image[frame] |= may_execute && address < IMAGE_END;
        writable[frame] |= may_write && !in_direct_map;
        direct[frame] |= may_write && in_direct_map;
        application[frame] |= user && key != 1 && key != 2;
        /* The direct map has everybody's frames but the image's own. */
        trusted[frame] |= keys && ((user && key == 1 && !in_direct_map) || (!user && may_write));
    }
}

static void walk(uint64_t root, int level, uint64_t address)
{
    if (root + 4096 > size) {
        complain("a table outside of memory", address, root);
        return;
    }
    table[root >> 12] = 1;
    for (uint64_t i = 0; i < 512; i++) {
        uint64_t entry;
        memcpy(&entry, memory + root + 8 * i, 8);
        if (!(entry & PRESENT))
            continue;
        uint64_t length = UINT64_C(4096) << 9 * level, at = address + i * length;
        if (level == 3 && i >= 256)
            at |= UINT64_C(0xffff) << 48;
        if (level == 0 || (level < 3 && (entry & LARGE)))
            look_at(at, entry, length);
        else
            walk(entry & FRAME, level - 1, at);
    }
}

int main(int count, char** words)
{
    if (count != 4)
        return 2;
    FILE* file = fopen(words[1], "rb");
    if (!file)
        return 2;
    memory = malloc((size_t)FRAMES * 4096);
    size = fread(memory, 1, (size_t)FRAMES * 4096, file);
    keys = strcmp(words[2], "mpk") == 0;
    walk(strtoull(words[3], NULL, 16) & FRAME, 3, 0);
    int shared = 0;
    for (uint64_t frame = 0; frame < FRAMES; frame++) {
        if ((executable[frame] && writable[frame]) || (image[frame] && direct[frame]))
            complain("a frame that one mapping may execute, and another may write", frame << 12, 0);
        if (keys && application[frame] && (trusted[frame] || table[frame]))
            complain("a frame of the kernel's under a key of the application's", frame << 12, 0);
        shared += application[frame];
    }
    printf("%d pages, %d frames the application's, %d writable pages without a key, %d wrong\n", leaves, shared,
        supervisor_writable, wrong);
    return wrong != 0 || leaves < 100 || (keys && (shared < 100 || supervisor_writable == 0));
}
