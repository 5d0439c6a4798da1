// Where Linux's ABI differs between architectures. native/abi.h defines, in namespace abi::native:
//     k_machine_name                                  what uname(2) calls the machine
//     k_o_direct, k_o_directory, k_o_largefile, k_o_nofollow    flags of open(2), uapi/asm/fcntl.h
//     struct Stat                                     uapi/asm/stat.h
//     struct EpollEvent                               packed on x86_64 alone
#pragma once

#include "native/abi.h"
