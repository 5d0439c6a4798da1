# `./eremite inspect` on the hello world in C: what it holds, why, and that it holds nothing that it does not use.
# timeout: 240

fail() { echo "FAIL: $*"; exit 1; }
inspect() { "$EREMITE" inspect --arch "$ARCH" --isolation "$ISOLATION" "$@"; }
hello=$EREMITE_ROOT/examples/hello-c

inspect "$hello" | tee report
for component in application libc kernel/base kernel/mm kernel/sched kernel/boot; do
    grep -q "^$component " report || fail "no line for $component"
done
for mitigation in position-independent 'read-only after relocation' 'no writable code' 'no executable stack' 'stack protector' \
    'landing pads'; do
    grep -q "yes  .*$mitigation" report || fail "no $mitigation"
done
grep -qE '^[0-9]+ system calls:.* writev' report || fail "no writev among the system calls"

echo "# pay for what you reach"
for component in kernel/net libc++; do
    grep -q "^$component " report && fail "hello in C holds $component"
done
# Of kernel/fs it may hold copies of inline functions that others use too (the linker keeps whichever comes first), but
# no file system.
llvm-nm-19 -C "$hello" | grep -E "eremite::(RamFileSystem|Dentry|MountTable|FuseFileSystem)" && fail "hello in C holds a file system"
inspect --why kernel/net "$hello" && fail "hello in C has a reason for the network"

echo "# reasons"
inspect --why __eremite_sys_writev "$hello" | tee why
head -1 why | grep -q '^main ' || fail "the way does not begin at main"
tail -1 why | grep -q '__eremite_sys_writev' || fail "the way does not end at the call"

echo "# JSON and the treemap"
inspect --json "$hello" | python3 -c 'import json, sys; report = json.load(sys.stdin); assert report["components"]["libc"]["in_file"] > 0'
inspect --svg map.svg "$hello"
python3 -c 'import xml.dom.minidom, sys; assert len(xml.dom.minidom.parse("map.svg").getElementsByTagName("rect")) > 20'
