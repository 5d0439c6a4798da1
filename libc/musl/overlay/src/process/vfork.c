#define _GNU_SOURCE
#include <unistd.h>
#include <signal.h>
#include <sched.h>
#include "syscall.h"

/* There is one process: the kernel refuses. */
pid_t vfork(void)
{
	return syscall(SYS_clone, SIGCHLD | CLONE_VM | CLONE_VFORK, 0, 0, 0, 0);
}
