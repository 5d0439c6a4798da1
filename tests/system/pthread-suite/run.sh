#!/usr/bin/env bash
# run.sh OUT RESULTS COMMAND...: runs each program of OUT by COMMAND and writes "NAME RESULT" lines: pass, unsupported,
# status=N, time.
set -u
out=$1
results=$2
shift 2
one() {
    local program=$1 status
    shift
    timeout 90 "$@" "$program" </dev/null >"$program.output" 2>&1
    status=$?
    case $status in
    0) echo "$(basename "$program") pass" ;;
    77) echo "$(basename "$program") unsupported" ;;
    124) echo "$(basename "$program") time" ;;
    *) echo "$(basename "$program") status=$status" ;;
    esac
}
export -f one
find "$out" -maxdepth 1 -type f -name 'tst-*' ! -name '*.log' ! -name '*.output' | sort |
    xargs -P "${JOBS:-2}" -I {} bash -c 'one "$@"' _ {} "$@" | sort > "$results"
