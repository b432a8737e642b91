#!/bin/sh
# Stands before each of udocker's proots, and takes away "-k KERNEL" where that is the node's own kernel.
#
# udocker always says it, and proot then hides the vDSO from programs: every look at the clock becomes a system call, and
# MPI looks at it whenever it waits.
read -r kernel < /proc/sys/kernel/osrelease
held='' rest=''
for word; do
    shift
    if [ "$held" ]; then
        held=''
        [ "$word" = "$kernel" ] || set -- "$@" -k "$word"
    elif [ "$word" = -k ] && [ ! "$rest" ]; then
        held=yes
    else
        [ "$word" != -r ] || rest=yes
        set -- "$@" "$word"
    fi
done
exec "$0.real" "$@"
