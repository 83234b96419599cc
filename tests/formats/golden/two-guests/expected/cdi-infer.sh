#!/bin/bash
# Device nodes of guest infer of two-guests: run it on the node after its devices are bound to vfio-pci.
set -euo pipefail
from=$(cd "$(dirname "$0")" && pwd)
to=${1:-/var/run/cdi}
: "${SYSFS:=/sys}"
missing() { echo "$1 has no $2: is it bound to vfio-pci?" >&2; exit 1; }
# /dev/vfio/devices/vfioN, IOMMUFD's node of one function; /dev/vfio/GROUP, the node of its group.
node() { local all=("$SYSFS/bus/pci/devices/$1/vfio-dev/"vfio*); [ -e "${all[0]}" ] || missing "$1" vfio-dev; basename "${all[0]}"; }
group() { local link="$SYSFS/bus/pci/devices/$1/iommu_group"; [ -e "$link" ] || missing "$1" iommu_group; basename "$(readlink "$link")"; }
edits=()
found=$(group 0001:48:00.1)
edits+=(-e "s|unresolved-0001:48:00.1\"|$found\"|")
mkdir -p "$to"
cp "$from"/cdi-nvidia.com-pgpu-infer.json "$to"/cdi-nvidia.com-pgpu-infer.json
sed "${edits[@]}" "$from"/cdi-simkit.dev-function-infer.json > "$to"/cdi-simkit.dev-function-infer.json
