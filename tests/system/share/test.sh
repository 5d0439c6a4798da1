#!/usr/bin/env bash
# A folder of the host by virtio-fs: what the guest writes is there for the host, and the other way round; read-only
# shares refuse writes; a daemon that dies gives errors, not a hang.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/folder"
echo "hello guest" >"$work/folder/from-host"

run() { timeout 100 "$EREMITE_ROOT/eremite" run --arch "${ARCH:-x86_64}" "$@" </dev/null | tr -d '\r'; }

run --share "$work/folder:/mnt:ro" share.c ro | grep -qx read-only || { echo "a read-only share is not"; exit 1; }
run --share "$work/folder:/mnt" share.c | grep -qx "seen 100" || { echo "the guest's part failed"; exit 1; }
[ "$(stat -c '%s %h %a' "$work/folder/result")" = "200000 2 640" ] || { echo "result: $(stat "$work/folder/result")"; exit 1; }
[ "$(readlink "$work/folder/link")" = result ] || { echo "the link is not there"; exit 1; }
[ "$(dd if="$work/folder/result" bs=1 skip=100000 count=6 status=none)" = MAPPED ] || { echo "the mapping's write is not there"; exit 1; }
[ ! -e "$work/folder/dir" ] || { echo "dir is still there"; exit 1; }
echo "share works"
