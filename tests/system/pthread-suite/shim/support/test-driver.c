// The suite's driver runs a test as a child and watches it. Here there is one process: the machine's time limit
// watches.
#include <stdio.h>
#include <stdlib.h>
#include <support/check.h>
#include <support/support.h>
#include <support/test-driver.h>

extern int suite_failures;

int main(int argc, char** argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
#ifdef PREPARE
    PREPARE(argc, argv);
#endif
#if defined(TEST_FUNCTION_ARGV)
    int status = TEST_FUNCTION_ARGV(argc, argv);
#elif defined(TEST_FUNCTION)
    int status = TEST_FUNCTION();
#else
    int status = do_test();
#endif
#ifdef CLEANUP_HANDLER
    CLEANUP_HANDLER();
#endif
    if (status == 0 && __atomic_load_n(&suite_failures, __ATOMIC_RELAXED) != 0)
        status = 1;
#ifdef EXPECTED_STATUS
    status = status != EXPECTED_STATUS;
#endif
    exit(status);
}
