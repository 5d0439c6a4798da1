#include "pthread_impl.h"

/* Unmaps the stack that it runs on and ends the thread. */
hidden _Noreturn void __eremite_unmapself(void *base, unsigned long size);

void __unmapself(void *base, size_t size)
{
	__eremite_unmapself(base, size);
}
