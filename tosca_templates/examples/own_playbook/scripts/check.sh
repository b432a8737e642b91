#!/bin/sh
# Fails where the welcome message is not the one that the template asks for.
set -eu
grep -qxF "$EXPECTED" /etc/motd
