# Ceilings for the sizes that we watch: stripped, bootable, kernel included.
# timeout: 240

"$EREMITE" inspect --arch "$ARCH" --isolation "$ISOLATION" --sizes | tee sizes
status=0
for pair in puts:65536 printf:266240 iostream:471040 println:655360; do
    size=$(awk -v name="${pair%:*}" '$1 == name { print $2 }' sizes)
    [ -n "$size" ] || { echo "FAIL: no size of ${pair%:*}"; exit 1; }
    if ((size > ${pair#*:})); then
        echo "FAIL: ${pair%:*} has $size bytes, more than ${pair#*:}"
        status=1
    fi
done
exit $status
