# For system tests that talk to a guest through a tap: sourced by tests/system/NAME/test.sh, which is then run in a network
# namespace of its own, that goes away with its last process. The guest is 10.0.0.2, we are 10.0.0.1 on tap0.
#
#     source "$TEST_SOURCE/../network.sh"
#     build redis          # before the namespace: sources may have to be fetched
#     enter_network
#     start_guest redis --save ''
#     await_port 6379
guest=10.0.0.2
guest_memory=64M

fail() {
    if [ -e console ]; then tail -n 20 console >&2; fi
    echo "FAIL: $*" >&2
    exit 1
}
skip() { echo "$*"; exit 77; }

# build APP: builds it; where its source is not to be had, the test is skipped.
build() {
    [ -z "${IN_NETWORK:-}" ] || return 0
    "$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" "$1" >build.log 2>&1 || {
        if grep -qs 'is not to be had' build.log "$EREMITE_ROOT/build/$ARCH/apps/$1-$ISOLATION.log"; then
            skip "the source of $1 is not to be had here"
        fi
        cat build.log
        echo "FAIL: $1 does not build"
        exit 1
    }
}

# Goes on in a network namespace of its own.
enter_network() {
    if [ -z "${IN_NETWORK:-}" ]; then
        local ours=(--net)
        if [ "$(id -u)" != 0 ]; then ours+=(--user --map-root-user); fi
        unshare "${ours[@]}" true 2>/dev/null || skip "no network namespaces here"
        IN_NETWORK=yes exec unshare "${ours[@]}" bash "$0"
    fi
    ip link set lo up
    ip tuntap add dev tap0 mode tap vnet_hdr 2>/dev/null || skip "no tap devices here"
    ip addr add 10.0.0.1/24 dev tap0
    ip link set tap0 up
    machine=
    trap 'end_guest' EXIT
}

# start_guest [OPTION...] APP [ARGUMENT...]: in the background, its output in the file console.
kernel_options="ip=$guest/24"
start_guest() {
    : >console
    "$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --memory "$guest_memory" --net tap=tap0 --timeout "${guest_timeout:-60}" \
        --append "$kernel_options" "$@" </dev/null >console 2>&1 &
    machine=$!
}
end_guest() {
    [ -n "$machine" ] || return 0
    kill "$machine" 2>/dev/null || true
    wait "$machine" 2>/dev/null || true
    machine=
}
# finish_guest: waits for its end, and gives its status.
finish_guest() {
    local status=0
    wait "$machine" || status=$?
    machine=
    return $status
}
# await_line TEXT: until the guest has said it.
await_line() {
    local i
    for ((i = 0; i < 600; i++)); do
        if grep -q -- "$1" console; then return; fi
        kill -0 "$machine" 2>/dev/null || break
        sleep 0.2
    done
    grep -q -- "$1" console || fail "the guest never said '$1'"
}
# await_port PORT: until somebody accepts connections there.
await_port() {
    local i
    for ((i = 0; i < 300; i++)); do
        if (exec 3<>"/dev/tcp/$guest/$1") 2>/dev/null; then return; fi
        kill -0 "$machine" 2>/dev/null || break
        sleep 0.2
    done
    fail "nobody accepts connections on port $1"
}
