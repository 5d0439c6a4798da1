// FIFOs, inotify, memfd and its seals, extended attributes.
// oracle: native
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void* open_writer(void* name)
{
    return (void*)(long)open(name, O_WRONLY);
}

static void fifos(void)
{
    CHECK_EQ(mkfifo("fifo", 0640), 0);
    struct stat st;
    CHECK(stat("fifo", &st) == 0 && S_ISFIFO(st.st_mode));
    CHECK_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    int reader = open("fifo", O_RDONLY | O_NONBLOCK);
    char text[16];
    CHECK_EQ(read(reader, text, sizeof text), 0); // nobody writes
    int writer = open("fifo", O_WRONLY | O_NONBLOCK);
    CHECK(writer >= 0);
    CHECK_ERRNO(read(reader, text, sizeof text), EAGAIN);
    CHECK_EQ(write(writer, "hello", 5), 5);
    CHECK_EQ(read(reader, text, sizeof text), 5);
    CHECK(memcmp(text, "hello", 5) == 0);
    close(writer);
    struct pollfd poll_reader = { .fd = reader, .events = POLLIN };
    CHECK(poll(&poll_reader, 1, 0) == 1 && (poll_reader.revents & POLLHUP));
    close(reader);
    // Each end waits for the other.
    pthread_t thread;
    void* other;
    CHECK_EQ(pthread_create(&thread, NULL, open_writer, "fifo"), 0);
    reader = open("fifo", O_RDONLY);
    CHECK(reader >= 0);
    pthread_join(thread, &other);
    CHECK((long)other >= 0);
    CHECK_EQ(write((int)(long)other, "x", 1), 1);
    CHECK_EQ(read(reader, text, 1), 1);
    close(reader);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write((int)(long)other, "x", 1), EPIPE);
    close((int)(long)other);
    CHECK_EQ(unlink("fifo"), 0);
}

/* Next event, or one of all zeroes. The name goes to `name`. */
static struct inotify_event next_event(int fd, char* name)
{
    static char buffer[4096] __attribute__((aligned(8)));
    static ssize_t length, at;
    struct inotify_event event = { 0 };
    if (at >= length) {
        at = 0;
        length = read(fd, buffer, sizeof buffer);
        if (length <= 0)
            return event;
    }
    memcpy(&event, buffer + at, sizeof event);
    strcpy(name, event.len ? buffer + at + sizeof event : "");
    at += (ssize_t)(sizeof event + event.len);
    return event;
}

static void expect_event(int fd, int watch, uint32_t mask, const char* name)
{
    char got_name[256];
    struct inotify_event event = next_event(fd, got_name);
    CHECK(event.wd == watch && event.mask == mask && strcmp(got_name, name) == 0)
    || printf("  wd %d mask %x name '%s', not %d %x '%s'\n", event.wd, event.mask, got_name, watch, mask, name);
}

static void inotify(void)
{
    CHECK_EQ(mkdir("watched", 0755), 0);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    CHECK(fd >= 0);
    int watch
        = inotify_add_watch(fd, "watched", IN_CREATE | IN_DELETE | IN_MOVE | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB);
    CHECK(watch >= 0);
    CHECK_ERRNO(inotify_add_watch(fd, "not-there", IN_CREATE), ENOENT);
    char name[256];
    CHECK_EQ(next_event(fd, name).mask, 0);
    CHECK_EQ(errno, EAGAIN);

    int file = open("watched/a", O_CREAT | O_WRONLY, 0644);
    CHECK_EQ(write(file, "1", 1), 1);
    close(file);
    CHECK_EQ(rename("watched/a", "watched/b"), 0);
    CHECK_EQ(chmod("watched/b", 0600), 0);
    CHECK_EQ(mkdir("watched/d", 0755), 0);
    CHECK_EQ(unlink("watched/b"), 0);
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    CHECK_EQ(poll(&poll_fd, 1, 0), 1);
    expect_event(fd, watch, IN_CREATE, "a");
    expect_event(fd, watch, IN_MODIFY, "a");
    expect_event(fd, watch, IN_CLOSE_WRITE, "a");
    expect_event(fd, watch, IN_MOVED_FROM, "a");
    expect_event(fd, watch, IN_MOVED_TO, "b");
    expect_event(fd, watch, IN_ATTRIB, "b");
    expect_event(fd, watch, IN_CREATE | IN_ISDIR, "d");
    expect_event(fd, watch, IN_DELETE, "b");
    CHECK_EQ(inotify_rm_watch(fd, watch), 0);
    expect_event(fd, watch, IN_IGNORED, "");
    CHECK_ERRNO(inotify_rm_watch(fd, watch), EINVAL);
    close(fd);
    CHECK_EQ(rmdir("watched/d"), 0);
    CHECK_EQ(rmdir("watched"), 0);
}

