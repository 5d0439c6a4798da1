/* Counts the instructions that a guest executes, exactly: idle time is not included, and machine load changes nothing.
 * At each MARK(n) of the guest (bench/programs/mark.h) it writes "mark N COUNT"; at the end "total COUNT". With
 * rights=yes, behind each a line "rights COUNT": how many of them were WRPKRU.
 * With profile=FILE it also counts each translated block, and writes "ADDRESS INSTRUCTIONS EXECUTIONS" per block for
 * what ran between mark `from` and mark `to` (the last such interval). With processors=yes it counts by virtual
 * processor as well, by whole blocks: "mark N COUNT C0 C1 ...".
 *
 * qemu-system-... -plugin insn_count.so,out=marks.txt[,profile=blocks.txt,from=16,to=17]
 *
 * Exact with one virtual processor; with several, counts of all are added without synchronisation. */
#include "qemu_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

struct block {
    struct block *next, *next_in_bucket;
    uint64_t address, instructions, executions, at_start, in_interval;
};

static uint64_t s_instructions, s_rights;
static int s_count_rights;
static FILE* s_out;
static const char* s_profile;
static unsigned s_from = 16, s_to = 17;
/* Of each virtual processor, on a cache line of its own. */
static struct {
    uint64_t instructions;
    char padding[56];
} s_processors[64];
static int s_by_processor;
static struct block* s_blocks;
static struct block* s_table[1 << 16];

static void snapshot(int start)
{
    for (struct block* b = s_blocks; b; b = b->next) {
        if (start)
            b->at_start = b->executions;
        else
            b->in_interval = b->executions - b->at_start;
    }
}

static void on_mark(unsigned vcpu, void* data)
{
    (void)vcpu;
    unsigned number = (unsigned)(uintptr_t)data;
    fprintf(s_out, "mark %u %" PRIu64, number, s_instructions);
    for (int i = 0; s_by_processor && i < qemu_plugin_n_vcpus(); i++)
        fprintf(s_out, " %" PRIu64, s_processors[i & 63].instructions);
    fputc('\n', s_out);
    if (s_count_rights)
        fprintf(s_out, "rights %" PRIu64 "\n", s_rights);
    fflush(s_out);
    if (s_profile && number == s_from)
        snapshot(1);
    if (s_profile && number == s_to)
        snapshot(0);
}

static void on_block(unsigned vcpu, void* count)
{
    s_processors[vcpu & 63].instructions += (uintptr_t)count;
}

/* The number of the marker that this instruction is, or -1. */
static int marker(const struct qemu_plugin_insn* insn)
{
    const uint8_t* d = qemu_plugin_insn_data(insn);
    if (qemu_plugin_insn_size(insn) == 7 && d[0] == 0x0f && d[1] == 0x1f && d[2] == 0x80 && d[4] == 0x45 && d[5] == 0x52
        && d[6] == 0x45)
        return d[3];
    if (qemu_plugin_insn_size(insn) == 4) {
        uint32_t word = d[0] | (uint32_t)d[1] << 8 | (uint32_t)d[2] << 16 | (uint32_t)d[3] << 24;
        if ((word & 0xffffe01fu) == (0xd280001fu | 0x4500u << 5))
            return word >> 5 & 0xff;
    }
    return -1;
}

static struct block* block_at(uint64_t address, uint64_t instructions)
{
    struct block** bucket = &s_table[(address ^ address >> 16) & 0xffff];

    for (struct block* b = *bucket; b; b = b->next_in_bucket)
        if (b->address == address && b->instructions == instructions)
            return b;
    struct block* b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->address = address;
    b->instructions = instructions;
    b->next_in_bucket = *bucket;
    b->next = s_blocks;
    s_blocks = b;
    *bucket = b;
    return b;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb* tb)
{
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(tb);
    if (s_profile) {
        struct block* b = block_at(qemu_plugin_tb_vaddr(tb), count);
        if (b)
            qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &b->executions, 1);
    }
    if (s_by_processor)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, (void*)(uintptr_t)count);
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &s_instructions, 1);
        if (s_count_rights && qemu_plugin_insn_size(insn) == 3
            && !memcmp(qemu_plugin_insn_data(insn), "\x0f\x01\xef", 3))
            qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &s_rights, 1);
        int number = marker(insn);
        if (number >= 0)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS, (void*)(uintptr_t)number);
    }
}

static void on_exit_(qemu_plugin_id_t id, void* data)
{
    (void)id;
    (void)data;
    fprintf(s_out, "total %" PRIu64 "\n", s_instructions);
    if (s_count_rights)
        fprintf(s_out, "rights %" PRIu64 "\n", s_rights);
    fclose(s_out);
    if (!s_profile)
        return;
    FILE* file = fopen(s_profile, "w");
    if (!file) {
        perror(s_profile);
        return;
    }
    for (struct block* b = s_blocks; b; b = b->next)
        if (b->in_interval)
            fprintf(file, "0x%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", b->address, b->instructions, b->in_interval);
    fclose(file);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv)
{
    (void)info;
    const char* out = "/dev/stderr";
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4))
            out = argv[i] + 4;
        else if (!strncmp(argv[i], "profile=", 8))
            s_profile = strdup(argv[i] + 8);
        else if (!strncmp(argv[i], "from=", 5))
            s_from = (unsigned)atoi(argv[i] + 5);
        else if (!strncmp(argv[i], "to=", 3))
            s_to = (unsigned)atoi(argv[i] + 3);
        else if (!strcmp(argv[i], "rights=yes") || !strcmp(argv[i], "rights=on"))
            s_count_rights = 1;
        else if (!strcmp(argv[i], "processors=yes") || !strcmp(argv[i], "processors=on"))
            s_by_processor = 1;
        else {
            fprintf(stderr, "insn_count: unknown option '%s'\n", argv[i]);
            return -1;
        }
    }
    s_out = fopen(out, "w");
    if (!s_out) {
        perror(out);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_exit_, NULL);
    return 0;
}
