// The application's libc++ is hardened: an index beyond the end ends the program.
// exit: 139|134|132|133
// reject: not noticed
#include <cstdio>
#include <vector>

int main(int argc, char**)
{
    std::vector<int> numbers(4, argc);
    std::puts("reading too far");
    std::fflush(stdout);
    volatile int index = 4;
    std::printf("not noticed %d\n", numbers[static_cast<unsigned>(index)]);
    return 0;
}
