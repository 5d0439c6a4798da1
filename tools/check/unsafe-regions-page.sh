#!/usr/bin/env bash
# docs/unsafe-regions.md, made from the marks in the kernel's sources:
#   tools/check/unsafe-regions-page.sh > docs/unsafe-regions.md
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
git -c safe.directory='*' ls-files 'kernel/*.h' 'kernel/*.cpp' | LC_ALL=C sort | xargs awk '
/^[ \t]*(\/\/.*)?$/ { next }
/unsafe_buffer_usage begin/ {
    reason = $0
    if (!sub(/.*begin *\/\/ */, "", reason)) reason = "as the one before it"
    if (reason == "likewise") reason = "as the one before it"
    gsub(/\|/, "\\|", reason)
    next
}
/unsafe_buffer_usage end/ { regions++; row[regions] = sprintf("| `%s` | %s |", FILENAME, reason); next }
END {
    print "# Unsafe-buffer regions\n"
    print "Made by tools/check/unsafe-regions-page.sh; `./eremite check` compares.\n"
    print "The kernel is compiled with `-Werror=unsafe-buffer-usage`: arithmetic on pointers and unchecked indexing compile in"
    print "marked regions alone, of which these are all. `./eremite check unsafe` says what share of the lines they are (at most 3 %).\n"
    print "| file | why it is right |"
    print "|---|---|"
    for (i = 1; i <= regions; i++) print row[i]
    printf "\n%d regions.\n", regions
}'
