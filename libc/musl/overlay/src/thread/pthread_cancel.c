/* Cancellation without knowledge of the program counter: see arch/generic/syscall_arch.h. */
#define _GNU_SOURCE
#include <string.h>
#include "pthread_impl.h"
#include "syscall.h"

/* Values of pthread::cancel beside 0. */
enum {
	REQUESTED = 1,
	/* The EINTR that came with the request has been hidden from a caller who disabled cancellation. */
	REQUESTED_AND_HIDDEN = 3,
};

hidden long __cancel()
{
	pthread_t self = __pthread_self();
	if (self->canceldisable == PTHREAD_CANCEL_ENABLE || self->cancelasync)
		pthread_exit(PTHREAD_CANCELED);
	self->canceldisable = PTHREAD_CANCEL_DISABLE;
	return -ECANCELED;
}

static long enter(long nr)
{
	pthread_t self = __pthread_self();
	int state = self->canceldisable;
	if (state && (state == PTHREAD_CANCEL_DISABLE || nr == SYS_close)) return 0;
	return self->cancel ? __cancel() : 0;
}

static int interrupted(long nr, long *result)
{
	pthread_t self = __pthread_self();
	if (nr == SYS_close || !self->cancel) return 0;
	if (self->canceldisable != PTHREAD_CANCEL_DISABLE) {
		*result = __cancel();
		return 0;
	}
	if (self->cancel != REQUESTED) return 0;
	self->cancel = REQUESTED_AND_HIDDEN;
	return 1;
}

static void cancel_handler(int sig, siginfo_t *si, void *ctx)
{
	pthread_t self = __pthread_self();
	ucontext_t *uc = ctx;

	a_barrier();
	if (!self->cancel || self->canceldisable == PTHREAD_CANCEL_DISABLE || !self->cancelasync) return;
	uc->uc_sigmask.__bits[(SIGCANCEL-1) / (8*sizeof(long))] |= 1UL << ((SIGCANCEL-1) % (8*sizeof(long)));
	pthread_sigmask(SIG_SETMASK, &uc->uc_sigmask, 0);
	__cancel();
}

void __testcancel()
{
	pthread_t self = __pthread_self();
	if (self->cancel && !self->canceldisable)
		__cancel();
}

static void init_cancellation()
{
	static const struct __cancellation hooks = { enter, interrupted };
	struct sigaction sa = {
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
		.sa_sigaction = cancel_handler
	};
	memset(&sa.sa_mask, -1, _NSIG/8);
	__libc_sigaction(SIGCANCEL, &sa, 0);
	__cancellation = &hooks;
}

int pthread_cancel(pthread_t t)
{
	if (!__cancellation) init_cancellation();
	a_store(&t->cancel, REQUESTED);
	if (t == pthread_self()) {
		if (t->canceldisable == PTHREAD_CANCEL_ENABLE && t->cancelasync)
			pthread_exit(PTHREAD_CANCELED);
		return 0;
	}
	return pthread_kill(t, SIGCANCEL);
}
