# For benchmarks in which a guest serves and this machine is its peer: a network namespace of their own with a tap, and guests
# that boot in it. Sourced after bench/common.sh, with the port that the guest will serve in $port.

space=eremite-bench-$$
guest=10.99.0.2
machine=
wire=

end_machine() {
    [ -n "$machine" ] || return 0
    kill "$machine" 2>/dev/null || true
    wait "$machine" 2>/dev/null || true
    machine=
}
leave_network() {
    end_machine
    [ -z "$wire" ] || kill "$wire" 2>/dev/null || true
    ip netns del "$space" 2>/dev/null || true
}

# make_network: the namespace and tap0 in it, until the script ends.
make_network() {
    [ "$(id -u)" = 0 ] || die "this needs root, for a network namespace of its own"
    need iproute2
    trap leave_network EXIT
    ip netns add "$space"
    inside ip link set lo up
    inside sysctl -qw net.ipv4.tcp_congestion_control=reno 2>/dev/null || say "the host's congestion control is left as it is"
    make_tap vnet_hdr
}
inside() { ip netns exec "$space" "$@"; }
make_tap() {
    inside ip tuntap add dev tap0 mode tap "$@"
    inside ip addr add 10.99.0.1/24 dev tap0
    inside ip link set tap0 up
}

# start_guest linux|eremite|floor CONSOLE PROGRAM 'ARGUMENTS' [QEMU-ARGUMENTS]: boots it in the background and waits for the
# port. The Linux guest's program is the one of that name in its initramfs. On a busy machine a Linux guest now and then finds
# its timer dead and panics: then once more.
start_guest() {
    local attempt
    for attempt in 1 2 3; do
        if boot_guest "$@"; then return; fi
        end_machine
        say "$1 does not answer on port $port: $(tail -3 "$2")"
    done
    die "$1 does not boot"
}
boot_guest() {
    local kind=$1 console=$2 program=$3 arguments=${4:-} extra=${5:-} append=() tries net options
    [ "$kind" = floor ] || append=(--append "ip=$guest/24 ${eremite_append:-}")
    net="tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=off"
    options=(--net tap=tap0)
    if [ -n "$wire" ]; then
        net="socket,id=n0,udp=127.0.0.1:7001,localaddr=127.0.0.1:7002"
        options=(--net none)
        [ "$kind" = linux ] || extra="-netdev $net -device virtio-net-pci,netdev=n0,romfile= $extra"
    fi
    # Not by inside(): $! would be a shell's, and killing that would leave the machine running.
    # shellcheck disable=SC2086 # the arguments are words
    case $kind in
    linux)
        ip netns exec "$space" timeout 900 qemu-system-x86_64 -accel tcg -M q35 -cpu max -smp 1 -m 256M -nographic -no-reboot -nodefaults \
            -serial stdio -monitor none -kernel "$(linux_kernel)" -initrd "$out/linux.cpio.gz" \
            -append "console=ttyS0 quiet panic=-1 eb.run=$(basename "$program" .c) eb.args=${arguments// /,} eb.ip=$guest/24" \
            -netdev "$net" -device virtio-net-pci,netdev=n0,romfile= $extra < /dev/null > "$console" 2>&1 &
        ;;
    *)
        ip netns exec "$space" timeout 900 "$EREMITE" run --memory 256M "${options[@]}" "${append[@]}" \
            ${extra:+--qemu-args "$extra"} "$program" $arguments < /dev/null > "$console" 2>&1 &
        ;;
    esac
    machine=$!
    for ((tries = 0; tries < 600; tries++)); do
        if [ "$kind" = floor ]; then
            if grep -q reflecting "$console"; then return 0; fi
        elif inside bash -c "exec 3<>/dev/tcp/$guest/$port" 2>/dev/null; then
            sleep 0.5
            return 0
        fi
        kill -0 "$machine" 2>/dev/null || break
        sleep 0.1
    done
    return 1
}
