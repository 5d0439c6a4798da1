#!/usr/bin/env bash
# Redis from its source package, unmodified, with its own tools as peers: commands of every type by redis-cli, a benchmark
# with 1 and with 16 requests at once, a value of some MB there and back, its append-only file read again by a second start.
# timeout: 600
set -euo pipefail
source "$TEST_SOURCE/../network.sh"
build redis
enter_network

guest_memory=128M
# On aarch64 redis looks by fork() whether Linux has an error in its copy on write.
start_guest redis --save '' --protected-mode no --ignore-warnings ARM64-COW-BUG
await_line 'Ready to accept connections'
cli() { timeout 30 redis-cli -h "$guest" "$@"; }
says() {
    local expected=$1
    shift
    local said
    said=$(cli "$@") || fail "redis-cli $*: status $?"
    [ "$said" = "$expected" ] || fail "redis-cli $* said '$said', not '$expected'"
}
says PONG ping
says OK set greeting hello
says hello get greeting
says 3 rpush list a b c
says $'a\nb\nc' lrange list 0 -1
says 2 hset hash one 1 two 2
says 42 eval 'return redis.call("incrby", KEYS[1], ARGV[1])' 1 counter 42
head -c 3000000 /dev/urandom | base64 -w0 >value
says OK -x set big <value
cli get big | tr -d '\n' | cmp - value || fail "a value of 4 MB came back changed"

# benchmark PIPELINE REQUESTS: all requests are answered, none with an error.
benchmark() {
    timeout 100 redis-benchmark -h "$guest" -t set,get,incr,lpush -c 30 -P "$1" -n "$2" -q 2>&1 | tr '\r' '\n' >benchmark ||
        { tail -3 benchmark; fail "redis-benchmark -P $1: status $?"; }
    [ "$(grep -c 'requests per second' benchmark)" = 4 ] || { tail -3 benchmark; fail "redis-benchmark -P $1 did not end"; }
    if grep -qi error benchmark; then fail "redis-benchmark -P $1: $(grep -i error benchmark)"; fi
    grep 'requests per second' benchmark
}
benchmark 1 2000
benchmark 16 20000
cli shutdown nosave || true # the connection ends with it
finish_guest || fail "it ended with status $?"
grep -q 'bye bye' console || fail "it did not say goodbye"
