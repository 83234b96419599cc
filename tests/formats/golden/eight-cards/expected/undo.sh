#!/bin/sh
# undoing 0 steps for eight-rtx on cards, host sha256:01
# Run it as root. It reads before it writes and after; stops at what is neither as planned nor as it was.
# Not checked: IOMMU groups, and what the host, a process or a guest is using. `simkit apply` checks these, and keeps a journal.
set -eu
text() { if [ -e "$1" ]; then cat "$1"; else echo "no such file"; fi; }
link() { if [ -L "$1" ]; then basename "$(readlink "$1")"; elif [ -d "${1%/*}" ]; then echo none; else echo "no such folder"; fi; }
acs() { found=$(setpci -s "$1" ECAP_ACS+6.w) && echo $(( 0x$found & $2 )); }
is() { [ "$2" = "$3" ] || { echo "$1 is \"$2\", expected \"$3\"" >&2; exit 1; }; }
