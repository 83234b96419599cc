#!/bin/sh
# 0 steps for eight-rtx on cards, host sha256:01
# Reads before it writes and after; stops at the first difference. Undo by the commented lines, last step first.
set -eu
is() { [ "$2" = "$3" ] || { echo "$1 is \"$2\", expected \"$3\"" >&2; exit 1; }; }
driver() { [ -L "$1" ] && basename "$(readlink "$1")" || echo none; }
