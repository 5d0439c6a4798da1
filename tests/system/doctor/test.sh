# `./eremite doctor`: names what there is, and says of what is missing how to get it, with a status.
# arch: host
# timeout: 180
fail() { echo "FAIL: $*"; cat report; exit 1; }

"$EREMITE" doctor >report 2>&1 || fail "status $?"
for line in '^programs$' '^  clang-19 +.*19\.' '^  qemu-system-x86_64 +QEMU emulator version' '^  virtiofsd +/' '^QEMU$' \
    '^  x86_64 +machines .*microvm.*; accelerators tcg' '^  aarch64 +machines virt; accelerators tcg' '^processor$' \
    '^  pku +(yes|no): protection keys' '^  /dev/kvm +(works|is (not )?there)' '^toolchain$' '^  cache +/.*, [0-9]+ MB free' \
    '^nothing is missing$'; do
    grep -qE -- "$line" report || fail "no line '$line'"
done

# A machine with nothing but a shell.
mkdir bin
for program in bash env; do ln -s "$(command -v $program)" bin; done
status=0
env PATH="$PWD/bin" "$EREMITE" doctor >report 2>&1 || status=$?
[ $status = 1 ] || fail "status $status where programs are missing"
for package in clang-19 lld-19 cmake ninja-build qemu-system-x86 qemu-system-arm gdb; do
    grep -qE "MISSING \(.*\): apt-get install $package\$" report || fail "no word of $package"
done
grep -qE '^[0-9]+ missing: `rm build/.packages' report || fail "no advice at the end"
EREMITE_CACHE=$PWD/nowhere "$EREMITE" doctor >report || fail "status $? with a cache that isn't there"
grep -qF "$PWD/nowhere, " report || fail "not the cache that was named"
