#!/usr/bin/env bash
# Builds an initramfs for the Linux guest that the benchmarks compare with: busybox, virtio modules, and programs with the
# libraries that they are linked to.
#   initramfs.sh OUT.cpio.gz PROGRAM[:NAME-IN-THE-GUEST]...
# The guest runs what the kernel command line says as eb.run=NAME with eb.args=A,B,C; it ends by powering off.
set -euo pipefail

out=$1
shift
version=${EREMITE_LINUX:-$(ls /lib/modules | grep -- '-cloud-amd64$' | sort -V | tail -1)}
modules=/lib/modules/$version/kernel
[ -d "$modules" ] || { echo "initramfs.sh: no cloud kernel's modules in /lib/modules: install linux-image-cloud-amd64" >&2; exit 1; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,proc,sys,dev,tmp,modules,etc,mnt,disk}
cp /bin/busybox "$root/bin/busybox"
for applet in sh mount umount insmod ip cat echo sleep poweroff grep mkdir sync; do ln -s busybox "$root/bin/$applet"; done
for program in "$@"; do
    cp -L "${program%:*}" "$root/bin/$(basename "${program#*:}")"
    for library in $(ldd "${program%:*}" 2>/dev/null | grep -o '/[^ ]*'); do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
done

number=0
for module in drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev \
    drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci net/core/failover drivers/net/net_failover \
    drivers/net/virtio_net drivers/block/virtio_blk fs/fuse/fuse fs/fuse/virtiofs lib/crc16 fs/mbcache fs/jbd2/jbd2 \
    crypto/crc32c_generic lib/libcrc32c fs/ext4/ext4; do
    name=$(basename "$module")
    target=$(printf '%s/%02d-%s.ko' "$root/modules" "$number" "$name")
    if [ -f "$modules/$module.ko" ]; then
        cp "$modules/$module.ko" "$target"
    elif [ -f "$modules/$module.ko.xz" ]; then
        xz -dc "$modules/$module.ko.xz" > "$target"
    elif ! grep -q "/$name\.ko" "/lib/modules/$version/modules.builtin"; then
        echo "initramfs.sh: Linux $version has no module $module" >&2
        exit 1
    fi
    number=$((number + 1))
done

cat > "$root/init" <<'INIT'
#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp
for module in /modules/*.ko; do insmod "$module" 2>/dev/null || echo "insmod $module failed"; done
for word in $(cat /proc/cmdline); do
    case $word in
    eb.run=*) run=${word#eb.run=} ;;
    eb.args=*) args=$(echo "${word#eb.args=}" | busybox tr , ' ') ;;
    eb.ip=*) ip link set lo up; ip addr add "${word#eb.ip=}" dev eth0; ip link set eth0 up ;;
    eb.share) mount -t virtiofs share /mnt ;;
    eb.disk) mount -t ext4 /dev/vda /disk ;;
    esac
done
echo "GUEST-UP"
$run $args
echo "GUEST-DONE $?"
umount /mnt 2>/dev/null
umount /disk 2>/dev/null
sync
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | sort | cpio -o -H newc --quiet --owner=0:0 | gzip -1n) > "$out"
