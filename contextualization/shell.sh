# Functions for the scripts of recipes; they reach each script as the variable im_shell.
# A script says "changed: WHAT" on a line of its own for everything that it changed.
set -eu
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

changed() { echo "changed: $*"; }

# put FILE MODE [OWNER]: FILE shall hold what comes on standard input.
put() {
  mkdir -p "${1%/*}"
  put_new=$(mktemp "$1.XXXXXX")
  cat > "$put_new"
  if cmp -s "$put_new" "$1"; then
    rm -f "$put_new"
  else
    changed "$1"
    chmod "$2" "$put_new"
    [ -z "${3:-}" ] || chown "$3:" "$put_new"
    # A file that is a mount point (containers do that) can only be written in place.
    mv -f "$put_new" "$1" 2>/dev/null || { cat "$put_new" > "$1"; rm -f "$put_new"; }
  fi
}

# without_block FILE [NAME]: FILE without the lines that block() put there.
without_block() { [ ! -e "$1" ] || sed "/^# BEGIN im${2:+ $2}\$/,/^# END im${2:+ $2}\$/d" "$1" | sed -e '$a\'; }

# block FILE [NAME]: FILE shall end with what comes on standard input, between two marks; its other lines stay. Several
# recipes may have a block in one file, by names of their own.
block() {
  { without_block "$1" "${2:-}"; echo "# BEGIN im${2:+ $2}"; cat; echo "# END im${2:+ $2}"; } | put "$1" 644
}

# fstab NAME: the block NAME of /etc/fstab shall hold what comes on standard input; the service manager is told.
fstab() {
  fstab_before=$(cksum /etc/fstab 2>/dev/null || true)
  block /etc/fstab "$1"
  [ "$fstab_before" = "$(cksum /etc/fstab)" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

# mount_folder FOLDER [TYPE]: what /etc/fstab says of FOLDER is mounted there, a file system of that type.
mount_folder() {
  awk -v folder="$1" -v type="${2:-}" \
    '$2 == folder && $3 != "autofs" && index($3, type) == 1 { found = 1 } END { exit !found }' /proc/mounts || {
    mkdir -p "$1"
    mount "$1"
    changed "mount of $1"
  }
}

# facts FILE: the JSON object on standard input is merged into FILE.
facts() {
  python3 -c '
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
known = json.loads(path.read_text()) if path.exists() else {}
print(json.dumps({**known, **json.load(sys.stdin)}, indent=1))' "$1" | put "$1" 644
}
