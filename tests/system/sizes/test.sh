# Ceilings for the sizes that we watch: stripped, bootable, kernel included. aarch64 may take 1.3 times as much,
# and half as much again for `puts`: there the interrupt controller and the timer are still in every image.
# isolation: stack
# timeout: 300

"$EREMITE" inspect --arch "$ARCH" --isolation "$ISOLATION" --sizes | tee sizes
status=0
for pair in puts:65536 printf:200704 iostream:401408 println:589824; do
    ceiling=${pair#*:}
    [ "$ARCH" = x86_64 ] || ceiling=$((ceiling * 13 / 10))
    [ "$ARCH $pair" != "aarch64 puts:65536" ] || ceiling=98304
    size=$(awk -v name="${pair%:*}" '$1 == name { print $2 }' sizes)
    [ -n "$size" ] || { echo "FAIL: no size of ${pair%:*}"; exit 1; }
    if ((size > ceiling)); then
        echo "FAIL: ${pair%:*} has $size bytes, more than $ceiling"
        status=1
    fi
done

# The linker is the configurator: who opens no socket has no TCP/IP, and who opens no file has no file systems.
{ echo '#define TCP'; cat "$EREMITE_ROOT/bench/programs/size.c"; } >sockets.c
printf '#include <fcntl.h>\n#include <unistd.h>\nint main(void) { char byte; return read(open("/etc/motd", O_RDONLY), &byte, 1) != 1; }\n' >files.c
absent() {
    "$EREMITE" inspect --arch "$ARCH" --isolation "$ISOLATION" "$1" --why "$2" >why || true
    grep -q 'is not in the image' why || { echo "FAIL: $1 holds $2:"; cat why; status=1; }
}
absent files.c eremite::net::kernel_stack
absent sockets.c eremite::fs_context
exit $status
