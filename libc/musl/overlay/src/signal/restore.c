/* __restore and __restore_rt are the kernel's: see arch/generic/syscall_arch.h. */
typedef int not_empty;
