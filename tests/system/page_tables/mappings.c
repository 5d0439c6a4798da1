// Has memory of every kind mapped, and waits.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void* in_thread(void* unused)
{
    (void)unused;
    char frame[20000];
    memset(frame, 1, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
    pause();
    return NULL;
}

int main(void)
{
    int private = MAP_PRIVATE | MAP_ANONYMOUS;
    /* A heap, large pages, code of our own, what nobody may touch, memory with a key, a file's pages both ways. */
    memset(malloc(300000), 2, 300000);
    memset(mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, private, -1, 0), 3, 4 << 20);
    char* code = mmap(NULL, 8192, PROT_READ | PROT_WRITE, private, -1, 0);
    memset(code, 0xc3, 8192);
    if (mprotect(code, 4096, PROT_READ | PROT_EXEC) != 0)
        return 2;
    char* closed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, private, -1, 0);
    *closed = 1;
    mprotect(closed, 4096, PROT_NONE);
    int key = (int)syscall(SYS_pkey_alloc, 0, 0);
    if (key >= 0) {
        char* keyed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, private, -1, 0);
        syscall(SYS_pkey_mprotect, keyed, 4096, PROT_READ | PROT_WRITE, key);
        *keyed = 1;
    }
    int file = open("/file", O_RDWR | O_CREAT, 0600);
    if (ftruncate(file, 8192) != 0)
        return 3;
    *(char*)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) = 1;
    *(char*)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0) = 1;
    pthread_t thread;
    for (int i = 0; i < 4; i++)
        pthread_create(&thread, NULL, in_thread, NULL);
    usleep(20000);
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
