/* All that the journal's code asks of libuuid. */
#pragma once
typedef unsigned char uuid_t[16];
static inline int uuid_is_null(const unsigned char *uuid)
{
    for (int i = 0; i < 16; ++i)
        if (uuid[i])
            return 0;
    return 1;
}
static inline void uuid_unparse(const unsigned char *uuid, char *text)
{
    (void)uuid;
    *text = 0;
}
