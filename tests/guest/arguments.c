// Arguments and environment arrive as given, quoting and empty ones included.
// options: --env GREETING=hello --env EMPTY=
// arguments: one "two three" "" "quote\"backslash\\end" --flag
// machines: pc q35 microvm loader virt
#include "check.h"

#include <stdlib.h>

int main(int argc, char** argv)
{
    for (int i = 0; i < argc; i++)
        printf("argv[%d] = \"%s\"\n", i, argv[i]);
    CHECK_EQ(argc, 6);
    if (argc == 6) {
        CHECK_STR(argv[1], "one");
        CHECK_STR(argv[2], "two three");
        CHECK_STR(argv[3], "");
        CHECK_STR(argv[4], "quote\"backslash\\end");
        CHECK_STR(argv[5], "--flag");
    }
    CHECK_STR(getenv("EMPTY"), "");
    CHECK_STR(getenv("GREETING"), "hello");
    return check_result();
}
