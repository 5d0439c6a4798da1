# Makes <eremite/syscalls.h> from kernel/syscall/table.inc: what libc needs of it, which is each call's name, number and
# arity, and no more. (Whether a call is implemented is left out, so that libc need not be built anew when that changes.)
# Use: awk -v arch=x86_64 -f syscalls.awk table.inc
BEGIN {
    print "/* Made from the kernel's table of system calls. For <eremite/syscall.h>, which explains it. */"
    print "#ifndef __EREMITE_SYSCALLS_H"
    print "#define __EREMITE_SYSCALLS_H"
    print "#define __EREMITE_SYSCALLS(X) \\"
}
/^[ \t]*(SYSCALL|UNIMPLEMENTED)\(/ {
    sub(/^[ \t]*(SYSCALL|UNIMPLEMENTED)\(/, "")
    split($0, field, /[ \t]*,[ \t]*/)
    number = arch == "x86_64" ? field[2] : field[3]
    if (number >= 0)
        printf "    X(%s, %d, %d) \\\n", field[1], number, field[4]
}
END {
    print ""
    print "#endif"
}
