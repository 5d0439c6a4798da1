// The suite's older way to begin a test.
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <paths.h>
#include <search.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <support/check.h>
#include <support/support.h>
#include <support/temp_file.h>
#include <support/xsignal.h>

static int legacy_test_function(int argc, char** argv)
{
    (void)argc, (void)argv;
#ifdef TEST_FUNCTION
    return TEST_FUNCTION;
#undef TEST_FUNCTION
#else
    return do_test(argc, argv);
#endif
}
#define TEST_FUNCTION_ARGV legacy_test_function
#include <support/test-driver.c>
