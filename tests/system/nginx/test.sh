#!/usr/bin/env bash
# nginx from its source package serves a folder to curl: small and large files (by sendfile), ranges, kept connections, many
# clients at once, an upload refused with its status, and a configuration that does not parse.
# timeout: 600
set -euo pipefail
source "$TEST_SOURCE/../network.sh"
command -v curl >/dev/null || skip "curl is not installed"
build nginx
enter_network

mkdir -p root/etc root/tmp root/html root/logs
echo 'nobody:x:65534:65534:nobody:/:/bin/false' >root/etc/passwd
echo 'nogroup:x:65534:' >root/etc/group
cat >root/etc/nginx.conf <<'CONF'
daemon off;
master_process off;
error_log stderr notice;
events { worker_connections 512; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    types { text/html html; }
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    server { listen 80; listen [::]:80; root /html; keepalive_timeout 30s; }
}
CONF
echo '<h1>served by a unikernel</h1>' >root/html/index.html
head -c 8000000 /dev/urandom >root/html/large
start_guest --root root nginx
await_port 80

get() { timeout 60 curl -sS --fail-with-body "$@"; }
[ "$(get "http://$guest/")" = '<h1>served by a unikernel</h1>' ] || fail "another page"
get -I "http://$guest/" | tr -d '\r' >head
grep -qx 'HTTP/1.1 200 OK' head || { cat head; fail "no status"; }
grep -qx 'Content-Type: text/html' head || { cat head; fail "no type"; }
get "http://$guest/large" | cmp - root/html/large || fail "a large file came changed"
get -r 1000000-1000999 "http://$guest/large" | cmp - <(tail -c +1000001 root/html/large | head -c 1000) || fail "a range came changed"
[ "$(timeout 30 curl -s -o /dev/null -w '%{http_code}' "http://$guest/nothing")" = 404 ] || fail "a file that is not there"
[ "$(timeout 30 curl -s -o /dev/null -w '%{http_code}' -d data "http://$guest/")" = 405 ] || fail "an upload"
# Fifty on one connection, then forty clients at once.
urls=()
for ((i = 0; i < 50; i++)); do urls+=("http://$guest/"); done
[ "$(get -w '%{num_connects}\n' "${urls[@]}" | grep -c '^1$')" = 1 ] || fail "connections are not kept"
clients=()
for ((i = 0; i < 40; i++)); do
    get "http://$guest/large" -r "$((i * 1000))-$((i * 1000 + 99999))" -o "part$i" &
    clients+=($!)
done
for client in "${clients[@]}"; do wait "$client" || fail "a client among forty: status $?"; done
for ((i = 0; i < 40; i++)); do
    cmp -s "part$i" <(tail -c +$((i * 1000 + 1)) root/html/large | head -c 100000) || fail "client $i got something else"
done
echo "served $(stat -c %s root/html/large) bytes, 50 pages on one connection, 40 clients at once"
end_guest

echo 'nonsense;' >root/etc/nginx.conf
start_guest --root root nginx
if finish_guest; then fail "a wrong configuration was taken"; fi
grep -q 'unknown directive "nonsense"' console || fail "no word about the wrong directive"
