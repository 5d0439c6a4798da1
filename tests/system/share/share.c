// The guest's part of the test of --share: works in /mnt, leaves a file for the host to look at.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char s_big[300000];

static int fail(const char* what)
{
    printf("FAILED: %s: %s\n", what, strerror(errno));
    return 1;
}

int main(int argc, char** argv)
{
    char text[64] = "";
    int fd = open("/mnt/from-host", O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof text - 1) != 12)
        return fail("from-host");
    close(fd);
    if (strcmp(text, "hello guest\n") != 0)
        return fail("what from-host says");
    if (argc > 1 && strcmp(argv[1], "ro") == 0) {
        if (open("/mnt/new", O_CREAT | O_RDWR, 0644) >= 0 || errno != EROFS)
            return fail("a read-only share took a file");
        printf("read-only\n");
        return 0;
    }
    if (mkdir("/mnt/dir", 0755))
        return fail("mkdir");
    for (size_t i = 0; i < sizeof s_big; i++)
        s_big[i] = (char)(i * 7 % 251);
    fd = open("/mnt/dir/big", O_CREAT | O_EXCL | O_RDWR, 0640);
    if (fd < 0 || write(fd, s_big, sizeof s_big) != sizeof s_big || fsync(fd))
        return fail("big");
    char* map = mmap(NULL, sizeof s_big, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED || memcmp(map, s_big, sizeof s_big) != 0)
        return fail("mmap");
    memcpy(map + 100000, "MAPPED", 6);
    if (msync(map, sizeof s_big, MS_SYNC) || munmap(map, sizeof s_big) || ftruncate(fd, 200000))
        return fail("msync, ftruncate");
    close(fd);
    if (rename("/mnt/dir/big", "/mnt/result") || symlink("result", "/mnt/link") || link("/mnt/result", "/mnt/hard"))
        return fail("rename, symlink, link");
    struct stat st;
    if (stat("/mnt/link", &st) || st.st_size != 200000 || st.st_nlink != 2 || (st.st_mode & 0777) != 0640)
        return fail("stat");
    for (int i = 0; i < 100; i++) {
        char name[64];
        snprintf(name, sizeof name, "/mnt/dir/f%d", i);
        fd = open(name, O_CREAT | O_WRONLY, 0644);
        if (fd < 0 || write(fd, name, strlen(name)) < 0)
            return fail(name);
        close(fd);
    }
    DIR* d = opendir("/mnt/dir");
    int seen = 0;
    struct dirent* e;
    while ((e = readdir(d)))
        if (e->d_name[0] == 'f') {
            seen++;
            if (unlinkat(dirfd(d), e->d_name, 0))
                return fail(e->d_name);
        }
    closedir(d);
    if (rmdir("/mnt/dir"))
        return fail("rmdir");
    printf("seen %d\n", seen);
    return 0;
}
