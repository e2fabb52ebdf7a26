#!/bin/bash
# Builds a Debian 12 guest for the tests: OUT/{root.qcow2,vmlinuz,initrd}. As root, from Debian's packages alone.
# usage: image.sh OUT
#
# The packages come from wherever this machine's own apt fetches Debian: the tree names no archive.
set -euo pipefail
OUT=$(realpath "$1") HERE=$(realpath "$(dirname "$0")")
TREE=$OUT/tree KERNEL=$OUT/kernel

PACKAGES=systemd,systemd-sysv,udev,dbus,kmod,iproute2,python3,usbip,usbutils,libusb-1.0-0,dosfstools,mtp-tools,libmtp-runtime,gphoto2,busybox-static

# Modules that the scenarios need, with whatever they need themselves; udev loads them as it would on any machine.
BOOT="virtio_pci virtio_blk ext4 crc32c-intel crc32c_generic"
MODULES="$BOOT virtio_net virtio_console virtio_rng vhci-hcd xhci-pci usb-storage uas sd_mod usbhid hid-generic evdev
  vfat nls_cp437 nls_ascii nls_iso8859-1 nls_utf8"

sources() {
  # shellcheck disable=SC2016  # The $(…) are apt's own fields.
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' | grep ' bookworm' || true
}

build_tree() {
  local found
  found=$(sources)
  if [ -z "$found" ]; then
    apt-get -qq update
    found=$(sources)
  fi
  if [ -z "$found" ]; then
    echo "this machine's apt has no Debian 12 (bookworm) archive, from which the guest is built" >&2
    exit 1
  fi
  # The kernel is only unpacked: installing it would build an initrd of its own, for a minute.
  mmdebstrap --quiet --mode=root --variant=minbase --format=directory --include="$PACKAGES" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="mkdir -p '$KERNEL' && cd '$KERNEL' && export APT_CONFIG=\"\$MMDEBSTRAP_APT_CONFIG\" &&
      image=\$(apt-cache depends linux-image-amd64 | sed -n 's/ *Depends: \\(linux-image-[0-9].*\\)/\\1/p') &&
      apt-get -qq -o APT::Sandbox::User=root download \"\$image\" && dpkg-deb -x linux-image-*.deb . && rm linux-image-*.deb" \
    bookworm "$TREE" - <<<"$found"
}

copy_modules() {
  local release=$1 from=$KERNEL to=$TREE module
  mkdir -p "$to/lib/modules/$release"
  cp "$from/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$to/lib/modules/$release/"
  depmod -b "$from" "$release"
  for module in $MODULES; do
    modprobe -d "$from" -S "$release" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
  done | sort -u | while read -r file; do
    install -D -m644 "$file" "$to/lib/modules/$release/kernel/${file#*/kernel/lib/modules/"$release"/kernel/}"
  done
  depmod -b "$to" "$release"
}

configure() {
  local etc=$TREE/etc unit
  install -m755 "$HERE/agent.py" "$TREE/usr/local/sbin/agent"
  cat >"$etc/systemd/system/agent.service" <<'UNIT'
[Unit]
Description=Runs what the test asks for over the serial channel
After=dev-virtio\x2dports-agent.device
[Service]
ExecStart=/usr/bin/python3 /usr/local/sbin/agent
Restart=always
KillMode=process
UNIT
  printf '[Match]\nName=en* eth*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' \
    >"$etc/systemd/network/10-slirp.network"
  mkdir -p "$etc/systemd/system/multi-user.target.wants"
  ln -sf ../agent.service "$etc/systemd/system/multi-user.target.wants/"
  ln -sf /lib/systemd/system/systemd-networkd.service "$etc/systemd/system/multi-user.target.wants/"
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    getty@tty1.service serial-getty@ttyS0.service systemd-update-utmp.service; do
    ln -sf /dev/null "$etc/systemd/system/$unit"
  done
  : >"$etc/fstab"
  echo guest >"$etc/hostname"
  echo 0123456789abcdef0123456789abcdef >"$etc/machine-id"
  mkdir -p "$TREE/mnt/program" "$TREE/var/lib/dock-vault"
}

# Debian's own initrd takes a minute to build and seconds to unpack; this one only loads the disk's drivers.
build_initrd() {
  local release=$1 root=$OUT/initrd.d module
  mkdir -p "$root"/{bin,proc,dev,new,modules}
  cp "$TREE/bin/busybox" "$root/bin/"
  for module in $BOOT; do
    modprobe -d "$TREE" -S "$release" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
  done | awk '!seen[$0]++' | while read -r file; do
    cp "$file" "$root/modules/"
    basename "$file" >>"$root/order"
  done
  cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs d /dev
/bin/busybox mount -t proc p /proc
for module in $(/bin/busybox cat /order); do /bin/busybox insmod "/modules/$module"; done
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 500 ]; do /bin/busybox usleep 20000; tries=$((tries+1)); done
/bin/busybox mount -t ext4 /dev/vda /new
/bin/busybox mount --move /dev /new/dev
/bin/busybox umount /proc
exec /bin/busybox switch_root /new /sbin/init
INIT
  chmod +x "$root/init"
  (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$OUT/initrd"
}

rm -rf "$TREE" "$KERNEL" "$OUT/initrd.d"
build_tree
RELEASE=$(ls "$KERNEL/lib/modules")
copy_modules "$RELEASE"
configure
build_initrd "$RELEASE"
cp "$KERNEL/boot/vmlinuz-$RELEASE" "$OUT/vmlinuz"
mke2fs -q -F -t ext4 -d "$TREE" -L root -E lazy_itable_init=1,lazy_journal_init=1 -O ^metadata_csum "$OUT/root.img" 1G >/dev/null
qemu-img convert -O qcow2 "$OUT/root.img" "$OUT/root.qcow2"
rm -rf "$TREE" "$KERNEL" "$OUT/initrd.d" "$OUT/root.img"
chown --reference="$OUT" "$OUT"/*
