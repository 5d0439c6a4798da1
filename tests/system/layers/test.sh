#!/usr/bin/env bash
# The check of the layers passes on the tree, and fails, naming the line, on each offence that is planted in a copy of it.
# isolation: stack
# arch: host
set -euo pipefail

cd "$TEST_DIR"
mkdir -p tools/check
cp -r "$EREMITE_ROOT/kernel" "$EREMITE_ROOT/loader" .
cp "$EREMITE_ROOT/tools/check/layers.sh" tools/check/
bash tools/check/layers.sh
failures=0

# plant FILE LINE: FILE with that line at its end must be found; and nothing else is the matter afterwards.
plant() {
    local file=$1 line=$2 said
    if [ -e "$file" ]; then cp "$file" saved; else rm -f saved; fi
    printf '%s\n' "$line" >>"$file"
    if said=$(bash tools/check/layers.sh); then
        echo "FAILED: '$line' in $file was let through"
        failures=$((failures + 1))
    elif ! grep -qF "$file" <<<"$said"; then
        echo "FAILED: '$line' in $file: it is not named in: $said"
        failures=$((failures + 1))
    fi
    if [ -e saved ]; then mv saved "$file"; else rm "$file"; fi
}

plant kernel/net/planted.h '#if defined(__aarch64__)'
plant kernel/mm/frames.cpp '#ifdef __x86_64__'
plant kernel/syscall/table.inc '  #  elif defined(__amd64__)'
plant kernel/sched/planted.S '#ifndef __arm64__'
plant loader/main.cpp '#elifdef __aarch64__'
plant kernel/boot/planted.cpp '#elif !__x86_64__'
plant kernel/net/planted.cpp '#include "fs/vfs.h"'
plant kernel/sched/planted.h '#include "native/paging.h"'
plant kernel/arch/clock.h '#include "native/clock.h"'
plant kernel/sync/planted.h '#include "sched/thread.h"'
# In these the architecture may be named.
printf '#if defined(__aarch64__)\n#endif\n' >kernel/arch/planted.h
bash tools/check/layers.sh
[ "$failures" = 0 ] && echo "the check finds what it is there to find"
exit "$failures"
