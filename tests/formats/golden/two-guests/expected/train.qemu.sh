#!/bin/bash
# Guest train of workload two-guests on hgx, as QEMU runs it.
# sev-snp-guest needs QEMU 9.1 or later, vfio-pci with iommufd 9.0 or later; an older QEMU refuses this.
# Every device must be bound to vfio-pci first: that is what the plan's steps do.
# Not checked: the sev-snp objects and IOMMUFD, which were read in documentation and not tried on a host that has them; that the guest's physical address bits reach its 64-bit window; that the host nodes have the memory free; the firmware's path.
# QEMU does not pin vCPUs: pin the thread of each (QMP query-cpus-fast) as follows, in order.
# vCPU 0-15 (guest node 0): host CPUs 0-15 of node 0
# vCPU 16-31 (guest node 1): host CPUs 48-63 of node 1
# Arguments given to this script are appended: the guest's disk, kernel, network. Put devices on the root bus by name
# (bus=pcie.0,addr=N; free: 0x2, 0x3, 0x4, 0x5, 0x6, 0x9), or QEMU may place them on another bus.
set -euo pipefail
: "${QEMU:=qemu-system-x86_64}"
: "${OVMF:=/usr/share/OVMF/OVMF.amdsev.fd}"
# shellcheck disable=SC2054  # the commas are QEMU's
arguments=(
  -name guest=train
  # nothing that the plan does not know of
  -nodefaults
  -no-user-config
  -display none
  -machine q35,accel=kvm,kernel-irqchip=split,confidential-guest-support=tee0
  # cbitpos 51 is that of EPYC since Milan (CPUID 0x8000001f EBX); policy: SMT allowed, no debugging
  -object sev-snp-guest,id=tee0,cbitpos=51,reduced-phys-bits=1,policy=0x30000
  # a named model: family, model and stepping are part of the launch measurement
  -cpu EPYC-v4,host-phys-bits=on
  # one socket a NUMA node
  -smp cpus=32,sockets=2,cores=16,threads=1
  -m size=262144M
  # guest node 0 in host node 0
  -object memory-backend-memfd,id=mem0,size=131072M,share=on,prealloc=off,host-nodes=0,policy=bind
  # guest node 1 in host node 1
  -object memory-backend-memfd,id=mem1,size=131072M,share=on,prealloc=off,host-nodes=1,policy=bind
  -numa node,nodeid=0,cpus=0-15,memdev=mem0
  -numa node,nodeid=1,cpus=16-31,memdev=mem1
  -numa dist,src=0,dst=1,val=32
  -numa dist,src=1,dst=0,val=32
  # firmware is measured, so it is loaded as read-only memory: no flash, no variables
  -bios "${OVMF}"
  # 64-bit window for the devices' BARs (1024 GiB); the guest's physical address bits must reach it
  -global q35-pcihost.pci-hole64-size=1048576M
  # the same for OVMF, in MiB
  -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=1048576
  # the guest's source of randomness, pinned to the root bus as all devices are
  -device virtio-rng-pci,id=rng0,bus=pcie.0,addr=0x1,disable-legacy=on,iommu_platform=on
  # root bus of guest node 0
  -device pxb-pcie,id=pxb0,bus=pcie.0,addr=0x7,bus_nr=32,numa_node=0
  # root bus of guest node 1
  -device pxb-pcie,id=pxb1,bus=pcie.0,addr=0x8,bus_nr=64,numa_node=1
  # stands for 0000:00:01.0 root port
  -device pcie-root-port,id=rp0,bus=pxb0,addr=0x0,chassis=1,slot=1
  # stands for 0001:40:01.0 root port
  -device pcie-root-port,id=rp1,bus=pxb1,addr=0x0,chassis=6,slot=6
  # stands for 0000:01:00.0 PEX89144 switch
  -device x3130-upstream,id=up0,bus=rp0,addr=0x0
  # stands for 0001:41:00.0 PEX89144 switch
  -device x3130-upstream,id=up1,bus=rp1,addr=0x0
  # stands for 0000:02:00.0 PEX89144 switch
  -device xio3130-downstream,id=dn0,bus=up0,addr=0x0,chassis=2,slot=2
  # stands for 0000:02:01.0 PEX89144 switch
  -device xio3130-downstream,id=dn1,bus=up0,addr=0x1,chassis=3,slot=3
  # stands for 0000:02:02.0 PEX89144 switch
  -device xio3130-downstream,id=dn2,bus=up0,addr=0x2,chassis=4,slot=4
  # stands for 0000:02:03.0 PEX89144 switch
  -device xio3130-downstream,id=dn3,bus=up0,addr=0x3,chassis=5,slot=5
  # stands for 0001:42:00.0 PEX89144 switch
  -device xio3130-downstream,id=dn4,bus=up1,addr=0x0,chassis=7,slot=7
  # stands for 0001:42:01.0 PEX89144 switch
  -device xio3130-downstream,id=dn5,bus=up1,addr=0x1,chassis=8,slot=8
  # stands for 0001:42:02.0 PEX89144 switch
  -device xio3130-downstream,id=dn6,bus=up1,addr=0x2,chassis=9,slot=9
  # stands for 0001:42:03.0 PEX89144 switch
  -device xio3130-downstream,id=dn7,bus=up1,addr=0x3,chassis=10,slot=10
  # confidential guests take devices through IOMMUFD
  -object iommufd,id=iommufd0
  # 0000:03:00.0 H100 SXM5 80GB, IOMMU group 40
  -device vfio-pci,id=gpu0,bus=dn0,addr=0x0,host=0000:03:00.0,iommufd=iommufd0
  # 0000:04:00.0 ConnectX-7, IOMMU group 41
  -device vfio-pci,id=nic0,bus=dn1,addr=0x0,host=0000:04:00.0,iommufd=iommufd0
  # 0000:05:00.0 H100 SXM5 80GB, IOMMU group 42
  -device vfio-pci,id=gpu1,bus=dn2,addr=0x0,host=0000:05:00.0,iommufd=iommufd0
  # 0000:06:00.0 ConnectX-7, IOMMU group 43
  -device vfio-pci,id=nic1,bus=dn3,addr=0x0,host=0000:06:00.0,iommufd=iommufd0
  # 0001:43:00.0 H100 SXM5 80GB, IOMMU group 50
  -device vfio-pci,id=gpu2,bus=dn4,addr=0x0,host=0001:43:00.0,iommufd=iommufd0
  # 0001:44:00.0 ConnectX-7, IOMMU group 51
  -device vfio-pci,id=nic2,bus=dn5,addr=0x0,host=0001:44:00.0,iommufd=iommufd0
  # 0001:45:00.0 H100 SXM5 80GB, IOMMU group 52
  -device vfio-pci,id=gpu3,bus=dn6,addr=0x0,host=0001:45:00.0,iommufd=iommufd0
  # 0001:46:00.0 ConnectX-7, IOMMU group 53
  -device vfio-pci,id=nic3,bus=dn7,addr=0x0,host=0001:46:00.0,iommufd=iommufd0
)
exec "$QEMU" "${arguments[@]}" "$@"
