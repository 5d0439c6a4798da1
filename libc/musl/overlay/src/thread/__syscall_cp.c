#include "syscall.h"

const struct __cancellation *volatile __cancellation;
