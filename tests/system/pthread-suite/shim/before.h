// Macros of the suite's own C library that its tests use without being about them. Included before everything.
#pragma once
#define TEMP_FAILURE_RETRY(expression)                                                                                 \
    ({                                                                                                                 \
        long result_;                                                                                                  \
        do                                                                                                             \
            result_ = (long)(expression);                                                                              \
        while (result_ == -1L && errno == EINTR);                                                                      \
        result_;                                                                                                       \
    })
#define sigmask(number) (1 << ((number) - 1))
#define PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP                                                                         \
    {                                                                                                                  \
        {                                                                                                              \
            {                                                                                                          \
                PTHREAD_MUTEX_RECURSIVE                                                                                \
            }                                                                                                          \
        }                                                                                                              \
    }
#define PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP                                                                        \
    {                                                                                                                  \
        {                                                                                                              \
            {                                                                                                          \
                PTHREAD_MUTEX_ERRORCHECK                                                                               \
            }                                                                                                          \
        }                                                                                                              \
    }
