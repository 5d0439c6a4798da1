# sqlite's shell, from its source package, makes a database in the root file system, queries it, and finds it whole.
# timeout: 600
fail() { echo "FAIL: $*"; exit 1; }

mkdir root
cat >root/script.sql <<'SQL'
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, value REAL);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO t SELECT i, printf('name-%05d', i * 7919 % 20000), i / 8.0 FROM n;
COMMIT;
CREATE INDEX by_name ON t(name);
SELECT count(*), sum(value), min(name), max(name) FROM t;
SELECT id FROM t WHERE name = 'name-00042';
BEGIN;
DELETE FROM t WHERE id % 2 = 0;
ROLLBACK;
DELETE FROM t WHERE id % 3 = 0;
VACUUM;
SELECT count(*) FROM t;
PRAGMA integrity_check;
SELECT sqrt(2.0), upper('ok');
SQL
cat >expected <<'END'
20000|25001250.0|name-00000|name-19999
2518
13334
ok
1.4142135623731|OK
END
"$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --memory 256M --timeout 200 --env HOME=/ --root root sqlite /database ".read /script.sql" </dev/null >output ||
    fail "status $?"
tr -d '\r' <output | diff expected - || fail "sqlite said something else"
