#include <iostream>

int main(int, char** argv)
{
    std::cout << "hello from " << argv[0] << '\n';
}
