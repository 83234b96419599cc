#!/bin/sh
# undoing 4 steps for two-guests on hgx, host sha256:00
# Run it as root. It reads before it writes and after; stops at what is neither as planned nor as it was.
# Not checked: IOMMU groups, and what the host, a process or a guest is using. `simkit apply` checks these, and keeps a journal.
# Needs setpci (pciutils).
set -eu
text() { if [ -e "$1" ]; then cat "$1"; else echo "no such file"; fi; }
link() { if [ -L "$1" ]; then basename "$(readlink "$1")"; elif [ -d "${1%/*}" ]; then echo none; else echo "no such folder"; fi; }
acs() { found=$(setpci -s "$1" ECAP_ACS+6.w) && echo $(( 0x$found & $2 )); }
is() { [ "$2" = "$3" ] || { echo "$1 is \"$2\", expected \"$3\"" >&2; exit 1; }; }

# 004-unbind-0001:47:00.0: take H100 SXM5 80GB 0001:47:00.0 from nvidia
if [ ! -e /sys/bus/pci/devices/0001:47:00.0 ]; then :
elif [ "$(link /sys/bus/pci/devices/0001:47:00.0/driver)" = nvidia ]; then :
else
  is /sys/bus/pci/devices/0001:47:00.0/driver "$(link /sys/bus/pci/devices/0001:47:00.0/driver)" none
  printf 0001:47:00.0 > /sys/bus/pci/drivers/nvidia/bind
  is /sys/bus/pci/devices/0001:47:00.0/driver "$(link /sys/bus/pci/devices/0001:47:00.0/driver)" nvidia
fi

# 003-override-0001:47:00.0: reserve H100 SXM5 80GB 0001:47:00.0 for vfio-pci (infer)
if [ ! -e /sys/bus/pci/devices/0001:47:00.0 ]; then :
elif [ "$(text /sys/bus/pci/devices/0001:47:00.0/driver_override)" = '(null)' ]; then :
else
  is /sys/bus/pci/devices/0001:47:00.0/driver_override "$(text /sys/bus/pci/devices/0001:47:00.0/driver_override)" vfio-pci
  printf '\n' > /sys/bus/pci/devices/0001:47:00.0/driver_override
  is /sys/bus/pci/devices/0001:47:00.0/driver_override "$(text /sys/bus/pci/devices/0001:47:00.0/driver_override)" '(null)'
fi

# 002-acs-0001:42:04.0: set ACS RR,CR on 0001:42:04.0: else peers reach each other
if [ ! -e /sys/bus/pci/devices/0001:42:04.0 ]; then :
elif [ "$(acs 0001:42:04.0 12)" = 0 ]; then :
else
  is "ACS control of 0001:42:04.0" "$(acs 0001:42:04.0 12)" 12
  setpci -s 0001:42:04.0 ECAP_ACS+6.w=0000:000c
  is "ACS control of 0001:42:04.0" "$(acs 0001:42:04.0 12)" 0
fi

# 001-numvfs-0001:48:00.0: make 1 virtual function of 0001:48:00.0 (ConnectX-7)
if [ ! -e /sys/bus/pci/devices/0001:48:00.0 ]; then :
elif [ "$(text /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs)" = 0 ]; then :
else
  is /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs "$(text /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs)" 1
  printf 0 > /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs
  is /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs "$(text /sys/bus/pci/devices/0001:48:00.0/sriov_numvfs)" 0
fi
