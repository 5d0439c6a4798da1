# libc, libc++, the link script and the compilers, without our kernel: images linked with a stub that makes real Linux
# system calls run as processes of the build machine, the other architecture's under qemu-user.
# isolation: stack
# timeout: 600
sdk=$EREMITE_ROOT/build/$ARCH/sdk
case $ARCH in
"$(uname -m)") runner=env ;;
*) runner=$(command -v "qemu-$ARCH-static" || command -v "qemu-$ARCH") || { echo "qemu-user for $ARCH is missing"; exit 77; } ;;
esac

mkdir -p kernels/kernel-stack
"$sdk/bin/eremite-clang++" -std=c++23 -Os -fno-exceptions -fno-rtti -fno-stack-protector -fvisibility=hidden \
    -I"$EREMITE_ROOT/kernel" -c "$TEST_SOURCE/native_kernel.cpp" -o kernel.o
/usr/lib/llvm-19/bin/llvm-ar rc kernels/kernel-stack/liberemite.a kernel.o
"$EREMITE_ROOT/libc/sdk.sh" "$ARCH" "$PWD/sdk" "$PWD/kernels"

echo "# the programs of tests/system/toolchain"
mkdir toolchain
(cd toolchain && SDK=$OLDPWD/sdk RUN_IMAGE=$runner ISOLATION=stack TEST_SOURCE=$EREMITE_ROOT/tests/system/toolchain TEST_DIR=$PWD \
    bash -eu -o pipefail "$EREMITE_ROOT/tests/system/toolchain/test.sh")

for program in threads.cpp cancel.c string.c; do
    echo "# $program"
    compiler=sdk/bin/eremite-clang
    options=
    case $program in *.cpp) compiler=sdk/bin/eremite-clang++ options="-std=c++23 -fexperimental-library" ;; esac
    "$compiler" -O2 -Wall $options "$TEST_SOURCE/$program" -o "${program%.*}"
    timeout 20 "$runner" "./${program%.*}"
done

echo "# an image holds the system calls that it makes, and no others"
echo '#include <unistd.h>
int main(void) { return getppid() == 0; }' >small.c
sdk/bin/eremite-clang -Os small.c -o small
count=$(/usr/lib/llvm-19/bin/llvm-nm small | grep -c ' __eremite_sys_')
[ "$count" -le 12 ] || { echo "FAIL: a program that calls getppid holds $count system calls"; exit 1; }
