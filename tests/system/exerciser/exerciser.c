// Does to files and names at random what programs do to them, beside a model in memory of how they must look, as fsx
// does: exerciser FOLDER SEED STEPS. With a fourth argument, only checks what a former run with the same seed left.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST 200000
#define NAMES 40

static uint64_t s_state;
static unsigned s_step;
static const char* s_what = "start";

static uint32_t random_below(uint32_t end)
{
    s_state = s_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s_state >> 33) % end;
}

static void fail(const char* format, ...)
{
    va_list list;
    va_start(list, format);
    printf("FAILED at step %u (%s): ", s_step, s_what);
    vprintf(format, list);
    printf(" (%s)\n", strerror(errno));
    exit(1);
}

// One file's content.
static unsigned char s_model[MOST], s_buffer[MOST];
static size_t s_size;
static int s_fd = -1;

static void check_data(void)
{
    struct stat st;
    if (fstat(s_fd, &st) || (size_t)st.st_size != s_size)
        fail("size %lld, not %zu", (long long)st.st_size, s_size);
    ssize_t got = pread(s_fd, s_buffer, MOST, 0);
    if (got != (ssize_t)s_size)
        fail("read %zd of %zu", got, s_size);
    for (size_t i = 0; i < s_size; i++)
        if (s_buffer[i] != s_model[i])
            fail("byte %zu is %d, not %d", i, s_buffer[i], s_model[i]);
}

static void set_size(size_t size)
{
    if (size < s_size)
        memset(s_model + size, 0, s_size - size);
    s_size = size;
}

static void data_step(const char* path)
{
    size_t offset = random_below(MOST - 1), length = 1 + random_below(random_below(4) ? 5000 : 70000);
    if (offset + length > MOST)
        length = MOST - offset;
    switch (random_below(12)) {
    case 0:
    case 1:
    case 2:
        s_what = "pwrite";
        for (size_t i = 0; i < length; i++)
            s_model[offset + i] = (unsigned char)random_below(256);
        if (pwrite(s_fd, s_model + offset, length, (off_t)offset) != (ssize_t)length)
            fail("short");
        if (offset + length > s_size)
            s_size = offset + length;
        break;
    case 3:
    case 4: {
        s_what = "pread";
        ssize_t want = offset >= s_size ? 0 : (ssize_t)(s_size - offset < length ? s_size - offset : length);
        if (pread(s_fd, s_buffer, length, (off_t)offset) != want)
            fail("short");
        if (want && memcmp(s_buffer, s_model + offset, (size_t)want))
            fail("content at %zu", offset);
        break;
    }
    case 5:
        s_what = "ftruncate";
        if (ftruncate(s_fd, (off_t)offset))
            fail("%zu", offset);
        set_size(offset);
        break;
    case 6:
        s_what = "mapped write";
        if (s_size < 10)
            break;
        offset %= s_size;
        if (offset + length > s_size)
            length = s_size - offset;
        unsigned char* map = mmap(NULL, s_size, PROT_READ | PROT_WRITE, MAP_SHARED, s_fd, 0);
        if (map == MAP_FAILED)
            fail("mmap");
        if (memcmp(map, s_model, s_size))
            fail("mapping differs");
        for (size_t i = 0; i < length; i++)
            map[offset + i] = s_model[offset + i] = (unsigned char)random_below(256);
        if (random_below(2) && msync(map, s_size, MS_SYNC))
            fail("msync");
        if (munmap(map, s_size))
            fail("munmap");
        break;
    case 7:
        s_what = "punch a hole";
        if (fallocate(s_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length)) {
            if (errno == EOPNOTSUPP)
                break;
            fail("%zu %zu", offset, length);
        }
        if (offset < s_size)
            memset(s_model + offset, 0, offset + length > s_size ? s_size - offset : length);
        break;
    case 8:
        s_what = "fallocate";
        if (fallocate(s_fd, 0, (off_t)offset, (off_t)length)) {
            if (errno == EOPNOTSUPP)
                break;
            fail("%zu %zu", offset, length);
        }
        if (offset + length > s_size)
            s_size = offset + length;
        break;
    case 9:
        s_what = "fsync";
        if (random_below(2) ? fsync(s_fd) : fdatasync(s_fd))
            fail("");
        break;
    case 10:
        s_what = "reopen";
        if (close(s_fd) || (s_fd = open(path, O_RDWR)) < 0)
            fail("");
        check_data();
        break;
    case 11:
        s_what = "append";
        if (s_size + 100 > MOST)
            break;
        int fd = open(path, O_WRONLY | O_APPEND);
        for (size_t i = 0; i < 100; i++)
            s_model[s_size + i] = (unsigned char)random_below(256);
        if (fd < 0 || write(fd, s_model + s_size, 100) != 100 || close(fd))
            fail("");
        s_size += 100;
        break;
    }
}

