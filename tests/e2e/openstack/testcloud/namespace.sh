#!/bin/bash
# First process of the test cloud's namespaces (network, mounts, processes): when it ends, all others in there end.
# usage: namespace.sh FOLDER LINK ADDRESS GATEWAY
set -e
folder=$1 link=$2 address=$3 gateway=$4

mount -t sysfs sysfs /sys # as this network sees it
mkdir -p /run/netns
mount -t tmpfs netns /run/netns
mount --make-shared /run/netns
for part in run:/run/libvirt etc:/etc/libvirt lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt; do
    mkdir -p "$folder/libvirt/${part%%:*}" "${part#*:}"
    mount --bind "$folder/libvirt/${part%%:*}" "${part#*:}"
done
# nova cannot bound qemu's translation buffer (1 GiB a guest): a wrapper does. qemu finds its files relative to its own
# place, so the real one stays in /usr/bin: over qemu-nbd, which nobody uses.
mount --bind /usr/bin/qemu-system-x86_64 /usr/bin/qemu-nbd
mount --bind "$folder/etc/qemu-wrapper" /usr/bin/qemu-system-x86_64

until ip link show "$link" >/dev/null 2>&1; do sleep 0.05; done
ip link set lo up
ip link add br-pub type bridge forward_delay 0
# A bridge takes the lowest address of its ports: a new router could move the APIs to another one, and calls would wait
# for most of a minute until the client's neighbour table knows. This one stays.
ip link set br-pub address "$(ip -o link show "$link" | sed 's|.*link/ether ||; s| .*||')"
ip link set "$link" master br-pub up
ip link set br-pub up
ip address add "$address/24" dev br-pub
ip route add default via "$gateway"
echo 1 >/proc/sys/net/ipv4/ip_forward
touch "$folder/run/ready"

trap 'exit 0' TERM
while :; do sleep infinity & wait $!; done # and so it reaps what others leave
