// The program may replace operator new and delete: its own are used by its own code, and the kernel never calls them.
// oracle: native
#include "check.h"

#include <cstdlib>
#include <new>
#include <string>
#include <unistd.h>
#include <vector>

static int news, deletes;
static bool inside_kernel_call;
static int calls_from_kernel;

void* operator new(std::size_t size)
{
    ++news;
    if (inside_kernel_call)
        ++calls_from_kernel;
    if (void* memory = std::malloc(size))
        return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept
{
    ++deletes;
    if (inside_kernel_call)
        ++calls_from_kernel;
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept
{
    operator delete(memory);
}

int main()
{
    {
        std::vector<std::string> strings;
        for (int i = 0; i < 100; ++i)
            strings.push_back(std::string(100, 'x'));
        CHECK(news >= 100);
    }
    CHECK_EQ(news, deletes);

    inside_kernel_call = true;
    int descriptor[2];
    int piped = pipe(descriptor);
    char c = 1;
    long wrote = piped == 0 ? write(descriptor[1], &c, 1) : -1;
    inside_kernel_call = false;
    CHECK_EQ(piped, 0);
    CHECK_EQ(wrote, 1);
    CHECK_EQ(calls_from_kernel, 0);
    return check_result();
}
