install_linux_headers() {
    mkdir linux
    dpkg-deb --fsys-tarfile "$sources_linux" | tar -x -C linux
    local from
    from=$(find linux/usr -maxdepth 2 -type d -name include)
    # musl has its own of the rest (scsi/ among them).
    for folder in linux asm asm-generic mtd rdma sound video drm misc xen; do
        [ -d "$from/$folder" ] && cp -rn "$from/$folder" sysroot/include/
    done
}

# The kernel's libc++ lives under an ABI namespace of its own, so that no template that kernel and program both
# instantiate is one symbol; it has no exceptions, threads, locale or files, and it is hardened.
install_kernel_headers() {
    cp -r "$llvm_source/libcxx/include" sysroot/kernel-include
    rm -f sysroot/kernel-include/{CMakeLists.txt,__config_site.in,module.modulemap}
    # Of a failed check, what it was: the file's name and the expression would be most of the kernel's strings, and tell
    # where the build machine keeps its cache.
    sed -i '/^#define _LIBCPP_ASSERT(/,/^$/c\
#define _LIBCPP_ASSERT(expression, message) \\\
  (__builtin_expect(static_cast<bool>(expression), 1) ? (void)0 : _LIBCPP_ASSERTION_HANDLER(message))\
' sysroot/kernel-include/__assert
    grep -q 'ASSERTION_HANDLER(message))' sysroot/kernel-include/__assert
    cp "$libc/kernel-headers/__config_site" "$libc/kernel-headers/__assertion_handler" sysroot/kernel-include/
}
