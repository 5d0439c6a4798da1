# Existing programs build with CMake, make and autotools, and run; the compilers answer as compilers do.
# timeout: 600
sdk=${SDK:-$EREMITE_ROOT/build/$ARCH/sdk}
cc=$sdk/bin/eremite-clang
cxx=$sdk/bin/eremite-clang++
export EREMITE_ISOLATION=$ISOLATION
# What runs an image: ./eremite, unless the test of the native kernel says otherwise.
run_image() { ${RUN_IMAGE:-$EREMITE run --arch $ARCH} "$1"; }

fail() { echo "FAIL: $*"; exit 1; }

# check FOLDER: the two programs in it do what they should.
check() {
    local status=0 output
    output=$(run_image "$1/hello-c") || status=$?
    [ $status = 3 ] || fail "$1: hello-c ended with status $status, not 3"
    [ "$output" = "hello from C 99" ] || fail "$1: hello-c said: $output"
    run_image "$1/hello-cpp" >"$1/output" || fail "$1: hello-cpp ended with status $?"
    diff "$TEST_SOURCE/programs/hello.cpp.expected" "$1/output" || fail "$1: hello-cpp said something else"
}

echo "# CMake"
cmake -G Ninja --toolchain "$sdk/eremite.cmake" -S "$TEST_SOURCE/programs" -B cmake
ninja -C cmake
check cmake

echo "# make"
cp -r "$TEST_SOURCE/programs" make
make -C make CC="$cc" CXX="$cxx"
check make

echo "# autotools"
if command -v autoreconf >/dev/null; then
    mkdir autotools
    cp "$TEST_SOURCE"/programs/{configure.ac,Makefile.am,hello.c,hello.cpp} autotools/
    (cd autotools && autoreconf --install && export PATH="$sdk/bin:$PATH" && ./configure --host="$ARCH-linux-musl" && make)
    grep -q "^CC = $ARCH-linux-musl-" autotools/Makefile || fail "configure found another compiler"
    check autotools
else
    fail "autoconf and automake are missing"
fi

echo "# the compilers"
cp "$TEST_SOURCE/programs/hello.c" .
"$cc" --version | grep 'clang version 19' >/dev/null || fail "--version"
[ "$("$cc" -dumpmachine)" = "$ARCH-eremite-linux-musl" ] || fail "-dumpmachine"
[ -e "$("$cc" -print-file-name=crt1.o)" ] || fail "-print-file-name=crt1.o"
[ -e "$("$cc" -print-libgcc-file-name)" ] || fail "-print-libgcc-file-name"
"$cc" -v hello.c -o v 2>&1 | grep ld.lld >/dev/null || fail "-v shows no linker"
"$cc" -E hello.c | grep printf >/dev/null || fail "-E"
"$cc" -S hello.c -o - | grep main >/dev/null || fail "-S"
"$cc" -Werror -c hello.c 2>&1 | grep . && fail "-c warns"
echo '__eremite__' | "$cc" -E -x c - | grep -x 1 >/dev/null || fail "__eremite__ is not defined"
"$ARCH-eremite-clang" --version >/dev/null 2>&1 && fail "the SDK is in PATH"
PATH=$sdk/bin:$PATH "$ARCH-eremite-clang++" --version >/dev/null || fail "$ARCH-eremite-clang++"
# Flags that contradict ours, and an environment that would mislead.
mkdir poison
echo '#error the build machine leaks in' | tee poison/stdio.h poison/string >/dev/null
CPATH=$PWD/poison CPLUS_INCLUDE_PATH=$PWD/poison LIBRARY_PATH=$PWD/poison "$cc" -static -no-pie -rdynamic -Wl,-E hello.c -o hello
status=0
run_image ./hello >/dev/null || status=$?
[ $status = 3 ] || fail "hello ended with status $status"
"$cc" -O0 -g hello.c -o hello-O0
# A partial link; then the whole.
"$cc" -c hello.c -o hello.o
"$cc" -r hello.o -o partial.o
"$cc" partial.o -o from-partial
message=$("$cc" -shared hello.c -o hello.so 2>&1) && fail "-shared works"
case $message in *"no shared libraries"*) ;; *) fail "-shared says: $message" ;; esac
message=$("$cc" --isolation=loose hello.c -o hello 2>&1) && fail "--isolation=loose works"

echo "# the image"
readelf=/usr/lib/llvm-19/bin/llvm-readelf
"$readelf" -hlW hello >headers
grep -q 'Type: *DYN' headers || fail "the image is not position-independent"
grep -q 'RWE' headers && fail "a segment is writable and executable"
grep -q 'INTERP' headers && fail "the image wants an interpreter"
grep -q 'GNU_STACK.* RW ' headers || fail "the stack may be executable"
case $ARCH in x86_64) first=0x0000000000200 ;; aarch64) first=0x0000000040200 ;; esac
awk '/LOAD/ { print $4; exit }' headers | grep -q "^$first" || fail "the image is to be loaded elsewhere"
