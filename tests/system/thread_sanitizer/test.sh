# Futexes, wait queues and mutexes of the kernel, run by threads of a Linux process under ThreadSanitizer: their tests of
# tests/host, which the host's own build runs under AddressSanitizer, several times over.
# arch: host
# timeout: 900
cd "$EREMITE_ROOT"
clang++-19 -std=c++23 -O1 -g -fsanitize=thread -DEREMITE_HOST -fno-rtti -Wno-unsafe-buffer-usage \
    -I kernel -I kernel/arch/host -I tests/host \
    tests/host/sched/futex_test.cpp tests/host/sched/wait_queue_test.cpp \
    kernel/sched/futex.cpp kernel/sched/wait_queue.cpp kernel/sched/mutex.cpp kernel/sched/mutex_contended.cpp kernel/arch/host/waiting.cpp kernel/arch/host/host.cpp \
    kernel/syscall/user_pointer.cpp tests/system/thread_sanitizer/stubs.cpp \
    -lgtest -lgtest_main -o "$TEST_DIR/tests"
# The sanitizer wants its shadow where a randomized layout may have put something else.
TSAN_OPTIONS=halt_on_error=1 setarch -R "$TEST_DIR/tests" --gtest_repeat=5
