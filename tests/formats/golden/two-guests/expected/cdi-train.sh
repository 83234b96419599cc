#!/bin/bash
# Device nodes of guest train of two-guests: run it on the node after its devices are bound to vfio-pci.
set -euo pipefail
from=$(cd "$(dirname "$0")" && pwd)
to=${1:-/var/run/cdi}
: "${SYSFS:=/sys}"
missing() { echo "$1 has no $2: is it bound to vfio-pci?" >&2; exit 1; }
# /dev/vfio/devices/vfioN, IOMMUFD's node of one function; /dev/vfio/GROUP, the node of its group.
node() { local all=("$SYSFS/bus/pci/devices/$1/vfio-dev/"vfio*); [ -e "${all[0]}" ] || missing "$1" vfio-dev; basename "${all[0]}"; }
group() { local link="$SYSFS/bus/pci/devices/$1/iommu_group"; [ -e "$link" ] || missing "$1" iommu_group; basename "$(readlink "$link")"; }
edits=()
found=$(node 0000:03:00.0)
edits+=(-e "s|unresolved-0000:03:00.0\"|$found\"|")
found=$(node 0000:04:00.0)
edits+=(-e "s|unresolved-0000:04:00.0\"|$found\"|")
found=$(node 0000:05:00.0)
edits+=(-e "s|unresolved-0000:05:00.0\"|$found\"|")
found=$(node 0000:06:00.0)
edits+=(-e "s|unresolved-0000:06:00.0\"|$found\"|")
found=$(node 0001:43:00.0)
edits+=(-e "s|unresolved-0001:43:00.0\"|$found\"|")
found=$(node 0001:44:00.0)
edits+=(-e "s|unresolved-0001:44:00.0\"|$found\"|")
found=$(node 0001:45:00.0)
edits+=(-e "s|unresolved-0001:45:00.0\"|$found\"|")
found=$(node 0001:46:00.0)
edits+=(-e "s|unresolved-0001:46:00.0\"|$found\"|")
mkdir -p "$to"
sed "${edits[@]}" "$from"/cdi-nvidia.com-pgpu-train.json > "$to"/cdi-nvidia.com-pgpu-train.json
sed "${edits[@]}" "$from"/cdi-simkit.dev-function-train.json > "$to"/cdi-simkit.dev-function-train.json
