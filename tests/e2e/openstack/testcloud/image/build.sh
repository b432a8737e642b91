#!/usr/bin/env bash
# Makes FOLDER/disk.qcow2, kernel and ramdisk: Debian with cloud-init and sshd, quick to boot where the processor is
# emulated.
# usage: build.sh FOLDER RELEASE [PACKAGE...]   (FOLDER has the APT files "sources" and "settings")
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
release=$2
shift 2
packages=(linux-image-cloud-amd64 kmod systemd-sysv udev openssh-server cloud-init iproute2 netbase sudo python3
    ca-certificates busybox-static iputils-ping "$@")

mmdebstrap --mode=root --variant=minbase --skip=check/qemu --aptopt=settings \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --include="$(IFS=,; echo "${packages[*]}")" "$release" root sources

cp -R "$here/overlay/." root/
chmod 755 root/usr/local/sbin/* root/etc/udhcpc/script root/etc/acpi/PWRF/*
cp settings root/etc/apt/apt.conf.d/90machine
rm -f root/etc/ssh/ssh_host_*
: >root/etc/machine-id
: >root/etc/resolv.conf
echo localhost >root/etc/hostname
rm -rf root/usr/lib/python3/dist-packages/jsonschema # cloud-init goes without, and checks its input half as long
systemctl --root=root --quiet enable guest-network guest-init guest-power ssh
systemctl --root=root --quiet set-default multi-user.target
systemctl --root=root --quiet mask \
    apt-daily.timer apt-daily-upgrade.timer cloud-config.service cloud-final.service cloud-init-hotplugd.socket \
    cloud-init-local.service cloud-init.service dev-hugepages.mount dev-mqueue.mount dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer getty.target modprobe@.service \
    proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount systemd-binfmt.service systemd-firstboot.service systemd-journal-flush.service \
    systemd-machine-id-commit.service systemd-pstore.service systemd-random-seed.service systemd-remount-fs.service \
    systemd-sysusers.service systemd-tmpfiles-clean.timer systemd-udev-trigger.service \
    systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service \
    systemd-update-utmp-runlevel.service systemd-update-utmp.service
mkdir -p root/etc/systemd/system-generators
for generator in root/lib/systemd/system-generators/*; do # what they look for is not here
    ln -s /dev/null "root/etc/systemd/system-generators/${generator##*/}"
done

# An initramfs of busybox and the modules of this machine, in the order in which they need each other.
kernel=$(basename root/lib/modules/*)
mkdir -p initramfs/{bin,dev,modules,proc,root,sys}
cp root/bin/busybox initramfs/bin/
install -m 755 "$here/initramfs-init" initramfs/init
for module in virtio_pci virtio_blk virtio_net ext4 crc32c_generic ata_piix sr_mod isofs virtio_rng button evdev; do
    chroot root modprobe --set-version "$kernel" --show-depends "$module" | sed -n 's/^insmod //p'
done | awk '!seen[$1]++ { print $1 }' | while read -r file; do
    cp "root$file" initramfs/modules/
    basename "$file" >>initramfs/modules/order
done
(cd initramfs && find . | busybox cpio -o -H newc 2>/dev/null) >ramdisk
mv "root/boot/vmlinuz-$kernel" kernel
rm -rf root/boot root/initrd.img* root/vmlinuz*

# No boot loader: nova gives the machine its kernel.
truncate -s 2G disk
mke2fs -q -t ext4 -O ^64bit,^metadata_csum,^has_journal -E lazy_itable_init=1 -L root -d root disk
qemu-img convert -O qcow2 disk disk.qcow2
