# Ctrl-C on the console is SIGINT, though nobody reads there; the power button is SIGTERM.
# timeout: 240
fail() { echo "FAIL: $*"; exit 1; }

"$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" -o events "$TEST_SOURCE/events.c" > build.log 2>&1 || { cat build.log; fail build; }

# waits_for TEXT FILE
waits_for() {
    for _ in $(seq 600); do
        if grep -q "$1" "$2" 2>/dev/null; then return; fi
        sleep 0.1
    done
    cat "$2"
    fail "no '$1'"
}

mkfifo keys
# Last in the command line, this has a pipe's bytes be keys again.
"$EREMITE" run --arch "$ARCH" --timeout 100 --append console=typed ./events < keys > output 2>&1 &
machine=$!
exec 3> keys
waits_for waiting output
printf '\003' >&3
status=0
wait $machine || status=$?
exec 3>&-
[ $status = 2 ] && grep -q 'signal 2' output || { cat output; fail "Ctrl-C: status $status"; }

# press NAME: QEMU's monitor, on a socket.
"$EREMITE" run --arch "$ARCH" --timeout 100 --qemu-args "-qmp unix:monitor,server=on,wait=off" ./events < /dev/null > output 2>&1 &
machine=$!
waits_for waiting output
python3 - <<'END'
import json, socket
monitor = socket.socket(socket.AF_UNIX)
monitor.connect("monitor")
lines = monitor.makefile("rw")
lines.readline()
for command in ("qmp_capabilities", "system_powerdown"):
    lines.write(json.dumps({"execute": command}) + "\n")
    lines.flush()
    answer = lines.readline()
    assert "return" in answer or "event" in answer, answer
END
status=0
wait $machine || status=$?
[ $status = 15 ] && grep -q 'signal 15' output || { cat output; fail "power button: status $status"; }
