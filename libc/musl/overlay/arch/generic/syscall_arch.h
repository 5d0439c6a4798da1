/* musl's way into the kernel, the same on every architecture: a function call (see <eremite/syscall.h>). No vDSO: the
 * kernel's clock_gettime is as near as one would be. */
#include <eremite/syscall.h>

#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

#define __EREMITE_INLINE static __inline __attribute__((__always_inline__, __unused__)) long

__EREMITE_INLINE __syscall0(long n) { return __eremite_dispatch(n, 0, 0, 0, 0, 0, 0); }
__EREMITE_INLINE __syscall1(long n, long a) { return __eremite_dispatch(n, a, 0, 0, 0, 0, 0); }
__EREMITE_INLINE __syscall2(long n, long a, long b) { return __eremite_dispatch(n, a, b, 0, 0, 0, 0); }
__EREMITE_INLINE __syscall3(long n, long a, long b, long c) { return __eremite_dispatch(n, a, b, c, 0, 0, 0); }
__EREMITE_INLINE __syscall4(long n, long a, long b, long c, long d) { return __eremite_dispatch(n, a, b, c, d, 0, 0); }

__EREMITE_INLINE __syscall5(long n, long a, long b, long c, long d, long e)
{
	return __eremite_dispatch(n, a, b, c, d, e, 0);
}

__EREMITE_INLINE __syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	return __eremite_dispatch(n, a, b, c, d, e, f);
}

/* A system call that is a cancellation point. What cancellation needs hangs from one pointer, which pthread_cancel sets
 * when it is first called: no thread can have been cancelled before, and a program without pthread_cancel holds none of
 * it. Upstream's handler compares the program counter with the bounds of one assembly routine; a call that may be
 * inlined has no such bounds. Instead the kernel makes the thread's next blocking wait fail with EINTR after SIGCANCEL
 * (it remembers this until there is such a wait, so nothing is lost between the check and the call). */
struct __cancellation {
	/* Before the call: 0, or the error to return instead. Does not return if the thread ends here. */
	long (*enter)(long n);
	/* After EINTR: whether the call is to be made again; else *result is what to return. */
	int (*interrupted)(long n, long *result);
};
extern __attribute__((__visibility__("hidden"))) const struct __cancellation *volatile __cancellation;

__EREMITE_INLINE __cancellable(long n, long a, long b, long c, long d, long e, long f)
{
	const struct __cancellation *hooks = __cancellation;
	long r;
	if (__builtin_expect(hooks != 0, 0) && (r = hooks->enter(n))) return r;
	do r = __eremite_dispatch(n, a, b, c, d, e, f);
	while (r == -4 /* EINTR */ && (hooks = __cancellation) && hooks->interrupted(n, &r));
	return r;
}

/* The return from a signal handler is the kernel's. */
void __eremite_restore_rt(void);
#define __restore __eremite_restore_rt
#define __restore_rt __eremite_restore_rt

#define IPC_64 0
