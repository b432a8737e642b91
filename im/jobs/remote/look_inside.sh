# Runs in a container of an image, and tells which MPI library it has: lines of "KEY VALUE".
launcher=
for name in mpirun mpiexec.hydra mpiexec; do
  launcher=$(command -v "$name") && break
done
version=
if [ -n "$launcher" ]; then
  told=$("$launcher" --version 2>/dev/null)
  case $told in
    *"Open MPI"*) family=openmpi version=${told##*"Open MPI) "} ;;
    *HYDRA*) family=mpich version=${told#*Version:} ;;
    *) launcher= ;;
  esac
fi
if [ -z "$launcher" ]; then
  for folder in /usr/lib/*-linux-gnu /usr/lib64 /usr/lib /usr/local/lib /usr/lib64/openmpi/lib /usr/lib64/mpich/lib /opt/*/lib; do
    for library in "$folder"/libmpi.so.* "$folder"/libmpich.so.*; do
      [ -e "$library" ] || continue
      case ${library##*/} in
        libmpi.so.40*) family=openmpi version=4 ;;
        libmpi.so.12* | libmpich.so.12*) family=mpich version=3 ;;
      esac
    done
  done
fi
for library in /usr/lib/*-linux-gnu/libmpich.so.* /usr/lib64/mpich/lib/libmpi.so.* /usr/lib64/libmpi.so.* /usr/local/lib/libmpi.so.* /opt/*/lib/libmpi.so.*; do
  grep -qs ucp_worker_progress "$library" && network=ucx
done
set -- $version
[ -z "${family:-}" ] || echo "family $family"
[ -z "${1:-}" ] || echo "version $1"
[ -z "$launcher" ] || echo "launcher $launcher"
[ -z "${network:-}" ] || echo "network $network"
for pmix in /usr/lib/*-linux-gnu/libpmix.so.*.* /usr/lib/*-linux-gnu/pmix*/lib/libpmix.so.*.*; do
  [ ! -e "$pmix" ] || { echo "pmix ${pmix##*.so.}"; break; }
done
