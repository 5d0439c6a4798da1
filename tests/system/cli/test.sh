# The command line itself: help everywhere, one clear line and a non-zero status for each kind of bad input, and the
# agreement of docs/boot.md, kept by a machine of a few instructions.
# arch: host
# timeout: 180

failures=0
complain() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# refuses PATTERN COMMAND...: a non-zero status, and a single line on standard error which matches.
refuses() {
    local pattern=$1 status=0
    shift
    "$@" >out 2>err </dev/null || status=$?
    ((status != 0)) || complain "status 0: $*"
    grep -qE -- "$pattern" err || complain "no '$pattern' from: $* (said: $(cat err))"
    (($(wc -l <err) == 1)) || complain "not one line from: $* (said: $(cat err))"
}

# machine NAME DEFINE...: assembles machine.S
machine() {
    local name=$1
    shift
    clang-19 --target=x86_64-linux-gnu -g -c "$TEST_SOURCE/machine.S" -o "$name.o" "$@"
    ld.lld-19 -static -Ttext=0x100000 -e start "$name.o" -o "$name"
}

# ends STATUS COMMAND...
ends() {
    local expected=$1 status=0
    shift
    "$@" >out 2>err </dev/null || status=$?
    ((status == expected)) || complain "status $status instead of $expected: $* ($(cat err))"
}

for command in run build new test inspect doctor check bench image completion; do
    "$EREMITE" "$command" --help >help || complain "$command --help"
    grep -q -- --help help || complain "$command --help says little"
done
"$EREMITE" completion bash | bash -n || complain "the completion is no bash"
machine image -DSTATUS=0 -DTEXT='"hello\n"'

refuses 'no command frobnicate' "$EREMITE" frobnicate
refuses 'run what' "$EREMITE" run
refuses 'no option --memroy' "$EREMITE" run --memroy 4M program
refuses 'there is no nothing' "$EREMITE" run nothing
echo 'just text' >text
refuses 'text is no ELF file' "$EREMITE" run ./text
head -c 100 image >short
refuses 'truncated' "$EREMITE" run ./short
refuses 'not linked by eremite-clang' "$EREMITE" run /bin/true
refuses 'holds neither' "$EREMITE" run .
refuses 'no architecture sparc' "$EREMITE" run --arch sparc image
refuses 'built for x86_64, not for aarch64' "$EREMITE" run --arch aarch64 image
refuses 'HOSTPORT:GUESTPORT' "$EREMITE" run --publish 80 image
refuses 'no machine vax' "$EREMITE" run --machine vax image
refuses 'too little memory' "$EREMITE" run --memory 1M image
refuses 'is no folder' "$EREMITE" run --share /nowhere:/mnt image
refuses 'there is no /nowhere' "$EREMITE" run --disk /nowhere image
refuses 'no such file or folder' "$EREMITE" run --root /nowhere image
refuses 'NAME=VALUE' "$EREMITE" run --env X image
refuses 'cannot be a program' "$EREMITE" new 'a b'
mkdir there
refuses 'already there' "$EREMITE" new there
refuses 'no test is called' "$EREMITE" test system/no-such
refuses 'no check called' "$EREMITE" check no-such-check

# A path on which there is no QEMU.
mkdir bin
for program in bash env; do ln -s "$(command -v $program)" bin; done
refuses 'QEMU is not installed.*apt-get install qemu-system-x86' env PATH="$PWD/bin" "$EREMITE" run image

# Another distribution, in a copy of the project that was not set up.
mkdir -p copy/tools
cp "$EREMITE_ROOT/eremite" copy
cp "$EREMITE_ROOT/tools/packages.txt" copy/tools
printf 'ID=fedora\nVERSION_ID=40\n' >os-release
refuses 'needs Debian 12 or newer, and here is fedora 40' env EREMITE_OS_RELEASE="$PWD/os-release" copy/eremite --help

# The exit status in all its bits, on each machine; what the console says, unchanged.
for kind in pc q35 microvm; do
    ends 0 "$EREMITE" run --machine $kind image
    [[ $(cat out) == hello ]] || complain "console on $kind: $(cat out)"
done
machine two-hundred -DSTATUS=200 -DTEXT='"x"'
ends 200 "$EREMITE" run two-hundred
machine mute -DSTATUS=77 -DMUTE -DTEXT='"x"'
ends 77 "$EREMITE" run mute
ends 125 "$EREMITE" run --qemu-args '-chardev none' image
machine hang -DSTATUS=0 -DHANG -DTEXT='"waiting\n"'
ends 124 "$EREMITE" run --timeout 1 hang
[[ $(cat out) == waiting ]] || complain "console before the time limit: $(cat out)"

# Frames of a backtrace get their function and line; what merely begins like one stays as it is.
machine frames -DSTATUS=1 -DTEXT='"image base 0x0\n  #0 0x100000\n  #x\n  # "'
ends 1 "$EREMITE" run frames
grep -q '^  #0 0x100000  start at .*machine.S:[0-9]*$' out || complain "frame: $(cat out)"
grep -q '^  #x$' out || complain "no frame: $(cat out)"
[[ $(tail -c 4 out) == '  # ' ]] || complain "the unfinished line: $(cat out)"

# Arguments and environment, in the kernel's quoting; the root as an archive that cpio understands.
"$EREMITE" run --dry-run --env 'A=b c' image one 'two words' '' 'a"b\c' -- --help >out
grep -qF 'argv0=image "env=A=b c" ' out || complain "environment: $(cat out)"
grep -qF ' -- one "two words" "" "a\"b\\c" "--" --help' out || complain "command line: $(cat out)"

exit $((failures != 0))
