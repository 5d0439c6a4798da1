#!/usr/bin/env bash
# build.sh ARCH SYSROOT: prints the path of libext2fs made for the kernel of ARCH, building it where it is not there.
#
# In the cache, in a folder named by the hash of its recipe: include/ (its headers), objects/, symbols. Each global symbol of
# the objects, and each that they ask for, begins with __eremite_ext2_: the application may link a libext2fs of its own,
# and what the library calls of libc is the kernel's (kernel/fs/ext/runtime.cpp). Beside the library there is the code
# that replays a journal, which e2fsprogs keeps with its programs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# = 2 ] || { echo "usage: build.sh x86_64|aarch64 SYSROOT" >&2; exit 1; }
arch=$1
sysroot=$2
cache=${EREMITE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/eremite}
llvm=${EREMITE_LLVM:-/usr/lib/llvm-19}

hash=$( (cd "$here" && find . -type f | LC_ALL=C sort | xargs cat && grep '^e2fsprogs ' ../sources.txt &&
    basename "$sysroot") | sha256sum | cut -c1-12)
out=$cache/ext2fs-$arch-$hash
if [ -e "$out/complete" ]; then echo "$out"; exit 0; fi

mkdir -p "$cache"
exec 7>"$cache/.ext2fs-$arch.lock"
flock 7
if [ -e "$out/complete" ]; then echo "$out"; exit 0; fi

archive=$("$here/../fetch.sh" e2fsprogs)
work=$cache/.building-ext2fs-$arch-$hash
rm -rf "$work" "$out"
mkdir -p "$work/source" "$work/result/objects" "$work/result/include/ext2fs" "$work/result/include/et"
tar -xf "$archive" -C "$work/source" --strip-components=1 --wildcards '*/lib/ext2fs/*' '*/lib/et/*' '*/lib/*.h' \
    '*/debugfs/journal.*' '*/e2fsck/recovery.c' '*/e2fsck/revoke.c' '*/e2fsck/jfs_user.h'
cd "$work/source/lib/ext2fs"

# What its Makefiles generate.
cp ext2_err.et.in ext2_err.et
awk -f ../et/et_h.awk outfile=ext2_err.h outfn=ext2_err.h ext2_err.et
"$llvm/bin/clang" -w -I"$here/include" -o "$work/gen_crc32ctable" gen_crc32ctable.c
"$work/gen_crc32ctable" >crc32c_table.h
cp ext2_err.h ext2_fs.h ext2fs.h ext2_io.h ext3_extents.h ext2_ext_attr.h ext4_acl.h bitops.h hashmap.h qcow2.h \
    kernel-jbd.h kernel-list.h compiler.h jfs_compat.h tdb.h "$here/include/ext2fs/ext2_types.h" "$work/result/include/ext2fs"
cp ../et/com_err.h "$work/result/include/et"

case $arch in
x86_64) flags=(-march=x86-64 -mno-red-zone -fcf-protection=branch -mstack-protector-guard=global) ;;
aarch64) flags=(-march=armv8-a -mno-outline-atomics -mbranch-protection=standard -fdirect-access-external-data
    -mstack-protector-guard=sysreg -Xclang -mstack-protector-guard-reg=tpidr_el1 -mstack-protector-guard-offset=80) ;;
esac
flags+=(--target="$arch-eremite-linux-musl" -nostdlibinc -isystem "$sysroot/include" -std=gnu17 -Os -g -fPIE
    -ffunction-sections -fdata-sections -fvisibility=hidden -fno-omit-frame-pointer -fno-addrsig
    -fno-asynchronous-unwind-tables -ffile-prefix-map="$work/source=e2fsprogs" -mno-implicit-float
    -fstack-protector-strong -D_GNU_SOURCE -DHAVE_CONFIG_H -DOMIT_COM_ERR -DDEBUGFS -w
    -I"$here/include" -I"$work/result/include" -I"$work/source/lib" -I"$work/source/debugfs" -I"$work/source/e2fsck")

library=(alloc alloc_sb alloc_tables badblocks bb_inode bitmaps bitops blkmap64_ba blkmap64_rb blknum block
    bmap check_desc closefs crc16 crc32c csum dirblock dirhash dir_iterate ext_attr extent fallocate fileio freefs
    gen_bitmap gen_bitmap64 get_num_dirs hashmap i_block ind_block inline inline_data inode io_manager
    mkjournal mmp openfs punch rbtree read_bb rw_bitmaps sha512 swapfs symlink valid_blk
    nls_utf8 native)
compile() { # SOURCE NAME
    "$llvm/bin/clang" "${flags[@]}" -c "$1" -o "$work/$2.o"
    "$llvm/bin/llvm-objcopy" --prefix-symbols=__eremite_ext2_ "$work/$2.o" "$work/$2.prefixed.o"
    # What the compiler itself calls is the kernel's, under its name there.
    "$llvm/bin/llvm-objcopy" --redefine-syms="$work/renames" "$work/$2.prefixed.o" "$work/result/objects/ext2_$2.o"
}
for symbol in memcpy memmove memset memcmp memchr bcmp strlen __stack_chk_fail __stack_chk_guard; do
    echo "__eremite_ext2_$symbol __eremite_$symbol"
done >"$work/renames"
echo "__eremite_ext2__GLOBAL_OFFSET_TABLE_ _GLOBAL_OFFSET_TABLE_" >>"$work/renames"
for name in "${library[@]}"; do compile "$name.c" "$name"; done
compile "$work/source/debugfs/journal.c" journal
compile "$work/source/e2fsck/recovery.c" recovery
compile "$work/source/e2fsck/revoke.c" revoke

# The names by which the kernel calls it, or is called: those of its API, and what its headers' inline functions call.
{
    "$llvm/bin/llvm-nm" -j "$work"/result/objects/*.o | sed -n 's/^__eremite_ext2_\(ext2fs_[a-z0-9_]*\)$/\1/p' | sort -u
    printf '%s\n' malloc calloc realloc free
} >"$work/result/symbols"
touch "$work/result/complete"
mv "$work/result" "$out"
rm -rf "$work"
echo "$out"
