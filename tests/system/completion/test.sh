# Completion for bash: what is offered where, as bash would ask for it.
# arch: host
fail() { echo "FAIL: $*"; exit 1; }
"$EREMITE" completion bash >script
# shellcheck disable=SC1091
source ./script
complete -p ./eremite eremite >registered || fail "nothing is registered"
grep -c -- '-F _eremite' registered | grep -qx 2 || fail "$(cat registered)"

# offers EXPECTED WORD...: the last word is the one that is being typed.
offers() {
    local expected=$1
    shift
    COMP_WORDS=(./eremite "$@")
    COMP_CWORD=$#
    _eremite || true
    [ "${COMPREPLY[*]}" = "$expected" ] || fail "for '$*': '${COMPREPLY[*]}' instead of '$expected'"
}
offers "inspect" in
offers "doctor" do
offers "--console" run --con
offers "serial virtio" run --console ""
offers "q35" run --machine q
offers "none stack mpk" build --isolation ""
offers "aarch64" test --arch a
offers "--boot-trace" run --boot
offers "" run --no-such-option

touch apples.c
offers "apples.c" run apple
# Every command there is, and every option of `run` that its help lists.
COMP_WORDS=(./eremite "")
COMP_CWORD=1
_eremite || true
"$EREMITE" --help >help
for command in $(sed -n '/Subcommands:/,$p' help | awk '/^  [a-z]/ { print $1 }'); do
    [[ " ${COMPREPLY[*]} " == *" $command "* ]] || fail "no command $command"
done
COMP_WORDS=(./eremite run --)
COMP_CWORD=2
_eremite || true
for option in $("$EREMITE" run --help | grep -oE '^  (-[a-z],)?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
    [[ " ${COMPREPLY[*]} " == *" $option "* ]] || fail "no option $option"
done
[ ${#COMPREPLY[@]} -gt 15 ] || fail "there are few options"
