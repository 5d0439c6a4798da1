#include "pthread_impl.h"

hidden int __eremite_set_thread_area(void *p);

int __set_thread_area(void *p)
{
	return __eremite_set_thread_area(p);
}
