/* What e2fsprogs' configure would find out about the sysroot; only what libext2fs and the journal's code ask for. */
#pragma once
#define HAVE_ERRNO_H 1
#define HAVE_INTTYPES_H 1
#define HAVE_INTPTR_T 1
#define HAVE_STDLIB_H 1
#define HAVE_STRNLEN 1
#define HAVE_SYS_STAT_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_TYPE_SSIZE_T 1
#define HAVE_UNISTD_H 1
#define SIZEOF_INT 4
#define SIZEOF_LONG 8
#define SIZEOF_LONG_LONG 8
#define SIZEOF_OFF_T 8
#define SIZEOF_SHORT 2
#define SIZEOF_TIME_T 8
