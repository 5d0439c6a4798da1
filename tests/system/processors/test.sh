#!/usr/bin/env bash
# The processors that an image must run on, from the oldest to what QEMU has newest, entered at EL1 and at EL2; the
# interrupt controllers, with messages through each. Faults are reported alike on all.
# arch: aarch64
# timeout: 600
set -euo pipefail

cd "$TEST_DIR"
failures=0
run() { timeout 60 "$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" "$@" </dev/null 2>&1 | tr -d '\r'; }

# says STATUS PATTERN OPTIONS...
says() {
    local wanted=$1 pattern=$2 status=0 said
    shift 2
    said=$(run "$@") || status=$?
    if [ $status != "$wanted" ] || ! grep -qE -- "$pattern" <<<"$said"; then
        printf 'FAILED: status %s, or no "%s", from: %s\n%s\n' "$status" "$pattern" "$*" "$said"
        failures=$((failures + 1))
    fi
}

guest=$EREMITE_ROOT/tests/guest
hello=$EREMITE_ROOT/examples/hello
for cpu in cortex-a53 cortex-a72 max; do
    says 0 'Hello' --cpu $cpu "$hello"
    says 139 'null dereference: read' --cpu $cpu "$guest/fault_null.c"
    says 139 'stack overflow in thread main' --cpu $cpu "$guest/fault_stack_overflow.c"
    says 139 'write to (read-only|text)' --cpu $cpu "$guest/fault_write_text.c"
    says 139 'execut' --cpu $cpu "$guest/fault_execute_heap.c"
    # The guard page of the entry stack, and the way off it.
    says 134 'entry stack overflow in the kernel' --cpu $cpu "$guest/fault_entry_stack.c"
done

# By each controller: threads on four processors call one another by interrupts, and a PCI device sends messages. Nobody
# polls the network, so without them there is no address.
cat >address.c <<'C'
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int main(void)
{
    struct ifreq request = { .ifr_name = "eth0" };
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    if (ioctl(s, SIOCGIFADDR, &request))
        return perror("no address"), 1;
    puts(inet_ntoa(((struct sockaddr_in*)&request.ifr_addr)->sin_addr));
    return 0;
}
C
device="-netdev user,id=n0 -device virtio-net-pci,netdev=n0,romfile=,disable-legacy=on"
for machine in virt,gic-version=2 virt,gic-version=3 virt,gic-version=3,its=off; do
    for level in off on; do
        says 0 'failed: 0' --smp 4 --machine "$machine,virtualization=$level" "$guest/threads.c"
        # PCI devices need messages; without a translation service GICv3 has none.
        [[ $machine = *its=off ]] || says 0 '^10\.0\.2\.15' --net none --qemu-args "$device" --append net-poll=0 \
            --machine "$machine,virtualization=$level" address.c
    done
done
# That they are messages, the controller itself says.
says 0 'gicv3_its_cmd_mapti' --net none --qemu-args "$device -trace gicv3_its_cmd_mapti" --append net-poll=0 \
    --machine virt,gic-version=3 address.c
[ "$failures" = 0 ] && echo "the same on all processors and interrupt controllers"
exit "$failures"
