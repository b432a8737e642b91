#!/bin/sh
# build-tools.sh > udocker-tools.tar.gz
#
# Builds udocker's own tools from Debian's packages, as the archive that `udocker install` takes.
# All of it happens in a throw-away root: this node's root with an overlay on top, gone when the script ends. The node itself
# gets no compiler and no package.
#
# proot must filter system calls by seccomp: Debian's own package does not (its patches switch it off), and without it a program
# can run outside of its container, with exit status 0. So upstream's source is built as the development suite has it.
set -eu
export known_source=29248aac2a7ce10c3bd5ee5602742ec33b2532310ff9cf73b79f3c133e5a5f68  # proot_5.4.0.orig.tar.gz

if [ "${IM_BUILD_STAGE:-}" != inside ]; then
  # An overlay cannot lie on an overlay or on a network's file system; memory is the last resort.
  work=
  for folder in /var/tmp /home; do
    case $(stat --file-system --format %T "$folder") in ext2/ext3 | xfs | btrfs | tmpfs) work=$folder; break ;; esac
  done
  holder=$(mktemp -d "${work:-/run}/im-build.XXXXXX")
  trap 'rm -rf "$holder"' EXIT
  [ "$(id -u)" = 0 ] || { echo "udocker's tools are built as root" >&2; exit 1; }
  export IM_BUILD_STAGE=inside IM_BUILD_ON="${work:-memory}"
  unshare --mount --fork --kill-child sh "$0" "$holder" 3>&1
  exit
fi

holder=$1
[ "$IM_BUILD_ON" != memory ] || mount -t tmpfs -o size=2g tmpfs "$holder"
mkdir "$holder/upper" "$holder/work" "$holder/root"
mount -t overlay -o "lowerdir=/,upperdir=$holder/upper,workdir=$holder/work" overlay "$holder/root"
root=$holder/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/run"
cat > "$root/tmp/build" <<'BUILD'
set -eu
exec 9>&3 3>&-
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
cd /tmp
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
apt="-q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io -o Acquire::Languages=none -o Acquire::Retries=3"
apt-get $apt update
echo "step: compiler" >&2
apt-get $apt install gcc libc6-dev make libtalloc-dev libarchive-dev pkg-config runc crun patchelf fakechroot

# The development suite's source index, in an apt state of its own, from the mirror that this machine uses.
echo "step: source of proot" >&2
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | grep -v security | head -n 1)
mkdir -p state/lists/partial cache/archives/partial empty
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > sources.list
private="-o Dir::State=/tmp/state -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache=/tmp/cache
  -o Dir::Etc::sourcelist=/tmp/sources.list -o Dir::Etc::sourceparts=/tmp/empty -o Acquire::Retries=3
  -o Acquire::Check-Valid-Until=false"  # a mirror that lags is still signed, and the source below is pinned
apt-get -q $private update
apt-get $private --print-uris source proot | tr -d "'" | grep '\.orig\.tar' > uris
read -r uri name size sum < uris
case $name in proot_5.4.0.orig.*) [ "$sum" = "SHA256:$known_source" ] ;; esac
/usr/lib/apt/apt-helper download-file "$uri" "/tmp/$name" "$sum"
mkdir source; tar -xf "$name" -C source --strip-components=1

echo "step: building proot" >&2
# Its library goes along, found relative to the program: the nodes need no package for it.
make -C source/src proot GIT=false LDFLAGS='-ltalloc -Wl,-z,noexecstack -Wl,-rpath,\$$ORIGIN/../lib' > make.log 2>&1 || {
  tail -n 20 make.log >&2; exit 1; }
source/src/proot --version | tee version >&2
grep -q 'seccomp_filter = yes' version

machine=$(uname -m)
lib=$(dpkg-query --listfiles libtalloc2 | grep '/libtalloc\.so\.2$')
fake=$(dpkg-query --listfiles libfakechroot | grep '/libfakechroot\.so$' | head -n 1)
. /etc/os-release
mkdir -p out/udocker_dir/bin out/udocker_dir/lib out/udocker_dir/doc
bin=out/udocker_dir/bin
cp source/src/proot "$bin/proot-$machine"
ln "$bin/proot-$machine" "$bin/proot-$machine-4_8_0"
cp /usr/sbin/runc "$bin/runc-$machine"
cp /usr/bin/crun "$bin/crun-$machine"
cp /usr/bin/patchelf "$bin/patchelf-$machine"
cp -L "$lib" out/udocker_dir/lib/libtalloc.so.2
cp "$fake" "out/udocker_dir/lib/libfakechroot-Debian-${VERSION_ID:-12}-$machine.so"
cp "$fake" "out/udocker_dir/lib/libfakechroot-$machine.so"
echo 1.2.11 > out/udocker_dir/lib/VERSION
strip "$bin"/* 2>/dev/null || true
tar -C out -c udocker_dir | gzip -6 >&9
BUILD
chroot "$root" sh /tmp/build 1>&2
