// Every system call that the table says is implemented: what its gates are made from. A line per topic.
#pragma once

#include "syscall/sys_attributes.h"
#include "syscall/sys_directory.h"
#include "syscall/sys_file.h"
#include "syscall/sys_futex.h"
#include "syscall/sys_inotify.h"
#include "syscall/sys_memory.h"
#include "syscall/sys_path.h"
#include "syscall/sys_poll.h"
#include "syscall/sys_process.h"
#include "syscall/sys_random.h"
#include "syscall/sys_resource.h"
#include "syscall/sys_signal.h"
#include "syscall/sys_socket.h"
#include "syscall/sys_thread.h"
#include "syscall/sys_time.h"
#include "syscall/sys_transfer.h"