static void memfd(void)
{
    int fd = memfd_create("shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
    CHECK_EQ(ftruncate(fd, 8192), 0);
    char* map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    strcpy(map + 4096, "mapped");
    char text[16] = "";
    CHECK_EQ(pread(fd, text, 6, 4096), 6);
    CHECK(strcmp(text, "mapped") == 0);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
    CHECK_ERRNO(ftruncate(fd, 8193), EPERM);
    CHECK_ERRNO(pwrite(fd, "x", 1, 8192), EPERM);
    CHECK_EQ(munmap(map, 8192), 0);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL), 0);
    CHECK_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
    CHECK_ERRNO(ftruncate(fd, 1), EPERM);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    close(fd);
    fd = memfd_create("unsealable", 0);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    close(fd);
}

static void xattrs(void)
{
    int fd = open("with-xattrs", O_CREAT | O_RDWR, 0644);
    if (setxattr("with-xattrs", "user.one", "1", 1, 0) && errno == EOPNOTSUPP && !ON_EREMITE) {
        close(fd);
        unlink("with-xattrs");
        return; // a host's /tmp that has none
    }
    char value[16];
    CHECK_EQ(getxattr("with-xattrs", "user.one", value, sizeof value), 1);
    CHECK_ERRNO(setxattr("with-xattrs", "user.one", "2", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO(setxattr("with-xattrs", "user.two", "2", 1, XATTR_REPLACE), ENODATA);
    CHECK_EQ(fsetxattr(fd, "user.two", "a longer value", 14, XATTR_CREATE), 0);
    CHECK_EQ(fgetxattr(fd, "user.two", NULL, 0), 14);
    CHECK_ERRNO(fgetxattr(fd, "user.two", value, 4), ERANGE);
    CHECK_EQ(setxattr("with-xattrs", "user.one", "", 0, 0), 0);
    CHECK_EQ(getxattr("with-xattrs", "user.one", value, sizeof value), 0);
    char list[64];
    CHECK_EQ(listxattr("with-xattrs", NULL, 0), 18);
    CHECK_EQ(flistxattr(fd, list, sizeof list), 18);
    CHECK_ERRNO(flistxattr(fd, list, 3), ERANGE);
    CHECK_EQ(removexattr("with-xattrs", "user.one"), 0);
    CHECK_ERRNO(removexattr("with-xattrs", "user.one"), ENODATA);
    CHECK_ERRNO(getxattr("with-xattrs", "user.one", value, sizeof value), ENODATA);
    CHECK_ERRNO(setxattr("with-xattrs", "nonsense", "1", 1, 0), EOPNOTSUPP);
    CHECK_EQ(symlink("with-xattrs", "link"), 0);
    CHECK_EQ(getxattr("link", "user.two", value, sizeof value), 14);
    CHECK_ERRNO(lsetxattr("link", "user.three", "3", 1, 0), EPERM);
    close(fd);
    unlink("link");
    unlink("with-xattrs");
}

/* In the folder that is the first argument, or one of its own in /tmp. */
int main(int argc, char** argv)
{
    char folder[] = "/tmp/special-XXXXXX";
    if (chdir(argc > 1 ? argv[1] : mkdtemp(folder)))
        return 2;
    fifos();
    inotify();
    memfd();
    xattrs();
    if (argc == 1)
        rmdir(folder);
    return check_result();
}
