#!/bin/sh
# Make a small MPI image from Debian packages: a root file system archive for `im_client mpi run --image OUT.tar`.
#
#   build.sh OUT.tar [PROGRAM.c ...]
#
# The programs (mpi_hello.c beside this script if none are named) are compiled in a throw-away Debian with mpicc; the image holds
# only what they need to run, each as /usr/local/bin/PROGRAM. Needs mmdebstrap; no compiler, no root (but subordinate ids), no Docker.
# Made once: the archive is kept in $IM_HOME/cache/images, and comes from there while script, programs and settings stay the same.
#
# Settings (environment): MPI       openmpi (default) or mpich
#                         PACKAGES  more packages for the image, comma-separated
#                         SUITE     Debian suite; default: this machine's, but trixie for MPICH on bookworm, whose own
#                                   (4.0.2) can hang at the end of a job on several nodes
#                         SOURCES   apt source file; default: this machine's own, with SUITE in the place of its suite
set -eu
umask 022

here=$(dirname "$(readlink -f "$0")")
[ $# -ge 1 ] || { sed -n '4s/^# */usage: /p' "$0" >&2; exit 2; }
out=$1
shift
[ $# -gt 0 ] || set -- "$here/mpi_hello.c"

mpi=${MPI:-openmpi}
case $mpi in
    openmpi) runtime=openmpi-bin compiler=libopenmpi-dev ;;
    mpich) runtime=mpich compiler=libmpich-dev,bash,coreutils,sed ;; # its mpicc is a script
    *) echo "build.sh: MPI=$mpi: it is openmpi or mpich" >&2; exit 2 ;;
esac
own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
suite=${SUITE:-$own}
[ -n "$suite" ] || { echo "build.sh: this system has no VERSION_CODENAME; name a suite with SUITE=" >&2; exit 2; }
[ -n "${SUITE:-}" ] || [ "$mpi-$own" != mpich-bookworm ] || suite=trixie
sources=${SOURCES:-}
for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/ubuntu.sources /etc/apt/sources.list; do
    [ -n "$sources" ] || { [ ! -s "$file" ] || sources=$file; }
done
[ -n "$sources" ] || { echo "build.sh: no apt sources found; name a file with SOURCES=" >&2; exit 2; }

cache=${IM_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/im}/cache/images
mkdir -p "$cache"
if [ -z "${SOURCES:-}" ] && [ "$suite" != "$own" ]; then
    changed=$cache/$suite-${sources##*/}
    sed "s/\\b$own\\b/$suite/g" "$sources" > "$changed.$$"
    mv "$changed.$$" "$changed"
    sources=$changed
fi
key=$({ echo "$suite $mpi ${PACKAGES:-}"; cat "$0" "$sources" "$@"; } | sha256sum | cut -c1-16)
image=$cache/$mpi-$suite-$key.tar

logged() { "$@" > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }

build() {
    command -v mmdebstrap >/dev/null || { echo "build.sh: mmdebstrap is missing (apt install mmdebstrap)" >&2; exit 2; }
    work=$(mktemp -d)
    trap 'rm -rf "$work" "$image.part"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir "$work/src" "$work/bin"
    for program in "$@"; do
        cp "$program" "$work/src/"
    done
    merged='--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr'
    slim='--dpkgopt=path-exclude=/usr/share/man/* --dpkgopt=path-exclude=/usr/share/locale/* --dpkgopt=path-exclude=/usr/share/doc/*'

    echo "build.sh: compiling in a throw-away $suite" >&2
    # shellcheck disable=SC2016,SC2086  # $1 is the hook's; $slim is a list
    logged mmdebstrap --variant=extract --format=null --include=gcc,libc6-dev,$compiler $slim $merged \
        --aptopt='Acquire::Languages "none"' \
        --extract-hook='mkdir -p "$1/src" "$1/out"' \
        --extract-hook="sync-in $work/src /src" \
        --extract-hook='set -e; cd "$1/src"; for c in *.c; do chroot "$1" mpicc.'"$mpi"' -O2 -Wall -o "/out/${c%.c}" "/src/$c" -lm; done' \
        --extract-hook="sync-out /out $work/bin" \
        "$suite" /dev/null "$sources"

    echo "build.sh: making the image" >&2
    # shellcheck disable=SC2016,SC2086
    logged mmdebstrap --variant=essential --format=tar --include="$runtime${PACKAGES:+,$PACKAGES}" $slim $merged \
        --aptopt='Acquire::Languages "none"' \
        --setup-hook='printf "Package: usrmerge\nPin: version *\nPin-Priority: -1\n" > "$1/etc/apt/preferences.d/no-usrmerge"' \
        --customize-hook='rm "$1/etc/apt/preferences.d/no-usrmerge"' \
        --customize-hook="sync-in $work/bin /usr/local/bin" \
        --customize-hook="echo im-mpi-$key > \"\$1/etc/im-image\"" \
        "$suite" "$image.part" "$sources"
    mv "$image.part" "$image"
}

if [ ! -e "$image" ]; then
    exec 9> "$image.lock"
    flock 9
    [ -e "$image" ] || (build "$@")
fi
case $out in
    *.gz) gzip -n < "$image" > "$out.part" && touch -r "$image" "$out.part" ;;
    *) cp --reflink=auto -p "$image" "$out.part" ;;
esac
mv "$out.part" "$out"
