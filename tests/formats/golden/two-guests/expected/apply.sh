#!/bin/sh
# 4 steps for two-guests on hgx, host sha256:00
# Run it as root. It reads before it writes and after; stops at the first difference; undo.sh takes back what was done until then.
# Not checked: IOMMU groups, and what the host, a process or a guest is using. `simkit apply` checks these, and keeps a journal.
# Needs setpci (pciutils).
set -eu
text() { if [ -e "$1" ]; then cat "$1"; else echo "no such file"; fi; }
link() { if [ -L "$1" ]; then basename "$(readlink "$1")"; elif [ -d "${1%/*}" ]; then echo none; else echo "no such folder"; fi; }
acs() { found=$(setpci -s "$1" ECAP_ACS+6.w) && echo $(( 0x$found & $2 )); }
is() { [ "$2" = "$3" ] || { echo "$1 is \"$2\", expected \"$3\"" >&2; exit 1; }; }

is "vendor of 0001:42:04.0" "$(text /sys/bus/pci/devices/0001:42:04.0/vendor)" 0x1000
is "device of 0001:42:04.0" "$(text /sys/bus/pci/devices/0001:42:04.0/device)" 0xc030
is "vendor of 0001:47:00.0" "$(text /sys/bus/pci/devices/0001:47:00.0/vendor)" 0x10de
is "device of 0001:47:00.0" "$(text /sys/bus/pci/devices/0001:47:00.0/device)" 0x2330
is "vendor of 0001:48:00.0" "$(text /sys/bus/pci/devices/0001:48:00.0/vendor)" 0x15b3
is "device of 0001:48:00.0" "$(text /sys/bus/pci/devices/0001:48:00.0/device)" 0x1021

# 001-numvfs-0001:48:00.0: make 1 virtual function of 0001:48:00.0 (ConnectX-7)
# relies on: a run-time write, gone after a reboot
is /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs "$(text /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs)" 0
printf 1 > /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs
is /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs "$(text /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs)" 1

# 002-acs-0001:42:04.0: set ACS RR,CR on 0001:42:04.0: else peers reach each other
# relies on: a run-time write, gone after a reboot
is "ACS control of 0001:42:04.0" "$(acs 0001:42:04.0 12)" 0
setpci -s 0001:42:04.0 ECAP_ACS+6.w=000c:000c
is "ACS control of 0001:42:04.0" "$(acs 0001:42:04.0 12)" 12

# 003-override-0001:47:00.0: reserve H100 SXM5 80GB 0001:47:00.0 for vfio-pci (infer)
# relies on: a run-time write, gone after a reboot
is /sys/bus/pci/devices/0001:47:00.0/driver_override "$(text /sys/bus/pci/devices/0001:47:00.0/driver_override)" '(null)'
printf vfio-pci > /sys/bus/pci/devices/0001:47:00.0/driver_override
is /sys/bus/pci/devices/0001:47:00.0/driver_override "$(text /sys/bus/pci/devices/0001:47:00.0/driver_override)" vfio-pci

# 004-unbind-0001:47:00.0: take H100 SXM5 80GB 0001:47:00.0 from nvidia
# relies on: a run-time write, gone after a reboot
is /sys/bus/pci/devices/0001:47:00.0/driver "$(link /sys/bus/pci/devices/0001:47:00.0/driver)" nvidia
printf 0001:47:00.0 > /sys/bus/pci/drivers/nvidia/unbind
is /sys/bus/pci/devices/0001:47:00.0/driver "$(link /sys/bus/pci/devices/0001:47:00.0/driver)" none
