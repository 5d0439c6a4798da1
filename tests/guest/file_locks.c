// Locks of fcntl, of open file descriptions and of flock; files without a name; copies from file to file in the kernel.
// oracle: native
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int set_lock(int fd, int command, short type, off_t start, off_t length)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
    return fcntl(fd, command, &lock);
}

/* The type that a lock of the range would meet, by a description's own locks. */
static short met(int fd, short type, off_t start, off_t length)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
    return fcntl(fd, F_OFD_GETLK, &lock) ? -1 : lock.l_type;
}

static int s_waiting_fd;

static void* wait_for_lock(void* unused)
{
    (void)unused;
    return (void*)(long)set_lock(s_waiting_fd, F_OFD_SETLKW, F_WRLCK, 0, 10);
}

static void record_locks(void)
{
    int first = open("locked", O_CREAT | O_RDWR, 0644);
    int second = open("locked", O_RDWR);
    // One process: its own POSIX locks never conflict, and the last wins.
    CHECK_EQ(set_lock(first, F_SETLK, F_WRLCK, 0, 100), 0);
    CHECK_EQ(set_lock(second, F_SETLK, F_RDLCK, 50, 10), 0);
    // Those of open file descriptions do, with them as well.
    CHECK_ERRNO(set_lock(second, F_OFD_SETLK, F_WRLCK, 0, 10), EAGAIN);
    CHECK_EQ(met(second, F_RDLCK, 0, 10), F_WRLCK);
    CHECK_EQ(met(second, F_RDLCK, 50, 10), F_UNLCK);
    CHECK_EQ(met(second, F_WRLCK, 50, 10), F_RDLCK);
    CHECK_EQ(set_lock(first, F_SETLK, F_UNLCK, 0, 0), 0);
    CHECK_EQ(met(second, F_WRLCK, 0, 0), F_UNLCK);

    CHECK_EQ(set_lock(first, F_OFD_SETLK, F_WRLCK, 0, 10), 0);
    CHECK_EQ(set_lock(first, F_OFD_SETLK, F_RDLCK, 20, 0), 0);
    CHECK_EQ(set_lock(second, F_OFD_SETLK, F_RDLCK, 1000, 1), 0);
    CHECK_ERRNO(set_lock(second, F_OFD_SETLK, F_WRLCK, 1000, 1), EAGAIN);
    CHECK_EQ(set_lock(second, F_OFD_SETLK, F_WRLCK, 10, 10), 0); // between the two
    s_waiting_fd = second;
    pthread_t thread;
    void* result = (void*)-1;
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_lock, NULL), 0);
    usleep(50000);
    CHECK_EQ(set_lock(first, F_OFD_SETLK, F_UNLCK, 0, 10), 0);
    pthread_join(thread, &result);
    CHECK_EQ((long)result, 0);
    CHECK_EQ(met(first, F_RDLCK, 0, 1), F_WRLCK);
    close(second); // and its locks go
    CHECK_EQ(met(first, F_WRLCK, 0, 20), F_UNLCK);
    CHECK_ERRNO(set_lock(first, F_SETLK, F_WRLCK, -1, 1), EINVAL);
    close(first);
}

static void whole_file_locks(void)
{
    int first = open("locked", O_RDWR);
    int second = open("locked", O_RDONLY);
    int duplicate = dup(first);
    CHECK_EQ(flock(first, LOCK_EX), 0);
    CHECK_ERRNO(flock(second, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_EQ(flock(duplicate, LOCK_SH), 0); // the same lock, changed
    CHECK_EQ(flock(second, LOCK_SH | LOCK_NB), 0);
    CHECK_ERRNO(flock(first, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_EQ(flock(second, LOCK_UN), 0);
    close(first);
    CHECK_EQ(flock(duplicate, LOCK_EX | LOCK_NB), 0);
    CHECK_ERRNO(flock(second, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    close(duplicate);
    CHECK_EQ(flock(second, LOCK_SH | LOCK_NB), 0);
    close(second);
    unlink("locked");
}

static void unnamed(void)
{
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0 && errno == EOPNOTSUPP && !ON_EREMITE)
        return;
    CHECK(fd >= 0);
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0 && (st.st_mode & 07777) == 0600);
    CHECK_EQ(write(fd, "unnamed", 7), 7);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_EQ(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
    CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), EEXIST);
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 1);
    close(fd);
    char text[16] = "";
    fd = open("named", O_RDONLY);
    CHECK_EQ(read(fd, text, sizeof text), 7);
    CHECK(strcmp(text, "unnamed") == 0);
    close(fd);
    unlink("named");
    CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    // Gone with its last descriptor.
    fd = open(".", O_TMPFILE | O_WRONLY | O_EXCL, 0600);
    CHECK_EQ(write(fd, text, 7), 7);
    close(fd);
}

static void copies(void)
{
    static char block[70000], back[70000];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(i * 13 % 251);
    int from = open("from", O_CREAT | O_RDWR, 0644);
    int to = open("to", O_CREAT | O_RDWR | O_TRUNC, 0644);
    CHECK_EQ(write(from, block, sizeof block), (ssize_t)sizeof block);
    off_t in = 1000;
    off_t out = 5;
    size_t copied = 0;
    while (copied < 60000) {
        ssize_t n = copy_file_range(from, &in, to, &out, 60000 - copied, 0);
        if (!CHECK(n > 0))
            break;
        copied += (size_t)n;
    }
    CHECK(in == 61000 && out == 60005);
    CHECK_EQ(pread(to, back, sizeof back, 5), 60000);
    CHECK(memcmp(back, block + 1000, 60000) == 0);
    in = 69990;
    CHECK_EQ(copy_file_range(from, &in, to, NULL, 100, 0), 10); // what there is, at the descriptor's position
    CHECK_EQ(lseek(to, 0, SEEK_CUR), 10);
    CHECK_ERRNO(copy_file_range(from, &in, to, NULL, 1, 1), EINVAL);

    in = 10;
    CHECK_EQ(lseek(to, 0, SEEK_SET), 0);
    CHECK_EQ(sendfile(to, from, &in, 5000), 5000);
    CHECK(in == 5010 && lseek(to, 0, SEEK_CUR) == 5000);
    CHECK_EQ(pread(to, back, 5000, 0), 5000);
    CHECK(memcmp(back, block + 10, 5000) == 0);

    int pipes[2];
    CHECK_EQ(pipe(pipes), 0);
    in = 100;
    CHECK_EQ(splice(from, &in, pipes[1], NULL, 3000, 0), 3000);
    out = 200;
    CHECK_EQ(splice(pipes[0], NULL, to, &out, 3000, 0), 3000);
    CHECK_EQ(pread(to, back, 3000, 200), 3000);
    CHECK(memcmp(back, block + 100, 3000) == 0);
    CHECK_ERRNO(splice(from, NULL, to, NULL, 10, 0), EINVAL); // neither is a pipe
    close(pipes[0]);
    close(pipes[1]);
    close(from);
    close(to);
    unlink("from");
    unlink("to");
}

/* In the folder that is the first argument, or one of its own in /tmp. */
int main(int argc, char** argv)
{
    char folder[] = "/tmp/locks-XXXXXX";
    if (chdir(argc > 1 ? argv[1] : mkdtemp(folder)))
        return 2;
    record_locks();
    whole_file_locks();
    unnamed();
    copies();
    if (argc == 1)
        rmdir(folder);
    return check_result();
}
