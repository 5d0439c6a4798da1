# What libc and libc++ are to one another once both are there.
join_libraries() {
    # std::messages, which comes with every std::locale, would bring the file system: see the overlay's file of that name.
    "$llvm/bin/llvm-objcopy" --redefine-sym catopen=__eremite_no_catalog sysroot/lib/libc++.a
    cp sysroot/lib/libc++.a sysroot/lib/libstdc++.a
}
