# The kernel under ThreadSanitizer, in a Linux process: futexes, wait queues and mutexes by threads of the process (their
# tests of tests/host, which the host's own build runs under AddressSanitizer); the scheduler, its run queues and timers
# on a model of a machine with four processors (processors/machine.h). Each several times over.
# arch: host
# timeout: 900
cd "$EREMITE_ROOT"
here=tests/system/thread_sanitizer
waiting="futex wait_queue mutex mutex_contended"
scheduler="$waiting scheduler run_queue threads thread wake policy timer processors exit"

# NAME SOURCES-OF-SCHED FLAGS-AND-SOURCES...
build() {
    local name=$1 sources="" part
    for part in $2; do sources="$sources kernel/sched/$part.cpp"; done
    shift 2
    # shellcheck disable=SC2086
    clang++-19 -std=c++23 -O1 -g -fsanitize=thread -DEREMITE_HOST -fno-rtti -Wno-unsafe-buffer-usage "$@" \
        -I kernel -I kernel/arch/host -I tests/host $sources kernel/arch/host/host.cpp kernel/syscall/user_pointer.cpp \
        $here/stubs.cpp -lgtest -lgtest_main -o "$TEST_DIR/$name"
}
# The sanitizer wants its shadow where a randomized layout may have put something else.
run() {
    TSAN_OPTIONS=halt_on_error=1 setarch -R "$TEST_DIR/$1" --gtest_repeat="$2" --gtest_brief=1
}

build waiting "$waiting" tests/host/sched/futex_test.cpp tests/host/sched/wait_queue_test.cpp kernel/arch/host/waiting.cpp
run waiting 5
build scheduler "$scheduler" -I $here/processors $here/processors/machine.cpp $here/processors/scheduler_test.cpp \
    kernel/base/log.cpp kernel/base/format.cpp
run scheduler 20
