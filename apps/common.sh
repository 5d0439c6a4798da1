# For recipes: apps/NAME/recipe builds an existing program from its distribution's source package, with the program's own
# build system. `./eremite build NAME` runs it in the program's build folder, with CC, CXX, AR, RANLIB, LDFLAGS, HOST and
# the like set, and expects the program at OUT. See docs/apps.md.

source=$PWD/source

# unpack NAME: lays the source NAME of libc/sources.txt, with our patches/*.patch, into $source, unless that is there.
unpack() {
    local archive stamp patch
    archive=$("$FETCH" "$1")
    stamp=$( (grep "^$1 " "$EREMITE_ROOT/libc/sources.txt"; cat "$RECIPE"/patches/*.patch 2>/dev/null || true) | sha256sum)
    if [ "$(cat "$source/.unpacked" 2>/dev/null)" = "$stamp" ]; then return; fi
    rm -rf "$source"
    mkdir -p "$source"
    tar -xf "$archive" -C "$source" --strip-components=1
    for patch in "$RECIPE"/patches/*.patch; do
        if [ -e "$patch" ]; then patch -d "$source" -p1 <"$patch"; fi
    done
    echo "$stamp" >"$source/.unpacked"
}

# result FILE: the program, done.
result() {
    cp "$1" "$OUT.new"
    mv "$OUT.new" "$OUT"
}
