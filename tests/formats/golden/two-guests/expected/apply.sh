#!/bin/sh
# 4 steps for two-guests on hgx, host sha256:00
# Reads before it writes and after; stops at the first difference. Undo by the commented lines, last step first.
set -eu
is() { [ "$2" = "$3" ] || { echo "$1 is \"$2\", expected \"$3\"" >&2; exit 1; }; }
driver() { [ -L "$1" ] && basename "$(readlink "$1")" || echo none; }

# 001-numvfs-0001:48:00.0: make 1 virtual function of 0001:48:00.0 (ConnectX-7)
# relies on: a run-time write, gone after a reboot
is /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs "$(cat /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs)" 0
printf 1 > /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs
is /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs "$(cat /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs)" 1
# undo: printf 0 > /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs

# 002-acs-0001:42:04.0: set ACS RR,CR on 0001:42:04.0: else peers reach each other
# relies on: a run-time write, gone after a reboot
is "ACS control of 0001:42:04.0" "$(( 0x$(setpci -s 0001:42:04.0 ECAP_ACS+6.w) & 12 ))" 0
setpci -s 0001:42:04.0 ECAP_ACS+6.w=000c:000c
is "ACS control of 0001:42:04.0" "$(( 0x$(setpci -s 0001:42:04.0 ECAP_ACS+6.w) & 12 ))" 12
# undo: setpci -s 0001:42:04.0 ECAP_ACS+6.w=0000:000c

# 003-override-0001:47:00.0: reserve H100 SXM5 80GB 0001:47:00.0 for vfio-pci (infer)
# relies on: a run-time write, gone after a reboot
is /sys/bus/pci/devices/0001:47:00.0/driver_override "$(cat /sys/bus/pci/devices/0001:47:00.0/driver_override)" '(null)'
printf vfio-pci > /sys/bus/pci/devices/0001:47:00.0/driver_override
is /sys/bus/pci/devices/0001:47:00.0/driver_override "$(cat /sys/bus/pci/devices/0001:47:00.0/driver_override)" vfio-pci
# undo: printf '\n' > /sys/bus/pci/devices/0001:47:00.0/driver_override

# 004-unbind-0001:47:00.0: take H100 SXM5 80GB 0001:47:00.0 from nvidia
# relies on: a run-time write, gone after a reboot
is /sys/bus/pci/devices/0001:47:00.0/driver "$(driver /sys/bus/pci/devices/0001:47:00.0/driver)" nvidia
printf 0001:47:00.0 > /sys/bus/pci/drivers/nvidia/unbind
is /sys/bus/pci/devices/0001:47:00.0/driver "$(driver /sys/bus/pci/devices/0001:47:00.0/driver)" none
# undo: printf 0001:47:00.0 > /sys/bus/pci/drivers/nvidia/bind
