# Fetching of sources: each failure is one clear line and a status; what is fetched is what was pinned.
# isolation: stack
# arch: host
fetch=$EREMITE_ROOT/libc/fetch.sh
real=$("$fetch" musl-debian 2>/dev/null)
file=$(basename "$real")

fail() { echo "FAIL: $*"; exit 1; }

# expect_failure TEXT COMMAND...: the command fails, and its last line on stderr holds TEXT.
expect_failure() {
    local text=$1
    shift
    if "$@" >output 2>errors; then fail "$* succeeded"; fi
    [ -s output ] && fail "$* printed a path: $(cat output)"
    tail -n 1 errors | grep -q -- "$text" || fail "$* said, instead of '$text': $(cat errors)"
}

# An apt that fails stands for a machine without network.
mkdir no-apt
printf '#!/bin/sh\nexit 100\n' >no-apt/apt-get
chmod +x no-apt/apt-get
offline() { env -u EREMITE_RELEASES PATH="$PWD/no-apt:$PATH" EREMITE_CACHE="$PWD/cache" "$@"; }

expect_failure "no source is called 'nonsense'" "$fetch" nonsense

echo "# a folder of sources"
mkdir sources
cp "$real" sources/
[ "$(offline env EREMITE_SOURCES="$PWD/sources" "$fetch" musl-debian)" = "$PWD/sources/$file" ] || fail "EREMITE_SOURCES is not used"
echo tampered >>"sources/$file"
expect_failure "checksum mismatch: $PWD/sources/$file" offline env EREMITE_SOURCES="$PWD/sources" "$fetch" musl-debian

echo "# nowhere to be had"
expect_failure "set EREMITE_SOURCES" offline "$fetch" musl-debian
grep -q 'EREMITE_RELEASES is not set' errors || fail "no word of EREMITE_RELEASES"

echo "# the release address"
mkdir releases
cp "$real" releases/
releases() { offline env EREMITE_RELEASES="file://$PWD/releases" "$fetch" musl-debian; }
cmp "$(releases)" "$real" || fail "the release is not what was asked for"
[ "$(offline "$fetch" musl-debian)" = "$PWD/cache/sources/$file" ] || fail "the warm cache is not used offline"
rm -r cache
echo tampered >"releases/$file"
expect_failure "checksum mismatch: file://" releases
[ -e "cache/sources/$file" ] && fail "a tampered release stays in the cache"

echo "# a cache that went bad"
echo tampered >"cache/sources/$file"
expect_failure "checksum mismatch: $PWD/cache" offline "$fetch" musl-debian

echo "# no room"
expect_failure "cannot create" env EREMITE_CACHE=/proc/eremite "$fetch" musl-debian
expect_failure "cannot create the cache" env EREMITE_CACHE=/proc/eremite "$EREMITE_ROOT/libc/sysroot.sh" x86_64
small() { unshare --mount --map-root-user sh -c 'mount -t tmpfs -o size=8m tmpfs small && EREMITE_CACHE=$PWD/small "$@"' sh "$@"; }
mkdir small
if small true 2>/dev/null; then
    expect_failure "no space for the cache" small "$fetch" llvm
    expect_failure "no space for the cache" small "$EREMITE_ROOT/libc/sysroot.sh" x86_64
else
    echo "no mount namespaces here: a full cache is not tried"
fi
