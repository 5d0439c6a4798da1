# Root archives that are damaged or cut off, tar and cpio, as initrd and packed into the image: one line that says where, and a
# status; nothing of the program runs. Whole ones are unpacked.
# timeout: 240
cat >list.c <<'C'
#include <stdio.h>

int main(void)
{
    static const char* const names[] = { "/one", "/two" };
    for (int i = 0; i < 2; i++) {
        FILE* file = fopen(names[i], "r");
        char line[16] = "";
        if (file)
            printf("%s: %s", names[i], fgets(line, sizeof line, file));
    }
    return 0;
}
C
mkdir tree
seq 100 1000 >tree/one
seq 200 1000 >tree/two
(cd tree && tar -cf ../whole.tar one two && tar --format=ustar -cf ../ustar.tar one two)
python3 - <<'PY' # cpio of format newc
def entry(name, data, mode):
    fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    text = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return text + b"\0" * (-len(text) % 4) + data + b"\0" * (-len(data) % 4)
files = [(name, open("tree/" + name, "rb").read(), 0o100644) for name in ("one", "two")]
open("whole.cpio", "wb").write(b"".join(entry(*file) for file in files) + entry("TRAILER!!!", b"", 0))
PY
# at BYTE VALUE FILE COPY
at() { cp "$3" "$4" && printf "$2" | dd of="$4" bs=1 seek="$1" conv=notrunc status=none; }
at 4611 x whole.tar sum.tar             # the second header's name: its sum is wrong
at 124 99999999999 whole.tar size.tar   # the first one's size
head -c 2000 whole.tar >cut.tar         # within a file
head -c 4400 whole.tar >half.tar        # within a file's last block
head -c 4700 whole.tar >header.tar      # within a header
head -c 5000 whole.cpio >cut.cpio
at 60 zz whole.cpio number.cpio
gzip -c whole.tar >packed.tar.gz
head -c 3000 whole.tar | tail -c 2500 >text

image=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" list.c)
failures=0
# says STATUS PATTERN FILE [OPTION...]
says() {
    local wanted=$1 pattern=$2 file=$3 status=0
    shift 3
    "$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --timeout 60 --root "$file" "$@" "$image" </dev/null >out 2>&1 || status=$?
    if [ $status != "$wanted" ] || ! grep -qE -- "$pattern" out || { [ "$wanted" != 0 ] && [ "$(wc -l <out)" != 1 ]; }; then
        printf 'FAILED: status %s, or no "%s", or more than that, from %s:\n%s\n' "$status" "$pattern" "$file" "$(cat out)"
        failures=$((failures + 1))
    fi
}
for file in whole.tar ustar.tar whole.cpio; do
    says 0 '^/one: 100' $file
    grep -q '^/two: 200' out || { echo "FAILED: no /two from $file"; failures=$((failures + 1)); }
done
says 134 'archive of the initrd is corrupt at byte 4608: bad header checksum' sum.tar
says 134 'archive of the initrd is corrupt at byte 0: neither tar nor cpio' size.tar
says 134 'corrupt at byte 0: truncated in a file' cut.tar
says 134 'corrupt at byte 0: truncated in a file' half.tar
says 134 'corrupt at byte 4608: truncated in a header' header.tar
says 134 'corrupt at byte [0-9]+: truncated in a file' cut.cpio
says 134 'corrupt at byte 0: bad header' number.cpio
says 134 'corrupt at byte 0: compressed by gzip: give it uncompressed' packed.tar.gz
says 134 'corrupt at byte 0: neither tar nor cpio' text
says 134 'corrupt at byte 4608: bad header checksum' sum.tar --loader

# Packed into the image.
status=0
image=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" --root sum.tar list.c)
"$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" "$image" </dev/null >out 2>&1 || status=$?
[ $status = 134 ] && grep -q 'the archive in the image is corrupt at byte 4608' out ||
    { echo "FAILED: packed: status $status: $(cat out)"; failures=$((failures + 1)); }
[ "$failures" = 0 ] && echo "damaged archives end the boot"
exit "$failures"
