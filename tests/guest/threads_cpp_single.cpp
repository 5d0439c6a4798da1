// threads_cpp on one processor: what only goes wrong when threads take turns.
// machines: q35 virt
// options: --smp 1
// arguments: 50
// cflags: -O2 -std=c++23 -pthread
// timeout: 240
#include "threads_cpp.cpp"
