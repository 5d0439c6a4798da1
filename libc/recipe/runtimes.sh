llvm_source=$cache/src/llvm-$(sha256sum <<<"$(grep '^llvm ' "$libc/sources.txt")" | cut -c1-12)

# Unpacked once, for both architectures: a twentieth of the archive.
unpack_llvm() {
    exec 6>"$cache/.llvm-source.lock"
    flock 6
    [ -e "$llvm_source/complete" ] && return
    local part=$llvm_source.part
    rm -rf "$part"
    mkdir -p "$part"
    tar -xf "$sources_llvm" -C "$part" --strip-components=1 --no-wildcards-match-slash --wildcards \
        --exclude '*/libcxx/test' --exclude '*/libcxx/benchmarks' --exclude '*/libcxx/docs' --exclude '*/libc/test' \
        --exclude '*/libc/fuzzing' --exclude '*/libc/benchmarks' --exclude '*/libc/docs' --exclude '*/libcxxabi/test' \
        --exclude '*/libunwind/test' --exclude '*/third-party/benchmark' --exclude '*/third-party/unittest' \
        '*/runtimes' '*/libcxx' '*/libcxxabi' '*/libunwind' '*/cmake' '*/llvm/cmake' '*/llvm/utils/llvm-lit' \
        '*/third-party' '*/libc' '*/compiler-rt/cmake' '*/compiler-rt/CMakeLists.txt' '*/compiler-rt/lib/builtins'
    touch "$part/complete"
    mv "$part" "$llvm_source"
}

# Flags common to the CMake builds. Nothing can be linked yet, so CMake's probes compile only.
runtimes_cmake() {
    cmake -G Ninja -DCMAKE_BUILD_TYPE=MinSizeRel -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$arch" \
        -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY \
        -DCMAKE_C_COMPILER="$clang" -DCMAKE_CXX_COMPILER="$clangxx" -DCMAKE_ASM_COMPILER="$clang" \
        -DCMAKE_AR="$llvm/bin/llvm-ar" -DCMAKE_RANLIB="$llvm/bin/llvm-ranlib" -DCMAKE_NM="$llvm/bin/llvm-nm" \
        -DCMAKE_C_COMPILER_TARGET="$triple" -DCMAKE_CXX_COMPILER_TARGET="$triple" -DCMAKE_ASM_COMPILER_TARGET="$triple" \
        -DCMAKE_SYSROOT="$work/sysroot" -DCMAKE_C_FLAGS="$target_flags $1" -DCMAKE_CXX_FLAGS="$target_flags $1" \
        -DCMAKE_ASM_FLAGS="--target=$triple $protection" \
        -DCMAKE_C_FLAGS_MINSIZEREL=-DNDEBUG -DCMAKE_CXX_FLAGS_MINSIZEREL=-DNDEBUG "${@:2}"
}

build_builtins() {
    runtimes_cmake "" -S "$llvm_source/compiler-rt/lib/builtins" -B builtins \
        -DCOMPILER_RT_DEFAULT_TARGET_ONLY=ON -DCOMPILER_RT_BUILD_CRT=ON -DCOMPILER_RT_BAREMETAL_BUILD=OFF \
        -DCOMPILER_RT_EXCLUDE_ATOMIC_BUILTIN=OFF -DLLVM_CMAKE_DIR="$llvm_source/llvm" \
        -DCMAKE_INSTALL_PREFIX="$work/sysroot/lib/clang" -DCOMPILER_RT_INSTALL_PATH="$work/sysroot/lib/clang" \
        -DLLVM_ENABLE_PER_TARGET_RUNTIME_DIR=OFF
    ninja -C builtins -j"$jobs" install
    # clang looks here for its own headers as well.
    ln -s "$llvm/lib/clang/19/include" sysroot/lib/clang/include
}

