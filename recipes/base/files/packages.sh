# packages.sh PACKAGE...: installs those that are missing, in one transaction. Runs after shell.sh.
wanted=$*
installed=" $(dpkg-query --show --showformat '${db:Status-Status}:${Package} ' $wanted 2>/dev/null || true)"
missing=
for package in $wanted; do
  case "$installed" in *" installed:$package "*) ;; *) missing="$missing $package" ;; esac
done
[ -n "$missing" ] || exit 0

command -v apt-get > /dev/null || { echo "recipes need a Debian or Ubuntu image: there is no apt-get" >&2; exit 1; }
# At its first boot cloud-init may change apt's sources and run apt: what it began it shall end, but not for ever.
cloud_init_goes_on() {
  [ -d /run/cloud-init ] && [ ! -e /run/cloud-init/result.json ] && [ ! -e /run/cloud-init/disabled ] &&
    [ -d /run/systemd/system ] && systemctl is-enabled --quiet cloud-final.service
}
tries=0
while cloud_init_goes_on; do
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || { echo "cloud-init has not ended; going on without it" >&2; break; }
  sleep 1
done
install_missing() {
  # Recommended packages stay away; no fsync for every file; another apt is waited for.
  apt-get install --yes --quiet --quiet --no-install-recommends \
    -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Acquire::Languages=none $missing
}
# patiently COMMAND...: again while another apt has the lock, as on a fresh machine; five minutes at most.
patiently() {
  tries=0
  until said=$("$@" 2>&1 < /dev/null); do
    tries=$((tries + 1))
    case $said in *lock*) [ "$tries" -lt 60 ] ;; *) false ;; esac || { echo "$said" >&2; return 1; }
    sleep 5
  done
}
mend() {
  patiently dpkg --force-confold --configure -a
  patiently apt-get update --quiet --quiet -o Acquire::Retries=3 -o Acquire::Languages=none
}

# Package lists that are there may be old: they are renewed only if the installation fails with them.
if [ -n "$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -n 1)" ] && install_missing; then
  changed "packages:$missing"
  exit 0
fi
mend
install_missing
changed "packages:$missing"
