#!/usr/bin/env bash
# Two runs of one image put main, heap, mappings and stack at different addresses; `nokaslr` puts them at the same.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
arch=${ARCH:-x86_64}

run() { timeout 60 "$EREMITE_ROOT/eremite" run --arch "$arch" "$@" addresses.c < /dev/null | tr -d '\r' | grep -E '^(main|heap|mapping|stack|random) '; }

run > "$work/first"
run > "$work/second"
for what in main heap mapping stack random; do
    first=$(grep "^$what " "$work/first")
    second=$(grep "^$what " "$work/second")
    [ -n "$first" ] || { echo "no line for $what"; exit 1; }
    [ "$first" != "$second" ] || { echo "$what is the same in two runs: $first"; exit 1; }
done
run --append nokaslr > "$work/third"
run --append nokaslr > "$work/fourth"
for what in main stack; do
    [ "$(grep "^$what " "$work/third")" = "$(grep "^$what " "$work/fourth")" ] \
        || { echo "$what differs in two runs with nokaslr"; exit 1; }
done
echo "addresses differ"
