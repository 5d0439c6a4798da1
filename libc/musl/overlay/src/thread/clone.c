#include <stdarg.h>
#include "pthread_impl.h"

/* It returns twice, which no C function can: the kernel starts `func` on `stack` itself. */
hidden long __eremite_clone(int (*func)(void *), void *stack, long flags, void *arg, int *ptid, void *tls, int *ctid);

int __clone(int (*func)(void *), void *stack, int flags, void *arg, ...)
{
	va_list ap;
	va_start(ap, arg);
	int *ptid = va_arg(ap, int *);
	void *tls = va_arg(ap, void *);
	int *ctid = va_arg(ap, int *);
	va_end(ap);
	return __eremite_clone(func, stack, flags, arg, ptid, tls, ctid);
}
