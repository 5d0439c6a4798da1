# Lua, from its own source by its own Makefile, counts the words of a text of some MB from a root folder, and says what the
# same source says as a process of the build machine. Its errors and its exit status come through.
# timeout: 600
fail() { echo "FAIL: $*"; exit 1; }
run() { "$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --memory 256M --timeout 100 "$@" </dev/null; }

mkdir root native
cp "$TEST_SOURCE/words.lua" root/
awk 'BEGIN {
    srand(7)
    n = split("the of and a to in is was he for it with as his on be at by I this had not are but from or have an they which one you were her all she there would their we him been has when who will more no if out so said what up its about into than them can only other new some could time these two may then do first any my now such like our over man me even most made after also did many before must through back years where much your way well down should because each just those people Mr how too little state good very make world still own see men work long get here between both life being under never day same another know while last might us great old year off come since against go came right used take three", word)
    for (line = 0; line < 50000; line++) {
        text = ""
        for (i = 0; i < 12; i++) {
            at = int(n * rand() * rand()) + 1
            text = text word[at] (rand() < 0.1 ? ", " : " ") (rand() < 0.02 ? sprintf("%c%c%c ", 97 + 26 * rand(), 97 + 26 * rand(), 97 + 26 * rand()) : "")
        }
        print text
    }
}' >root/text
[ "$(stat -c %s root/text)" -gt 2000000 ] || fail "the text is too short"

tar -xf "$("$EREMITE_ROOT/libc/fetch.sh" lua)" -C native --strip-components=1
make -C native/src -s generic CC="clang-19 -std=gnu99" >native.log 2>&1 || { tail native.log; fail "Lua does not build here"; }
native/src/lua root/words.lua root/text >expected

processors=max
[ "$ARCH" = x86_64 ] || processors="cortex-a53 cortex-a72 max"
for cpu in $processors; do
    run --root root --cpu "$cpu" lua /words.lua /text >output || fail "status $? on $cpu"
    tr -d '\r' <output | diff expected - || fail "not what native Lua says, on $cpu"
done

status=0
run lua -e 'os.exit(7)' || status=$?
[ $status = 7 ] || fail "os.exit(7) ended with $status"
status=0
run lua -e 'local t = nil; print(t.x)' >output 2>&1 || status=$?
[ $status = 1 ] || fail "an error ended with $status"
grep -q "attempt to index a nil value (local 't')" output || { cat output; fail "no error message"; }
status=0
run lua /there-is-none.lua >output 2>&1 || status=$?
[ $status = 1 ] || fail "a missing script ended with $status"
grep -q "cannot open /there-is-none.lua" output || { cat output; fail "no message for a missing script"; }
