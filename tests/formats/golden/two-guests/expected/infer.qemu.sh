#!/bin/bash
# Guest infer of workload two-guests on hgx, as QEMU runs it.
# Every device must be bound to vfio-pci first: that is what the plan's steps do.
# Not checked: that the guest's physical address bits reach its 64-bit window; that the host nodes have the memory free; the firmware's path.
# QEMU does not pin vCPUs: pin the thread of each (QMP query-cpus-fast) as follows, in order.
# vCPU 0-7 (guest node 0): host CPUs 64-71 of node 1
# Arguments given to this script are appended: the guest's disk, kernel, network. Put devices on the root bus by name
# (bus=pcie.0,addr=N; free: 0x2, 0x3, 0x4, 0x5, 0x6, 0x9), or QEMU may place them on another bus.
set -euo pipefail
: "${QEMU:=qemu-system-x86_64}"
: "${OVMF_CODE:=/usr/share/OVMF/OVMF_CODE_4M.fd}"
# shellcheck disable=SC2054  # the commas are QEMU's
arguments=(
  -name guest=infer
  # nothing that the plan does not know of
  -nodefaults
  -no-user-config
  -display none
  -machine q35,accel=kvm,kernel-irqchip=split
  -cpu host,host-phys-bits=on
  -smp cpus=8,sockets=1,cores=8,threads=1
  -m size=65536M
  # guest node 0 in host node 1
  -object memory-backend-memfd,id=mem0,size=65536M,share=on,prealloc=on,host-nodes=1,policy=bind
  -numa node,nodeid=0,cpus=0-7,memdev=mem0
  # OVMF's code; give its variables a file of the guest's own as unit 1 if they are to last
  -drive if=pflash,unit=0,format=raw,readonly=on,file="${OVMF_CODE}"
  # 64-bit window for the devices' BARs (256 GiB; without 0001:48:00.1, whose BARs are not known); the guest's physical address bits must reach it
  -global q35-pcihost.pci-hole64-size=262144M
  # the same for OVMF, in MiB
  -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=262144
  # the guest's source of randomness, pinned to the root bus as all devices are
  -device virtio-rng-pci,id=rng0,bus=pcie.0,addr=0x1
  # stands for 0001:40:01.0 root port
  -device pcie-root-port,id=rp0,bus=pcie.0,addr=0x7,chassis=1,slot=1
  # stands for 0001:40:01.0 root port
  -device pcie-root-port,id=rp1,bus=pcie.0,addr=0x8,chassis=2,slot=2
  # 0001:47:00.0 H100 SXM5 80GB, IOMMU group 54
  -device vfio-pci,id=gpu0,bus=rp0,addr=0x0,host=0001:47:00.0
  # 0001:48:00.1 virtual function 0 of 0001:48:00.0 ConnectX-7
  -device vfio-pci,id=nic0,bus=rp1,addr=0x0,host=0001:48:00.1
)
exec "$QEMU" "${arguments[@]}" "$@"
