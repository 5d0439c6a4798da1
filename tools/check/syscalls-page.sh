#!/usr/bin/env bash
# docs/syscalls.md, made from the table that everything else about system calls comes from:
#   tools/check/syscalls-page.sh > docs/syscalls.md
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
awk -F'[(),]' '
function number(text) { gsub(/ /, "", text); return text == "-1" ? "" : text }
/^(SYSCALL|UNIMPLEMENTED)\(/ {
    row = sprintf("| %s | %s | %s | %d |", $2, number($3), number($4), $5)
    if ($1 == "SYSCALL") done[++implemented] = row
    else left[++missing] = $2
}
END {
    print "# System calls\n"
    print "Made by tools/check/syscalls-page.sh from kernel/syscall/table.inc; `./eremite check` compares.\n"
    printf "%d of %d calls are there. The others return ENOSYS, and the kernel logs the first use of each.\n\n", implemented, implemented + missing
    print "| call | number on x86_64 | on aarch64 | arguments |"
    print "|---|---|---|---|"
    for (i = 1; i <= implemented; i++) print done[i]
    print "\n## Not there\n"
    line = ""
    for (i = 1; i <= missing; i++) {
        word = left[i] (i < missing ? "," : "")
        if (length(line) + length(word) > 118) { print line; line = "" }
        line = line (line == "" ? "" : " ") word
    }
    print line
}' kernel/syscall/table.inc
