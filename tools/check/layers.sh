#!/usr/bin/env bash
# Who may include whom (ARCHITECTURE.md), and where an architecture may be named. Prints each offence; status 1 if any.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
offences=0

offend() {
    printf '%s\n' "$*"
    offences=$((offences + 1))
}

# Headers that are part of the language all layers speak, wherever they lie: what the boot hands over, how to give up, and
# the types by which application memory is seen.
contracts='boot/options\.h|boot/boot_info\.h|boot/image\.h|boot/panic\.h|syscall/user_pointer\.h|syscall/sys_process\.h'

# forbid FOLDER FOLDER...: nothing in the first includes anything of the others. boot/main.cpp composes: it may all.
forbid() {
    local from=$1 line
    shift
    [[ -d kernel/$from ]] || return 0
    local pattern
    pattern=$(IFS='|'; printf '%s' "$*")
    while read -r line; do offend "$from must not include this: $line"; done < <(
        grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]+[\"<]($pattern)/" "kernel/$from" \
            --include='*.h' --include='*.cpp' --include='*.S' --include='*.inc' | grep -vE "[\"<]($contracts)[\">]" || true)
}

forbid base   abi arch boot mm sync sched device drivers net fs file isolation syscall
forbid abi    arch boot mm sync sched device drivers net fs file isolation syscall
forbid sync   boot mm sched device drivers net fs file isolation syscall
forbid mm     boot device drivers net fs syscall
forbid sched  boot device drivers net fs syscall
forbid device boot drivers net fs syscall
forbid net    boot drivers fs syscall
forbid fs     boot drivers net syscall
forbid drivers boot net fs syscall
forbid file   boot drivers net syscall
forbid isolation boot drivers net fs file

# What an architecture inlines is seen through its contract alone.
while read -r line; do offend "include the contract, arch/X.h, instead: $line"; done < <(
    grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]+[<"](\.\./)*native/' kernel loader \
        --include='*.h' --include='*.cpp' --include='*.S' --include='*.inc' \
        | grep -vE '^kernel/(arch/[a-z_]+\.h|arch/[a-z0-9_]+/.*|abi/native\.h):' || true)
for header in kernel/arch/*.h kernel/abi/native.h; do
    for native in $(grep -oE '"native/[a-z_]+\.h"' "$header" | tr -d '"'); do
        for arch in x86_64 aarch64; do
            [[ -e kernel/arch/$arch/$native ]] || offend "$header is a contract that kernel/arch/$arch/$native does not fulfil: it is not there"
        done
    done
done

# Conditionals on an architecture belong in arch/ and libc/ alone.
while read -r line; do offend "architecture conditional: $line"; done < <(
    grep -rnE '^[[:space:]]*#[[:space:]]*(if|ifdef|ifndef|elif|elifdef).*(__x86_64__|__aarch64__|__amd64__|__arm64__|ARCH_X86|ARCH_AARCH64)' \
        kernel loader --include='*.h' --include='*.cpp' --include='*.S' --include='*.inc' 2>/dev/null \
        | grep -vE '^(kernel|loader)/arch/' || true)

if ((offences)); then exit 1; fi
