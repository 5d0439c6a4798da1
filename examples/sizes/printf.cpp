#include <cstdio>
#include <string>

int main(int, char** argv)
{
    std::string text = "hello from ";
    text += argv[0];
    std::printf("%s\n", text.c_str());
}
