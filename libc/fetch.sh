#!/usr/bin/env bash
# fetch.sh NAME: prints the path of the source archive NAME (pinned in sources.txt), fetching it where it is not there.
#
# Looks in this order: the folder EREMITE_SOURCES; the cache; the distribution's source package, through apt with a
# state of its own (the system's is left as it is); the project's releases at EREMITE_RELEASES. Whatever is found is
# checked against its SHA-256. An interrupted download goes on where it stopped. Exit status 0, or 1 after one line
# on stderr that says what failed and where.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${EREMITE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/eremite}

say() { printf 'fetch: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

[ $# = 1 ] || fail "usage: fetch.sh NAME (names are in ${here}/sources.txt)"
name=$1
line=$(awk -v name="$name" '$1 == name' "$here/sources.txt")
[ -n "$line" ] || fail "no source is called '$name' in ${here}/sources.txt"
read -r _ suite package file bytes sha256 <<<"$line"

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

# A file that EREMITE_SOURCES holds is used where it lies: it may be read-only, and large.
if [ -n "${EREMITE_SOURCES:-}" ] && [ -f "$EREMITE_SOURCES/$file" ]; then
    found=$(sha256_of "$EREMITE_SOURCES/$file")
    [ "$found" = "$sha256" ] ||
        fail "checksum mismatch: $EREMITE_SOURCES/$file has SHA-256 $found, sources.txt says $sha256"
    echo "$EREMITE_SOURCES/$file"
    exit 0
fi

sources=$cache/sources
# The stamp spares hashing 164 MB at each use; it names the checksum that was verified.
if [ -f "$sources/$file" ] && [ "$(cat "$sources/.$file.verified" 2>/dev/null)" = "$sha256" ]; then
    echo "$sources/$file"
    exit 0
fi

mkdir -p "$sources" 2>/dev/null || fail "cannot create $sources: $(mkdir -p "$sources" 2>&1 | sed 's/.*: //')"
exec 9>"$sources/.$name.lock" || fail "cannot write in $sources"
flock 9

if [ -f "$sources/$file" ]; then
    found=$(sha256_of "$sources/$file")
    [ "$found" = "$sha256" ] || fail "checksum mismatch: $sources/$file has SHA-256 $found, sources.txt says $sha256; remove it to fetch it again"
    printf '%s' "$sha256" 2>/dev/null >"$sources/.$file.verified" || fail "no space left in $cache"
    echo "$sources/$file"
    exit 0
fi

require_space() { # BYTES
    local free
    free=$(($(df -Pk "$sources" | awk 'NR == 2 { print $4 }') * 1024))
    [ "$free" -ge "$1" ] ||
        fail "no space for the cache: $name needs $(($1 >> 20)) MiB in $cache, $((free >> 20)) MiB are free (EREMITE_CACHE moves it)"
}

# keep FILE: verifies what was fetched and puts it where the next run looks.
keep() {
    local found
    found=$(sha256_of "$1")
    if [ "$found" != "$sha256" ]; then
        rm -f "$1"
        fail "checksum mismatch: $2 gave $file with SHA-256 $found, sources.txt says $sha256"
    fi
    mv "$1" "$sources/$file"
    printf '%s' "$sha256" >"$sources/.$file.verified"
    echo "$sources/$file"
    exit 0
}

# Prints "URI KEYRING" of the distribution's archive that holds the suite, as the system's own sources name it.
# A suite that they do not name (a newer release) lies beside the one that they do.
debian_archive() {
    local wanted=$1
    { cat /etc/apt/sources.list.d/*.sources 2>/dev/null || true; } | awk '
        function flush() { if (types ~ /deb/) for (u in uris) print uris[u], suites, key; types = suites = key = ""; delete uris }
        /^[[:space:]]*$/ { flush(); next }
        /^#/ { next }
        tolower($1) == "types:" { types = $0 }
        tolower($1) == "uris:" { for (i = 2; i <= NF; i++) uris[i] = $i }
        tolower($1) == "suites:" { suites = ""; for (i = 2; i <= NF; i++) suites = suites (i > 2 ? "," : "") $i }
        tolower($1) == "signed-by:" { key = $2 }
        END { flush() }' >"$state/archives"
    { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true; } | awk '
        $1 == "deb" || $1 == "deb-src" {
            key = ""; i = 2
            if ($2 ~ /^\[/) { while ($i !~ /\]$/) i++; options = $0; i++
                if (match(options, /signed-by=[^] ]*/)) key = substr(options, RSTART + 10, RLENGTH - 10) }
            print $i, $(i + 1), key }' >>"$state/archives"
    awk -v wanted="$wanted" '
        { n = split($2, suites, ","); for (i = 1; i <= n; i++) if (suites[i] == wanted) { print $1, $3; found = 1; exit } }
        $2 ~ /^(buster|bullseye|bookworm|trixie|forky|sid|stable|oldstable|testing)(,|$)/ && !fallback { fallback = $1 " " $3 }
        END { if (!found && fallback != "" && wanted !~ /-security$/) print fallback }' "$state/archives"
}

