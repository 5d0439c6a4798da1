build_musl() {
    mkdir musl
    tar -xf "$sources_musl" -C musl --strip-components=1
    tar -xf "$sources_musl_debian" -C musl
    cd musl
    local patch
    for patch in $(grep -v '^#' debian/patches/series); do patch -p1 --no-backup-if-mismatch <"debian/patches/$patch"; done
    for patch in "$libc"/musl/patches/*.patch; do patch -p1 --no-backup-if-mismatch <"$patch"; done
    sed -e '/^#/d' -e "s/ARCH/$arch/" "$libc/musl/removed.txt" | xargs rm
    cp -r "$libc/musl/overlay/." .
    syscalls >include/eremite/syscalls.h

    CC="$clang" AR="$llvm/bin/llvm-ar" RANLIB="$llvm/bin/llvm-ranlib" \
        CFLAGS="$target_flags -fstack-protector-strong -Wno-unused-command-line-argument" LIBCC=" " \
        ./configure --target="$triple" --prefix= --disable-shared --disable-wrapper --enable-optimize=malloc,string
    make -j"$jobs" AR="$llvm/bin/llvm-ar" RANLIB="$llvm/bin/llvm-ranlib"
    make DESTDIR="$work/sysroot" install
    cd ../sysroot/lib
    # libc.a will be a link script that names this and the kernel: see sdk.sh.
    mv libc.a libc_musl.a
    rm -f musl-gcc.specs
    # The kernel relocates the image before it enters _start, so the start file of static-PIE programs is the plain one.
    cp Scrt1.o crt1.o
    cp Scrt1.o rcrt1.o
}