// Names: each is nothing, a file (with its number as content), a directory, or a link to "target-NUMBER".
enum kind { NONE, REGULAR, DIRECTORY, SYMLINK };
static struct {
    enum kind kind;
    int content;
} s_names[NAMES];

static void name_of(char* out, int i)
{
    // Some long, so that directories have entries of all lengths.
    sprintf(out, "n%d%.*s", i, i * 5,
        "-a-name-that-is-longer-than-others-and-longer-still-so-that-entries-have-all-kinds-of-"
        "lengths-and-do-not-fit-where-another-was-before-and-again-and-again-and-again-and-again-and-again-and-again");
}

static void check_name(int i)
{
    char name[300], text[100] = "";
    struct stat st;
    name_of(name, i);
    int found = lstat(name, &st) == 0;
    if (!found && errno != ENOENT)
        fail("lstat %s", name);
    enum kind kind = !found ? NONE : S_ISREG(st.st_mode) ? REGULAR : S_ISDIR(st.st_mode) ? DIRECTORY : SYMLINK;
    if (kind != s_names[i].kind)
        fail("%s is %d, not %d", name, kind, s_names[i].kind);
    if (kind == REGULAR) {
        int fd = open(name, O_RDONLY);
        if (fd < 0 || read(fd, text, sizeof text - 1) < 0 || close(fd) || atoi(text) != s_names[i].content)
            fail("%s holds %s, not %d", name, text, s_names[i].content);
    } else if (kind == SYMLINK) {
        if (readlink(name, text, sizeof text - 1) < 0 || atoi(text + 7) != s_names[i].content)
            fail("%s leads to %s", name, text);
    }
}

static void check_listing(void)
{
    int seen = 0, there = 0;
    DIR* directory = opendir(".");
    if (!directory)
        fail("opendir");
    struct dirent* entry;
    while ((entry = readdir(directory)))
        if (entry->d_name[0] == 'n') {
            int i = atoi(entry->d_name + 1);
            if (i < 0 || i >= NAMES || s_names[i].kind == NONE)
                fail("%s is listed", entry->d_name);
            seen++;
        }
    closedir(directory);
    for (int i = 0; i < NAMES; i++)
        there += s_names[i].kind != NONE;
    if (seen != there)
        fail("%d names are listed, not %d", seen, there);
}

static void expect(int result, int error, const char* name)
{
    if (error ? result == 0 || errno != error : result != 0)
        fail("%s: result %d, expected error %d", name, result, error);
}

