# How random addresses and the canary are: over eight boots no value comes twice, and bits that should change do.
# timeout: 400

fail() { echo "FAIL: $*"; exit 1; }
program=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" "$TEST_SOURCE/places.c")
for turn in 1 2 3 4 5 6 7 8; do
    timeout 60 "$EREMITE" run --arch "$ARCH" "$program" < /dev/null | tr -d '\r' > "boot.$turn" || fail "boot $turn"
done
python3 - << 'END'
boots = []
for turn in range(1, 9):
    boots.append(dict(line.split() for line in open(f"boot.{turn}") if len(line.split()) == 2))
# Bits that differ between any two of eight boots: of n random bits all but n/128.
wanted = {"image": 20, "heap": 20, "mapping": 20, "stack": 20, "canary": 50}
for what, least in wanted.items():
    values = [int(boot[what], 16) for boot in boots]
    assert len(set(values)) == len(values), f"{what} came twice: {[hex(v) for v in values]}"
    changing = 0
    for value in values:
        changing |= value ^ values[0]
    print(f"{what}: {changing.bit_count()} bits differ")
    assert changing.bit_count() >= least, f"{what}: only {changing.bit_count()} bits ever change, not {least}"
END
