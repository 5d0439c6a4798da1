#!/usr/bin/env bash
# No source of others in the tree: no archives or binaries under git's care, and no copyright notice but the licence's own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
offences=0

offend() {
    printf '%s\n' "$*"
    offences=$((offences + 1))
}

while IFS= read -r -d '' file; do
    [[ -f $file ]] || continue
    case $file in
        LICENSE | tools/check/third-party.sh | tests/fuzz/corpus/*) continue ;;
        *.tar | *.tar.* | *.tgz | *.zip | *.a | *.o | *.so | *.deb) offend "an archive or a binary: $file" ;;
    esac
    if grep -qsIE 'Copyright( \(c\)|©| [0-9]{4})|SPDX-FileCopyrightText|GNU (Lesser )?General Public License' "$file"; then
        offend "somebody's copyright notice: $file"
    fi
done < <(git -c safe.directory='*' ls-files -z)

if ((offences)); then exit 1; fi
