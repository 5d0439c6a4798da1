#!/usr/bin/env bash
# sdk.sh ARCH OUTDIR KERNELS: makes the folder OUTDIR from which programs for ARCH are built: compilers under bin/, the
# CMake toolchain file eremite.cmake, a pkg-config folder. KERNELS is the folder that holds kernel-none, kernel-stack and
# kernel-mpk, each with its liberemite.a; they need not be built yet. Changes only what differs, so that nothing is
# rebuilt in vain.
set -euo pipefail

libc=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# = 3 ] || { echo "usage: sdk.sh x86_64|aarch64 OUTDIR KERNELS" >&2; exit 1; }
arch=$1
mkdir -p "$2/bin" "$2/lib/pkgconfig"
out=$(cd "$2" && pwd)
kernels=$(realpath -m "$3")
sysroot=$("$libc/sysroot.sh" "$arch" | tail -n 1)
llvm=${EREMITE_LLVM:-/usr/lib/llvm-19}
triple=$arch-eremite-linux-musl

case $arch in
x86_64) load=0x200000 start=SIZEOF_HEADERS protection=-fcf-protection=full ;;
aarch64) load=0x40200000 start=0 protection=-mbranch-protection=standard ;;
esac

# put FILE: writes stdin to OUTDIR/FILE unless that says the same already.
put() {
    local new
    new=$(mktemp "$out/.new.XXXXXX")
    cat >"$new"
    if cmp -s "$new" "$out/$1"; then rm -f "$new"; else chmod "${2:-644}" "$new"; mv "$new" "$out/$1"; fi
}

sed -e "s/@LOAD@/$load/g" -e "s/@START@/$start/g" "$libc/eremite.ld.in" | put eremite.ld
sed -e "s|@ARCH@|$arch|g" -e "s|@OUT@|$out|g" -e "s|@LLVM@|$llvm|g" "$libc/eremite.cmake.in" | put eremite.cmake

# Every -lc brings the kernel: no build system needs to know of it. It goes first, as it has a few functions that are
# better than libc's (kernel/syscall/application_*.cpp).
echo 'GROUP(-leremite -lc_musl)' | put lib/libc.a

put compile.cfg <<END
--target=$triple
--sysroot=$sysroot
-resource-dir=$sysroot/lib/clang
-stdlib=libc++
-stdlib++-isystem $sysroot/include/c++/v1
-rtlib=compiler-rt
-unwindlib=libunwind
-D__eremite__=1
-fPIE
-ffunction-sections
-fdata-sections
-fstack-protector-strong
-fstack-clash-protection
-fno-omit-frame-pointer
-mno-omit-leaf-frame-pointer
$protection
END

put link.cfg <<END
-static-pie
--ld-path=$llvm/bin/ld.lld
-L$out/lib
-Wl,-T,$out/eremite.ld
-Wl,-O2
-Wl,--gc-sections
-Wl,-z,start-stop-gc
-Wl,--icf=safe
-Wl,-z,max-page-size=4096
-Wl,-z,pack-relative-relocs
-Wl,-z,noexecstack
-Wl,-z,relro
-Wl,-z,now
-Wl,-z,text
-Wl,--eh-frame-hdr
-Wl,--build-id=sha1
-Wl,--exclude-libs,ALL
END

for name in eremite-clang:clang eremite-clang++:clang++; do
    sed -e "s|@COMPILER@|$llvm/bin/${name#*:}|" -e "s|@OUT@|$out|" -e "s|@KERNELS@|$kernels|" \
        -e "s|@LLVM@|$llvm|" "$libc/eremite-clang.in" | put "bin/${name%:*}" 755
    ln -sfn "${name%:*}" "$out/bin/$arch-${name%:*}"
done
for tool in ar ranlib nm strip objcopy objdump readelf size strings addr2line; do
    ln -sfn "$llvm/bin/llvm-$tool" "$out/bin/$arch-eremite-$tool"
    ln -sfn "$llvm/bin/llvm-$tool" "$out/bin/eremite-$tool"
done
# With bin/ in PATH, `./configure --host=ARCH-linux-musl` finds everything by itself.
for tool in ar ranlib nm strip objcopy pkg-config; do ln -sfn "eremite-$tool" "$out/bin/$arch-linux-musl-$tool"; done
for tool in cc gcc clang; do ln -sfn eremite-clang "$out/bin/$arch-linux-musl-$tool"; done
for tool in c++ g++ clang++; do ln -sfn eremite-clang++ "$out/bin/$arch-linux-musl-$tool"; done
put bin/eremite-pkg-config 755 <<END
#!/bin/sh
# pkg-config that sees what was built for Eremite, and nothing of the build machine's.
PKG_CONFIG_LIBDIR="\${EREMITE_PKG_CONFIG_PATH:+\$EREMITE_PKG_CONFIG_PATH:}$out/lib/pkgconfig" exec pkg-config --static "\$@"
END
ln -sfn eremite-pkg-config "$out/bin/$arch-eremite-pkg-config"
echo "$out"
