#include <print>

int main(int, char** argv)
{
    std::println("hello from {}", argv[0]);
}
