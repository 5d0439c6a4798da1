// What a single process cannot have fails with ENOSYS, and the kernel says once which call it was, and why.
// expect: fork: .*one process.*ENOSYS
// expect: execve: .*can't be replaced.*ENOSYS
// expect: shmget: .*ENOSYS
// expect: semget: .*ENOSYS
// expect: msgget: .*ENOSYS
// reject: fork: not[^]*fork: not
#include "check.h"

#include <spawn.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    CHECK_ERRNO(fork(), ENOSYS);
    CHECK_ERRNO(fork(), ENOSYS);
    CHECK_ERRNO(vfork(), ENOSYS);
    char* arguments[] = { "/bin/true", NULL };
    CHECK_ERRNO(execv("/bin/true", arguments), ENOSYS);
    pid_t child;
    CHECK_EQ(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, NULL), ENOSYS);
    CHECK_ERRNO(shmget(IPC_PRIVATE, 4096, 0600), ENOSYS);
    CHECK_ERRNO(semget(IPC_PRIVATE, 1, 0600), ENOSYS);
    CHECK_ERRNO(msgget(IPC_PRIVATE, 0600), ENOSYS);
    // There are no children to wait for, and Linux says so likewise.
    CHECK_ERRNO(waitpid(-1, NULL, 0), ECHILD);
    return check_result();
}
