// Makes, looks up and removes a file again and again: forget FOLDER ROUNDS. Says how much memory is free before and
// after.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static unsigned long free_memory(void)
{
    struct sysinfo info;
    return sysinfo(&info) ? 0 : info.freeram * info.mem_unit;
}

int main(int argc, char** argv)
{
    if (argc < 3 || chdir(argv[1]))
        return 2;
    const long rounds = atol(argv[2]);
    unsigned long before = 0;
    for (long i = 0; i < rounds; i++) {
        // What caches hold of the first rounds is no leak.
        if (i == rounds / 10)
            before = free_memory();
        char name[32];
        struct stat st;
        sprintf(name, "file-%ld", i);
        int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
        if (fd < 0 || close(fd) || stat(name, &st) || unlink(name) || stat(name, &st) == 0) {
            perror(name);
            return 1;
        }
        if (i == rounds / 10) {
            printf("warm\n");
            fflush(stdout);
        }
    }
    const unsigned long after = free_memory();
    printf("grown by %ld KiB\n", before > after ? (long)(before - after) / 1024 : 0);
    fflush(stdout);
    // The host looks at its daemon now.
    sleep(argc > 3 ? (unsigned)atoi(argv[3]) : 0);
    return 0;
}
