# How everything in a sysroot is compiled.
triple=$arch-eremite-linux-musl
clang=$llvm/bin/clang
clangxx=$llvm/bin/clang++

case $arch in
x86_64) protection="-fcf-protection=branch" ;;
aarch64) protection="-mbranch-protection=standard" ;;
esac

# -Os gains far more than LTO does. Sections, because the linker keeps what is reached. Hidden visibility, because a
# program that is linked with -Wl,-E would else export, and so keep, everything.
target_flags="--target=$triple -fPIE -Os -ffunction-sections -fdata-sections -fvisibility=hidden $protection"
# Frame pointers, so that a crash report or a profile can name the callers.
target_flags+=" -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -fno-ident -g0"
