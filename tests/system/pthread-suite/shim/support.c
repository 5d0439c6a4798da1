// What the suite's tests call of its support library and that library does by a second process or by its own C
// library's insides. The rest is compiled from the suite.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int suite_failures;
const char* test_dir = "/tmp";
unsigned int test_verbose;

void support_record_failure(void)
{
    __atomic_add_fetch(&suite_failures, 1, __ATOMIC_RELAXED);
}
int support_record_failure_is_failed(void)
{
    return suite_failures != 0;
}
void support_record_failure_barrier(void)
{
    if (suite_failures)
        exit(1);
}

static void say(const char* file, int line, const char* format, va_list arguments)
{
    printf("%s:%d: ", file, line);
    vprintf(format, arguments);
    puts("");
}

int support_print_failure_impl(const char* file, int line, const char* format, ...)
{
    support_record_failure();
    va_list arguments;
    va_start(arguments, format);
    say(file, line, format, arguments);
    va_end(arguments);
    return 1;
}

void support_exit_failure_impl(int status, const char* file, int line, const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(file, line, format, arguments);
    va_end(arguments);
    exit(status);
}

void support_test_verify_impl(const char* file, int line, const char* text)
{
    support_record_failure();
    printf("%s:%d: not true: %s\n", file, line, text);
}

void support_test_verify_exit_impl(int status, const char* file, int line, const char* text)
{
    support_test_verify_impl(file, line, text);
    exit(status);
}

void support_test_compare_failure(const char* file, int line, const char* left_text, long long left, int left_positive,
    int left_size, const char* right_text, long long right, int right_positive, int right_size)
{
    (void)left_positive, (void)left_size, (void)right_positive, (void)right_size;
    support_record_failure();
    printf("%s:%d: %s is %lld, %s is %lld\n", file, line, left_text, left, right_text, right);
}

void support_test_compare_string(
    const char* left, const char* right, const char* file, int line, const char* left_text, const char* right_text)
{
    if (left == right || (left && right && strcmp(left, right) == 0))
        return;
    support_record_failure();
    printf("%s:%d: %s is \"%s\", %s is \"%s\"\n", file, line, left_text, left, right_text, right);
}

int create_temp_file(const char* base, char** name)
{
    char* path;
    if (asprintf(&path, "/tmp/%sXXXXXX", base) < 0)
        return -1;
    int fd = mkstemp(path);
    if (name)
        *name = path;
    return fd;
}
int create_temp_file_in_dir(const char* base, const char* directory, char** name)
{
    (void)directory;
    return create_temp_file(base, name);
}
void add_temp_file(const char* name)
{
    (void)name;
}

void* xmalloc(size_t size)
{
    void* memory = malloc(size);
    if (!memory)
        abort();
    return memory;
}
void* xcalloc(size_t count, size_t size)
{
    void* memory = calloc(count, size);
    if (!memory)
        abort();
    return memory;
}
char* xasprintf(const char* format, ...)
{
    char* text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        abort();
    va_end(arguments);
    return text;
}
char* xstrdup(const char* text)
{
    return strcpy(xmalloc(strlen(text) + 1), text);
}
void write_message(const char* text)
{
    (void)!write(1, text, strlen(text));
}
int support_select_modifies_timeout(void)
{
    return 1;
}

void delay(unsigned seconds)
{
    sleep(seconds);
}
