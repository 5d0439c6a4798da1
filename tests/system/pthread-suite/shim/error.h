#pragma once
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define error(status, number, ...)                                                                                     \
    do {                                                                                                               \
        printf(__VA_ARGS__);                                                                                           \
        if (number)                                                                                                    \
            printf(": %s", strerror(number));                                                                          \
        puts("");                                                                                                      \
        if (status)                                                                                                    \
            exit(status);                                                                                              \
    } while (0)