# The functions that most programs spend their time in: LLVM libc's are small, and faster than musl's.
build_string_functions() {
    local function
    mkdir string
    for function in memcpy memmove mempcpy memset memcmp bcmp; do
        "$clangxx" $target_flags --sysroot="$work/sysroot" -nostdinc++ -std=c++17 -O2 -ffreestanding -fno-builtin \
            -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables -fomit-frame-pointer \
            -DLIBC_COPT_PUBLIC_PACKAGING -DLIBC_NAMESPACE=__eremite_libc -I"$llvm_source/libc" \
            -c "$llvm_source/libc/src/string/$function.cpp" -o "string/$function.o"
        "$llvm/bin/llvm-ar" d sysroot/lib/libc_musl.a "$function.o" "$function.lo"
    done
    "$llvm/bin/llvm-ar" rs sysroot/lib/libc_musl.a string/*.o
}

# The longest step, and one that few changes touch: what it made is kept in the cache beside the sysroots, by the hash of
# all that it depends on (of <eremite/syscalls.h> it uses two calls, which don't change).
install_libcxx() {
    local key store
    key=$( (grep '^llvm ' "$libc/sources.txt"; cat "$libc/recipe/flags.sh" "$libc/recipe/runtimes.sh"
        cd sysroot/include && find . -type f ! -path ./eremite/syscalls.h | LC_ALL=C sort | xargs cat) | sha256sum | cut -c1-12)
    store=$cache/runtimes-$arch-$key
    if [ ! -e "$store/complete" ]; then
        build_libcxx
        touch libcxx/complete
        rm -rf "$store"
        mv libcxx "$store"
    fi
    cp -r "$store/include" "$store/lib" sysroot/
    # Programs built for GCC's runtime ask for these by name.
    local name
    for name in libgcc libgcc_eh libatomic; do "$llvm/bin/llvm-ar" rc "sysroot/lib/$name.a"; done
    cp sysroot/lib/libc++.a sysroot/lib/libstdc++.a
}

build_libcxx() {
    # A terminate handler that prints the type's mangled name saves the demangler, 60 KiB in every C++ program.
    # The system-call macro of <sys/syscall.h> serves libc++'s futex and libunwind's probe of memory.
    runtimes_cmake "-fstack-protector-strong" -S "$llvm_source/runtimes" -B runtimes \
        -DLLVM_ENABLE_RUNTIMES="libcxx;libcxxabi;libunwind" -DLLVM_DEFAULT_TARGET_TRIPLE="$triple" \
        -DLLVM_ENABLE_PER_TARGET_RUNTIME_DIR=OFF -DLLVM_INCLUDE_TESTS=OFF -DLLVM_INCLUDE_DOCS=OFF \
        -DCMAKE_INSTALL_PREFIX="$work/libcxx" \
        -DLIBCXX_ENABLE_SHARED=OFF -DLIBCXX_ENABLE_STATIC=ON -DLIBCXX_HAS_MUSL_LIBC=ON -DLIBCXX_HERMETIC_STATIC_LIBRARY=ON \
        -DLIBCXX_CXX_ABI=libcxxabi -DLIBCXX_ENABLE_STATIC_ABI_LIBRARY=ON -DLIBCXX_STATICALLY_LINK_ABI_IN_STATIC_LIBRARY=ON \
        -DLIBCXX_HARDENING_MODE=fast -DLIBCXX_INCLUDE_BENCHMARKS=OFF -DLIBCXX_INCLUDE_TESTS=OFF \
        -DLIBCXX_HAS_ATOMIC_LIB=OFF -DLIBCXX_HAS_GCC_LIB=OFF -DLIBCXX_HAS_GCC_S_LIB=OFF -DLIBCXX_USE_COMPILER_RT=ON \
        -DLIBCXX_INSTALL_MODULES=OFF -DLIBCXX_ENABLE_TIME_ZONE_DATABASE=ON \
        -DLIBCXXABI_ENABLE_SHARED=OFF -DLIBCXXABI_ENABLE_STATIC=ON -DLIBCXXABI_HERMETIC_STATIC_LIBRARY=ON \
        -DLIBCXXABI_USE_LLVM_UNWINDER=ON -DLIBCXXABI_USE_COMPILER_RT=ON -DLIBCXXABI_NON_DEMANGLING_TERMINATE=ON \
        -DLIBCXXABI_INCLUDE_TESTS=OFF -DLIBCXXABI_INSTALL_LIBRARY=OFF -DLIBCXXABI_HAS_CXA_THREAD_ATEXIT_IMPL=OFF \
        -DLIBUNWIND_ENABLE_SHARED=OFF -DLIBUNWIND_ENABLE_STATIC=ON -DLIBUNWIND_USE_COMPILER_RT=ON \
        -DLIBUNWIND_HIDE_SYMBOLS=ON -DLIBUNWIND_INCLUDE_TESTS=OFF -DLIBUNWIND_INSTALL_HEADERS=ON
    ninja -C runtimes -j"$jobs" install
}
