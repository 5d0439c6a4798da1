// inotify.
#pragma once

#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_inotify_init();
Result<long> sys_inotify_init1(u32 flags);
Result<long> sys_inotify_add_watch(int fd, UserString path, u32 mask);
Result<long> sys_inotify_rm_watch(int fd, int watch);

} // namespace eremite
