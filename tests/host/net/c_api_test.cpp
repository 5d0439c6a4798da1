// The C interface has a test in C of its own, a program beside this one.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <string>
#include <unistd.h>

TEST(NetworkLibrary, ServesAProgramInC)
{
    std::array<char, 4096> path {};
    ASSERT_GT(readlink("/proc/self/exe", path.data(), path.size() - 1), 0);
    std::string self(path.data());
    const std::string program = self.substr(0, self.rfind('/')) + "/c-api-test";
    EXPECT_EQ(std::system(program.c_str()), 0);
}
