# `./eremite new` makes projects that build and run, in both languages; so does a single source file.
# timeout: 240

fail() { echo "FAIL: $*"; exit 1; }
export EREMITE_ISOLATION=$ISOLATION

for language in c cpp; do
    "$EREMITE" new --lang $language hermit-$language
    [ "$(find hermit-$language -type f | wc -l)" = 3 ] || fail "$language: not three files"
    said=$("$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" hermit-$language </dev/null) || fail "$language: status $?"
    [ "$said" = "Hello, world!" ] || fail "$language said: $said"
    said=$("$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" hermit-$language 'you there' </dev/null)
    [ "$said" = "Hello, you there!" ] || fail "$language said: $said"
done

echo "# a single file"
said=$("$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" hermit-c/main.c file </dev/null) || fail "status $?"
[ "$said" = "Hello, file!" ] || fail "the file said: $said"

echo "# an error of the compiler comes through"
echo 'int main(void) { return undeclared; }' >wrong.c
"$EREMITE" run --arch "$ARCH" wrong.c 2>errors && fail "a wrong program was built"
grep -q "wrong.c:1.*undeclared" errors || fail "it said: $(cat errors)"