fetch_by_apt() {
    command -v apt-get >/dev/null || { say "no apt-get here: the distribution's source packages are out of reach"; return 1; }
    local part=$sources/.part-$name state=$cache/apt/$suite
    case $file in *.deb) state+=-binary ;; esac
    mkdir -p "$state/lists/partial" "$state/archives.d/partial" "$part"
    local uri key
    read -r uri key <<<"$(debian_archive "$suite")" || true
    [ -n "$uri" ] || { say "the system's apt sources name no Debian archive with $suite"; return 1; }
    [ -n "$key" ] || key=/usr/share/keyrings/debian-archive-keyring.gpg
    # A .deb is a package for all architectures; everything else is a source package.
    local kind=deb-src lists=Sources
    case $file in *.deb) kind=deb lists=Packages ;; esac
    printf '%s [signed-by=%s] %s %s main\n' $kind "$key" "$uri" "$suite" >"$state/sources.list"
    local apt=(apt-get -q
        -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=-
        -o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o Dir::State::status=/var/lib/dpkg/status
        -o "Dir::Cache=$state" -o "Dir::Cache::archives=$state/archives.d"
        -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3
        -o APT::Update::Post-Invoke::=true)
    download() {
        if [ $kind = deb ]; then "${apt[@]}" download "$1"; else "${apt[@]}" --download-only --only-source source "$1"; fi
    }
    exec 8>"$state/.lock"
    flock 8
    say "$file: Debian's $package ($suite)"
    # The lists are as good as the last download that they served; only a failure makes them be fetched anew.
    local attempt
    for attempt in cached fresh; do
        if [ $attempt = fresh ] || ! ls "$state"/lists/*"$lists"* >/dev/null 2>&1; then
            "${apt[@]}" update >"$state/log" 2>&1 || { tail -n 3 "$state/log" >&2; say "apt-get update of $uri $suite failed (log: $state/log)"; return 1; }
        fi
        # The exact version first; when the suite has moved on, its successor usually still holds the same upstream file.
        for wanted in "$package" "${package%%=*}"; do
            if (cd "$part" && download "$wanted") >"$state/log" 2>&1 9>&- 8>&-; then
                [ -f "$part/$file" ] && break 2
            fi
        done
    done
    flock -u 8
    if [ ! -f "$part/$file" ]; then
        grep -q 'No space left' "$state/log" && fail "no space for the cache: $cache is full"
        say "apt-get $kind $package gave no $file: $(grep -m1 '^E:' "$state/log" || echo "see $state/log")"
        return 1
    fi
    keep "$part/$file" "Debian's $package"
}

fetch_from_releases() {
    [ -n "${EREMITE_RELEASES:-}" ] || { say "EREMITE_RELEASES is not set: no release address to try"; return 1; }
    local part=$sources/.part-$file
    say "$file: $EREMITE_RELEASES"
    curl --fail --location --silent --show-error --retry 3 --continue-at - --output "$part" "$EREMITE_RELEASES/$file" ||
        { say "download of $EREMITE_RELEASES/$file failed"; return 1; }
    keep "$part" "$EREMITE_RELEASES"
}

# apt's lists of a suite take some 70 MiB beside the archive itself.
require_space $((bytes + (80 << 20)))
fetch_by_apt || fetch_from_releases ||
    fail "$file is not to be had: put it into a folder and set EREMITE_SOURCES to that, or set EREMITE_RELEASES"
