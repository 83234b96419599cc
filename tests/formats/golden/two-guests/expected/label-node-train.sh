#!/bin/bash
# Labels of the node that train was planned for; give its name in the cluster.
set -euo pipefail
node=${1:?the name of the node}
# The GPU Operator binds the node's GPUs to vfio-pci, and its CC manager sets their confidential mode (ppcie: all GPUs and NVSwitches to one guest).
kubectl label node "$node" --overwrite nvidia.com/gpu.workload.config=vm-passthrough
kubectl label node "$node" --overwrite nvidia.com/cc.mode=on
kubectl label node "$node" --overwrite simkit.dev/train=here
