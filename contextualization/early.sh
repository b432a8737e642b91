# Runs on the front-end while Ansible is still on its way: begins to install packages on all nodes, and returns at once.
# Standard input: lines of "ADDRESS USER PACKAGE...", with "- -" for the front-end itself. The recipe `base` waits for what is
# begun here and does what is left, so nothing is lost if this fails. Ansible takes over the connections.
set -eu
mkdir -p -m 700 /run/im/cp
install_with='$(command -v sudo >/dev/null && [ "$(id -u)" != 0 ] && echo sudo -n) flock -o /run/im-packages.lock sh -s --'
while read -r address user packages; do
  case $address in
    -) set -- sh -c "$install_with $packages" ;;
    *) set -- ssh -F /etc/im/ssh/config -l "$user" "$address" "$install_with $packages" ;;
  esac
  setsid "$@" < /opt/im/packages.sh > "/run/im/early-$address.log" 2>&1 &
done
