// Names, directories, attributes and contents of files, as Linux has them.
// oracle: native
#define _GNU_SOURCE
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

static char s_place[64];

static void write_file(const char* path, const char* text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), (long)strlen(text));
    CHECK_EQ(close(fd), 0);
}

static const char* read_file(const char* path)
{
    static char text[256];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    close(fd);
    return text;
}

static void test_open(void)
{
    CHECK_ERRNO(open("absent", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    write_file("a", "one");
    CHECK_STR(read_file("a"), "one");
    CHECK_ERRNO(open("a", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    CHECK_ERRNO(open("a/", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("a/b", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO(open(".", O_RDWR), EISDIR);
    CHECK_ERRNO(open("new/", O_CREAT | O_RDWR, 0644), EISDIR);
    int fd = open("a", O_WRONLY | O_APPEND);
    CHECK_EQ(write(fd, "two", 3), 3);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
    char c;
    CHECK_ERRNO(read(fd, &c, 1), EBADF);
    CHECK_EQ(close(fd), 0);
    CHECK_STR(read_file("a"), "onetwo");
    fd = open("a", O_RDWR | O_TRUNC);
    struct stat st;
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_nlink, 1);
    CHECK_EQ(close(fd), 0);
    CHECK_ERRNO(close(fd), EBADF);
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0) {
        CHECK_EQ(errno, EOPNOTSUPP); /* virtio-fs has none */
    } else {
        CHECK_EQ(write(fd, "tmp", 3), 3);
        CHECK_EQ(fstat(fd, &st), 0);
        CHECK_EQ(st.st_nlink, 0);
        close(fd);
    }
    fd = open("a", O_PATH);
    CHECK(fd >= 0);
    CHECK_ERRNO(read(fd, &c, 1), EBADF);
    CHECK_EQ(fstat(fd, &st), 0);
    close(fd);
    char longname[300];
    memset(longname, 'x', sizeof longname);
    longname[256] = 0;
    CHECK_ERRNO(open(longname, O_CREAT | O_RDWR, 0644), ENAMETOOLONG);
    longname[255] = 0;
    fd = open(longname, O_CREAT | O_RDWR, 0644);
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQ(access(longname, F_OK), 0);
    CHECK_EQ(unlink(longname), 0);
    CHECK_ERRNO(access(longname, F_OK), ENOENT);
    CHECK_EQ(unlink("a"), 0);
}

static void test_directories(void)
{
    CHECK_EQ(mkdir("d", 0755), 0);
    CHECK_ERRNO(mkdir("d", 0755), EEXIST);
    CHECK_ERRNO(mkdir("d/x/y", 0755), ENOENT);
    CHECK_EQ(mkdir("d/e/", 0755), 0);
    struct stat st;
    CHECK_EQ(stat("d", &st), 0);
    CHECK(S_ISDIR(st.st_mode));
    CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
    CHECK_ERRNO(unlink("d"), EISDIR);
    CHECK_ERRNO(rmdir("d/e/."), EINVAL);
    CHECK_ERRNO(rmdir("d/e/.."), ENOTEMPTY);
    char cwd[256];
    CHECK_EQ(chdir("d/e"), 0);
    CHECK(getcwd(cwd, sizeof cwd) != NULL);
    CHECK_STR(cwd + strlen(cwd) - 4, "/d/e");
    CHECK_EQ(chdir("../.."), 0);
    CHECK_EQ(rmdir("d/e"), 0);
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "d/file-%d", i);
        write_file(name, "x");
    }
    DIR* d = opendir("d");
    int files = 0, dots = 0;
    struct dirent* e;
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            dots++;
        else
            files++;
    }
    CHECK_EQ(files, 200);
    CHECK_EQ(dots, 2);
    rewinddir(d);
    files = 0;
    /* Entries that go while the directory is read. */
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        CHECK_EQ(unlinkat(dirfd(d), e->d_name, 0), 0);
        files++;
    }
    CHECK_EQ(files, 200);
    closedir(d);
    CHECK_EQ(rmdir("d"), 0);
    CHECK_ERRNO(rmdir("d"), ENOENT);
}

static void test_links(void)
{
    write_file("f", "data");
    CHECK_EQ(link("f", "g"), 0);
    struct stat f, g;
    CHECK_EQ(stat("f", &f), 0);
    CHECK_EQ(stat("g", &g), 0);
    CHECK_EQ(f.st_ino, g.st_ino);
    CHECK_EQ(f.st_nlink, 2);
    CHECK_ERRNO(link("f", "g"), EEXIST);
    CHECK_EQ(symlink("f", "s"), 0);
    CHECK_EQ(symlink("loop2", "loop1"), 0);
    CHECK_EQ(symlink("loop1", "loop2"), 0);
    CHECK_EQ(symlink("nowhere", "dangling"), 0);
    CHECK_STR(read_file("s"), "data");
    CHECK_ERRNO(open("loop1", O_RDONLY), ELOOP);
    CHECK_ERRNO(open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERRNO(stat("dangling", &f), ENOENT);
    CHECK_EQ(lstat("dangling", &f), 0);
    CHECK(S_ISLNK(f.st_mode));
    CHECK_EQ(f.st_size, 7);
    char text[16] = "";
    CHECK_EQ(readlink("dangling", text, sizeof text), 7);
    CHECK_STR(text, "nowhere");
    CHECK_EQ(readlink("dangling", text, 3), 3);
    CHECK_ERRNO(readlink("f", text, sizeof text), EINVAL);
    CHECK_ERRNO(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    int fd = open("dangling", O_CREAT | O_RDWR, 0644);
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQ(access("nowhere", F_OK), 0);
    CHECK_EQ(unlink("f"), 0);
    CHECK_STR(read_file("g"), "data");
    CHECK_EQ(unlink("g"), 0);
    unlink("s");
    unlink("loop1");
    unlink("loop2");
    unlink("dangling");
    unlink("nowhere");
}

static void test_rename(void)
{
    write_file("x", "x");
    write_file("y", "y");
    CHECK_EQ(rename("x", "y"), 0);
    CHECK_STR(read_file("y"), "x");
    CHECK_ERRNO(access("x", F_OK), ENOENT);
    CHECK_ERRNO(rename("x", "z"), ENOENT);
    CHECK_EQ(mkdir("p", 0755), 0);
    CHECK_EQ(mkdir("p/q", 0755), 0);
    CHECK_ERRNO(rename("p", "p/q/r"), EINVAL);
    CHECK_ERRNO(rename("y", "p"), EISDIR);
    CHECK_ERRNO(rename("p", "y"), ENOTDIR);
    CHECK_EQ(rename("y", "p/q/y"), 0);
    CHECK_EQ(mkdir("empty", 0755), 0);
    CHECK_EQ(rename("p/q", "empty"), 0);
    CHECK_STR(read_file("empty/y"), "x");
    CHECK_ERRNO(rename("p", "empty"), ENOTEMPTY);
    write_file("one", "1");
    write_file("two", "2");
    CHECK_ERRNO(renameat2(AT_FDCWD, "one", AT_FDCWD, "two", RENAME_NOREPLACE), EEXIST);
    CHECK_EQ(renameat2(AT_FDCWD, "one", AT_FDCWD, "two", RENAME_EXCHANGE), 0);
    CHECK_STR(read_file("one"), "2");
    CHECK_STR(read_file("two"), "1");
    unlink("one");
    unlink("two");
    unlink("empty/y");
    rmdir("empty");
    rmdir("p");
}

static void test_contents(void)
{
    int fd = open("c", O_CREAT | O_RDWR | O_TRUNC, 0644);
    CHECK_EQ(pwrite(fd, "end", 3, 100000), 3);
    char buffer[8] = "zzzzzzz";
    CHECK_EQ(pread(fd, buffer, 4, 50000), 4);
    CHECK_EQ(memcmp(buffer, "\0\0\0\0", 4), 0);
    struct stat st;
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 100003);
    CHECK_EQ(ftruncate(fd, 100001), 0);
    CHECK_EQ(ftruncate(fd, 100003), 0);
    CHECK_EQ(pread(fd, buffer, 8, 100000), 3);
    CHECK_EQ(memcmp(buffer, "e\0\0", 3), 0);
    CHECK_EQ(pread(fd, buffer, 8, 200000), 0);
    CHECK_EQ(lseek(fd, -3, SEEK_END), 100000);
    CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
    struct iovec v[2] = { { "ab", 2 }, { "cd", 2 } };
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(writev(fd, v, 2), 4);
    CHECK_EQ(pread(fd, buffer, 4, 0), 4);
    CHECK_EQ(memcmp(buffer, "abcd", 4), 0);
    char* map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (CHECK(map != MAP_FAILED)) {
        CHECK_EQ(memcmp(map, "abcd", 4), 0);
        map[1] = 'X';
        CHECK_EQ(pread(fd, buffer, 4, 0), 4);
        CHECK_EQ(memcmp(buffer, "aXcd", 4), 0);
        CHECK_EQ(pwrite(fd, "Y", 1, 2), 1);
        CHECK_EQ(map[2], 'Y');
        CHECK_EQ(munmap(map, 8192), 0);
    }
    CHECK_EQ(posix_fallocate(fd, 0, 200000), 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 200000);
    CHECK_EQ(fsync(fd), 0);
    CHECK_EQ(fdatasync(fd), 0);
    close(fd);
    unlink("c");
}

static void test_attributes(void)
{
    umask(027);
    int fd = open("m", O_CREAT | O_RDWR, 0666);
    struct stat st;
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0640);
    CHECK_EQ(fchmod(fd, 0755), 0);
    CHECK_EQ(stat("m", &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0755);
    CHECK_EQ(chmod("m", 0600), 0);
    CHECK_ERRNO(access("m", X_OK), EACCES);
    struct timespec times[2] = { { 1000000000, 5 }, { 1100000000, 7 } };
    CHECK_EQ(futimens(fd, times), 0);
    CHECK_EQ(stat("m", &st), 0);
    CHECK_EQ(st.st_atim.tv_sec, 1000000000);
    CHECK_EQ(st.st_mtim.tv_sec, 1100000000);
    CHECK_EQ(st.st_mtim.tv_nsec, 7);
    close(fd);
    unlink("m");
    CHECK_EQ(umask(022), 027);
    struct statfs sf;
    CHECK_EQ(statfs(".", &sf), 0);
    CHECK(sf.f_bsize > 0);
}

static void test_locks(void)
{
    int a = open("l", O_CREAT | O_RDWR, 0644);
    int b = open("l", O_RDWR);
    CHECK_EQ(flock(a, LOCK_EX), 0);
    CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_EQ(flock(a, LOCK_SH), 0);
    CHECK_EQ(flock(b, LOCK_SH | LOCK_NB), 0);
    CHECK_EQ(flock(a, LOCK_UN), 0);
    CHECK_EQ(flock(b, LOCK_UN), 0);
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
    CHECK_EQ(fcntl(a, F_OFD_SETLK, &l), 0);
    struct flock q = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1 };
    CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &q), EAGAIN);
    CHECK_EQ(fcntl(b, F_OFD_GETLK, &q), 0);
    CHECK_EQ(q.l_type, F_WRLCK);
    CHECK_EQ(q.l_start, 10);
    CHECK_EQ(q.l_len, 10);
    l.l_type = F_UNLCK, l.l_start = 12, l.l_len = 4;
    CHECK_EQ(fcntl(a, F_OFD_SETLK, &l), 0);
    q = (struct flock) { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 12, .l_len = 4 };
    CHECK_EQ(fcntl(b, F_OFD_SETLK, &q), 0);
    close(a);
    close(b);
    unlink("l");
}

