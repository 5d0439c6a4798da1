# Under KVM: hello worlds in C and C++ on microvm and q35, and through the loader. Skipped where there is no KVM, or one that
# emulates what runs in ring 0 and lacks the vector instructions that any compiler uses: QEMU's own report says so.
# arch: x86_64
# timeout: 300
fail() { echo "FAIL: $*"; cat out err; exit 1; }
c=$("$EREMITE" build --isolation "$ISOLATION" "$EREMITE_ROOT/examples/hello-c")
cpp=$("$EREMITE" build --isolation "$ISOLATION" "$EREMITE_ROOT/examples/hello")

# The instruction where a report of QEMU's says that emulation failed, if that is a vector instruction.
vector_instruction() {
    python3 - "$1" <<'PY'
import re, sys
report = open(sys.argv[1], errors="replace").read()
code = re.search(r"^Code=.*<([0-9a-f]{2})>((?: [0-9a-f]{2})*)", report, re.M)
if "emulation failure" not in report or not re.search(r"CPL=0", report) or not code:
    sys.exit(1)
code = bytes.fromhex(code[1] + code[2].replace(" ", ""))
at = 0
while code[at] in (0x66, 0xf2, 0xf3) or 0x40 <= code[at] <= 0x4f:
    at += 1
second = code[at + 1]
# SDM 2A, 2.3 and 2.7 (VEX, EVEX); 2D, A.3, table A-3: the two-byte opcodes of MMX and SSE.
if code[at] in (0xc4, 0xc5, 0x62) or code[at] == 0x0f and (
        0x10 <= second <= 0x17 or 0x28 <= second <= 0x2f or 0x50 <= second <= 0x7f or 0xd0 <= second <= 0xfe
        or second in (0x3a, 0xc2, 0xc4, 0xc5, 0xc6) or second == 0x38 and code[at + 2] < 0xf0):
    print(code[:at + 2].hex(" "))
    sys.exit(0)
sys.exit(1)
PY
}

# boots PATTERN OPTION... IMAGE: a machine in which KVM fails stands still; it need not stand until the time limit.
boots() {
    local pattern=$1 status=0 machine
    shift
    "$EREMITE" run --kvm --cpu max,-arch-capabilities --timeout 40 "$@" </dev/null >out 2>err &
    machine=$!
    while kill -0 $machine 2>/dev/null; do
        if grep -q '^Code=' err; then
            kill $machine
            break
        fi
        sleep 0.1
    done
    wait $machine || status=$?
    if grep -q 'KVM does not work here' err; then
        tail -n 1 err
        exit 77
    fi
    if grep -q '^KVM internal error' err && instruction=$(vector_instruction err); then
        echo "this KVM emulates what runs in ring 0, without vector instructions: QEMU reports an emulation failure at $instruction"
        exit 77
    fi
    [ $status = 0 ] && grep -q "$pattern" out || fail "status $status from: $*"
}
for machine in microvm q35; do
    boots '^Hello from C\.' --machine $machine "$c"
    boots '^Hello from C++' --machine $machine "$cpp"
done
boots '^Hello from C++' --loader "$cpp"
