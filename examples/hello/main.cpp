// Says hello, and what it was started with.
#include <print>
#include <span>
#include <string_view>

extern char** environ;

int main(int argc, char** argv)
{
    std::println("Hello from C++{}, in a machine of my own.", __cplusplus / 100 % 100);
    for (std::string_view argument : std::span(argv, argc))
        std::println("argument: {}", argument);
    for (char** entry = environ; *entry != nullptr; entry++)
        std::println("environment: {}", *entry);
}