static void test_descriptors(void)
{
    int fd = open("d1", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    int other = fcntl(fd, F_DUPFD, 50);
    CHECK_EQ(other, 50);
    CHECK_EQ(fcntl(other, F_GETFD), 0);
    CHECK_EQ(write(fd, "abc", 3), 3);
    CHECK_EQ(lseek(other, 0, SEEK_CUR), 3);
    CHECK_EQ(dup2(fd, 60), 60);
    CHECK_EQ(dup2(fd, fd), fd);
    CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
    CHECK_ERRNO(dup2(-1, 3), EBADF);
    CHECK_EQ(fcntl(fd, F_SETFL, O_APPEND), 0);
    CHECK((fcntl(60, F_GETFL) & O_APPEND) != 0);
    close(fd);
    close(50);
    close(60);
    int zero = open("/dev/zero", O_RDONLY);
    char byte = 1;
    CHECK_EQ(read(zero, &byte, 1), 1);
    CHECK_EQ(byte, 0);
    close(zero);
    int full = open("/dev/full", O_WRONLY);
    CHECK_ERRNO(write(full, &byte, 1), ENOSPC);
    close(full);
    int null = open("/dev/null", O_RDWR);
    CHECK_EQ(write(null, "abc", 3), 3);
    CHECK_EQ(read(null, &byte, 1), 0);
    close(null);
    unlink("d1");
}

static void test_process(void)
{
    int fd = open("p1", O_CREAT | O_RDWR, 0644);
    char name[64], target[256] = "";
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    CHECK(readlink(name, target, sizeof target - 1) > 3);
    CHECK_STR(target + strlen(target) - 3, "/p1");
    CHECK_EQ(write(fd, "via", 3), 3);
    CHECK_STR(read_file(name), "via");
    close(fd);
    unlink("p1");
    FILE* f = fopen("/proc/self/maps", "r");
    if (CHECK(f != NULL)) {
        char line[512];
        int lines = 0;
        while (fgets(line, sizeof line, f)) {
            unsigned long start, end;
            CHECK_EQ(sscanf(line, "%lx-%lx", &start, &end), 2);
            lines++;
        }
        CHECK(lines > 1);
        fclose(f);
    }
    CHECK(strstr(read_file("/proc/meminfo"), "MemTotal:") != NULL);
    CHECK(strlen(read_file("/proc/sys/kernel/random/uuid")) == 37);
}

int main(int argc, char** argv)
{
    const char* base = argc > 1 ? argv[1] : "/tmp";
    snprintf(s_place, sizeof s_place, "%s/fs-tree-%d", base, (int)getpid());
    CHECK_EQ(mkdir(s_place, 0755), 0);
    CHECK_EQ(chdir(s_place), 0);
    test_open();
    test_directories();
    test_links();
    test_rename();
    test_contents();
    test_attributes();
    test_locks();
    test_descriptors();
    test_process();
    CHECK_EQ(chdir("/"), 0);
    CHECK_EQ(rmdir(s_place), 0);
    return check_result();
}