static void name_step(void)
{
    int a = (int)random_below(NAMES), b = (int)random_below(NAMES);
    char from[300], to[300], text[100];
    name_of(from, a);
    name_of(to, b);
    enum kind ka = s_names[a].kind, kb = s_names[b].kind;
    switch (random_below(7)) {
    case 0: {
        s_what = "create";
        int fd = open(from, O_CREAT | O_EXCL | O_WRONLY, 0644);
        expect(fd < 0 ? -1 : 0, ka == NONE ? 0 : EEXIST, from);
        if (fd < 0)
            break;
        s_names[a].kind = REGULAR;
        s_names[a].content = (int)random_below(1000000);
        sprintf(text, "%d", s_names[a].content);
        if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
            fail("write");
        break;
    }
    case 1:
        s_what = "unlink";
        expect(unlink(from), ka == NONE ? ENOENT : ka == DIRECTORY ? EISDIR : 0, from);
        if (ka != DIRECTORY)
            s_names[a].kind = NONE;
        break;
    case 2:
        s_what = "mkdir";
        expect(mkdir(from, 0755), ka == NONE ? 0 : EEXIST, from);
        if (ka == NONE)
            s_names[a].kind = DIRECTORY;
        break;
    case 3:
        s_what = "rmdir";
        expect(rmdir(from), ka == NONE ? ENOENT : ka == DIRECTORY ? 0 : ENOTDIR, from);
        if (ka == DIRECTORY)
            s_names[a].kind = NONE;
        break;
    case 4:
        s_what = "symlink";
        sprintf(text, "target-%d", s_names[a].kind == NONE ? s_names[a].content = (int)random_below(100000) : 0);
        expect(symlink(text, from), ka == NONE ? 0 : EEXIST, from);
        if (ka == NONE)
            s_names[a].kind = SYMLINK;
        break;
    case 5:
        s_what = "link";
        if (ka == DIRECTORY || ka == SYMLINK)
            break;
        expect(link(from, to), ka == NONE ? ENOENT : kb == NONE ? 0 : EEXIST, from);
        if (ka != NONE && kb == NONE)
            s_names[b] = s_names[a];
        break;
    case 6: {
        s_what = "rename";
        struct stat sa, sb;
        int same = lstat(from, &sa) == 0 && lstat(to, &sb) == 0 && sa.st_ino == sb.st_ino;
        int error = ka == NONE                   ? ENOENT
            : same                               ? 0
            : kb == NONE                         ? 0
            : ka == DIRECTORY && kb != DIRECTORY ? ENOTDIR
            : ka != DIRECTORY && kb == DIRECTORY ? EISDIR
                                                 : 0;
        expect(rename(from, to), error, from);
        if (!error && !same && a != b) {
            s_names[b] = s_names[a];
            s_names[a].kind = NONE;
        }
        break;
    }
    }
    check_name(a);
    check_name(b);
    if (random_below(20) == 0)
        check_listing();
}

int main(int argc, char** argv)
{
    if (argc < 4 || chdir(argv[1]))
        fail("usage: exerciser FOLDER SEED STEPS");
    s_state = strtoull(argv[2], NULL, 10);
    unsigned steps = (unsigned)atoi(argv[3]);
    const char* path = "data";
    if (argc > 4) {
        // What the last run wrote down of its model.
        int fd = open("model", O_RDONLY);
        if (fd < 0 || read(fd, s_names, sizeof s_names) != sizeof s_names
            || read(fd, &s_size, sizeof s_size) != sizeof s_size || read(fd, s_model, MOST) != MOST)
            fail("model");
        s_what = "what is left";
        if ((s_fd = open(path, O_RDONLY)) < 0)
            fail("data");
        check_data();
        for (int i = 0; i < NAMES; i++)
            check_name(i);
        check_listing();
        printf("still as it was\n");
        return 0;
    }
    if ((s_fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644)) < 0)
        fail("open");
    for (s_step = 0; s_step < steps; s_step++) {
        data_step(path);
        name_step();
        if (s_step % 50 == 0)
            check_data();
    }
    check_data();
    for (int i = 0; i < NAMES; i++)
        check_name(i);
    check_listing();
    int fd = open("model", O_CREAT | O_WRONLY | O_TRUNC, 0644);
    if (fd < 0 || write(fd, s_names, sizeof s_names) != sizeof s_names
        || write(fd, &s_size, sizeof s_size) != sizeof s_size || write(fd, s_model, MOST) != MOST || close(fd))
        fail("model");
    printf("%u steps\n", steps);
    return 0;
}
