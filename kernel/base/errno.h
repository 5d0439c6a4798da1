// Linux's error numbers (uapi/asm-generic/errno-base.h, errno.h): the same on x86_64 and aarch64.
#pragma once

#include "base/errno_undef.h"

namespace eremite {

enum class Errno : int {
#define ERRNO(name, value, text) name = value,
#include "base/errno.inc"
#undef ERRNO
};

/// "ENOENT", for logs and strace; "E?" for a number that Linux doesn't define.
constexpr const char* name_of(Errno error)
{
    switch (error) {
#define ERRNO(name, value, text)                                                                                       \
    case Errno::name:                                                                                                  \
        return #name;
#include "base/errno.inc"
#undef ERRNO
    }
    return "E?";
}

/// "No such file or directory", for logs and strace.
constexpr const char* description_of(Errno error)
{
    switch (error) {
#define ERRNO(name, value, text)                                                                                       \
    case Errno::name:                                                                                                  \
        return text;
#include "base/errno.inc"
#undef ERRNO
    }
    return "unknown error";
}

} // namespace eremite
