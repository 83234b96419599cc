#!/bin/bash
# Guest render of workload eight-rtx on cards, as QEMU runs it.
# sev-snp-guest needs QEMU 9.1 or later, vfio-pci with iommufd 9.0 or later; an older QEMU refuses this.
# Every device must be bound to vfio-pci first: that is what the plan's steps do.
# Not checked: the sev-snp objects and IOMMUFD, which were read in documentation and not tried on a host that has them; that the guest's physical address bits reach its 64-bit window; that the host nodes have the memory free; the firmware's path.
# QEMU does not pin vCPUs: pin the thread of each (QMP query-cpus-fast) as follows, in order.
# vCPU 0-15 (guest node 0): host CPUs 0-15 of node 0
# Arguments given to this script are appended: the guest's disk, kernel, network. Put devices on the root bus by name
# (bus=pcie.0,addr=N; free: 0x2, 0x3, 0x4, 0x5, 0x6, 0x10), or QEMU may place them on another bus.
set -euo pipefail
: "${QEMU:=qemu-system-x86_64}"
: "${OVMF:=/usr/share/OVMF/OVMF.amdsev.fd}"
# shellcheck disable=SC2054  # the commas are QEMU's
arguments=(
  -name guest=render
  # nothing that the plan does not know of
  -nodefaults
  -no-user-config
  -display none
  -machine q35,accel=kvm,kernel-irqchip=split,confidential-guest-support=tee0
  # cbitpos 51 is that of EPYC since Milan (CPUID 0x8000001f EBX); policy: SMT allowed, no debugging
  -object sev-snp-guest,id=tee0,cbitpos=51,reduced-phys-bits=1,policy=0x30000
  # a named model: family, model and stepping are part of the launch measurement
  -cpu EPYC-v4,host-phys-bits=on
  -smp cpus=16,sockets=1,cores=16,threads=1
  -m size=65536M
  # guest node 0 in host node 0
  -object memory-backend-memfd,id=mem0,size=65536M,share=on,prealloc=off,host-nodes=0,policy=bind
  -numa node,nodeid=0,cpus=0-15,memdev=mem0
  # firmware is measured, so it is loaded as read-only memory: no flash, no variables
  -bios "${OVMF}"
  # 64-bit window for the devices' BARs (2048 GiB); the guest's physical address bits must reach it
  -global q35-pcihost.pci-hole64-size=2097152M
  # the same for OVMF, in MiB
  -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=2097152
  # the guest's source of randomness, pinned to the root bus as all devices are
  -device virtio-rng-pci,id=rng0,bus=pcie.0,addr=0x1,disable-legacy=on,iommu_platform=on
  # stands for 0000:00:01.0 root port
  -device pcie-root-port,id=rp0,bus=pcie.0,addr=0x7,chassis=1,slot=1
  # stands for 0000:00:02.0 root port
  -device pcie-root-port,id=rp1,bus=pcie.0,addr=0x8,chassis=2,slot=2
  # stands for 0000:00:03.0 root port
  -device pcie-root-port,id=rp2,bus=pcie.0,addr=0x9,chassis=3,slot=3
  # stands for 0000:00:04.0 root port
  -device pcie-root-port,id=rp3,bus=pcie.0,addr=0xa,chassis=4,slot=4
  # stands for 0000:00:05.0 root port
  -device pcie-root-port,id=rp4,bus=pcie.0,addr=0xb,chassis=5,slot=5
  # stands for 0000:00:06.0 root port
  -device pcie-root-port,id=rp5,bus=pcie.0,addr=0xc,chassis=6,slot=6
  # stands for 0000:00:07.0 root port
  -device pcie-root-port,id=rp6,bus=pcie.0,addr=0xd,chassis=7,slot=7
  # stands for 0000:00:08.0 root port
  -device pcie-root-port,id=rp7,bus=pcie.0,addr=0xe,chassis=8,slot=8
  -device pcie-root-port,id=rp8,bus=pcie.0,addr=0xf,chassis=9,slot=9
  # conventional devices below: they cost slots, not I/O windows
  -device pcie-pci-bridge,id=br0,bus=rp8,addr=0x0
  # confidential guests take devices through IOMMUFD
  -object iommufd,id=iommufd0
  # 0000:10:00.0 RTX PRO 6000, IOMMU group 20
  -device vfio-pci,id=gpu0,bus=rp0,addr=0x0,host=0000:10:00.0,iommufd=iommufd0,x-nv-gpudirect-clique=0
  # 0000:10:00.1 HD audio, IOMMU group 20, comes along with 0000:10:00.0
  -device vfio-pci,id=audio0,bus=br0,addr=0x1,host=0000:10:00.1,iommufd=iommufd0
  # 0000:10:00.2 USB, IOMMU group 20, comes along with 0000:10:00.0
  -device vfio-pci,id=usb0,bus=br0,addr=0x2,host=0000:10:00.2,iommufd=iommufd0
  # 0000:10:00.3 USB-C, IOMMU group 20, comes along with 0000:10:00.0
  -device vfio-pci,id=other0,bus=br0,addr=0x3,host=0000:10:00.3,iommufd=iommufd0
  # 0000:11:00.0 RTX PRO 6000, IOMMU group 21
  -device vfio-pci,id=gpu1,bus=rp1,addr=0x0,host=0000:11:00.0,iommufd=iommufd0,x-nv-gpudirect-clique=0
  # 0000:11:00.1 HD audio, IOMMU group 21, comes along with 0000:11:00.0
  -device vfio-pci,id=audio1,bus=br0,addr=0x4,host=0000:11:00.1,iommufd=iommufd0
  # 0000:11:00.2 USB, IOMMU group 21, comes along with 0000:11:00.0
  -device vfio-pci,id=usb1,bus=br0,addr=0x5,host=0000:11:00.2,iommufd=iommufd0
  # 0000:11:00.3 USB-C, IOMMU group 21, comes along with 0000:11:00.0
  -device vfio-pci,id=other1,bus=br0,addr=0x6,host=0000:11:00.3,iommufd=iommufd0
  # 0000:12:00.0 RTX PRO 6000, IOMMU group 22
  -device vfio-pci,id=gpu2,bus=rp2,addr=0x0,host=0000:12:00.0,iommufd=iommufd0,x-nv-gpudirect-clique=0
  # 0000:12:00.1 HD audio, IOMMU group 22, comes along with 0000:12:00.0
  -device vfio-pci,id=audio2,bus=br0,addr=0x7,host=0000:12:00.1,iommufd=iommufd0
  # 0000:12:00.2 USB, IOMMU group 22, comes along with 0000:12:00.0
  -device vfio-pci,id=usb2,bus=br0,addr=0x8,host=0000:12:00.2,iommufd=iommufd0
  # 0000:12:00.3 USB-C, IOMMU group 22, comes along with 0000:12:00.0
  -device vfio-pci,id=other2,bus=br0,addr=0x9,host=0000:12:00.3,iommufd=iommufd0
  # 0000:13:00.0 RTX PRO 6000, IOMMU group 23
  -device vfio-pci,id=gpu3,bus=rp3,addr=0x0,host=0000:13:00.0,iommufd=iommufd0,x-nv-gpudirect-clique=0
  # 0000:13:00.1 HD audio, IOMMU group 23, comes along with 0000:13:00.0
  -device vfio-pci,id=audio3,bus=br0,addr=0xa,host=0000:13:00.1,iommufd=iommufd0
  # 0000:13:00.2 USB, IOMMU group 23, comes along with 0000:13:00.0
  -device vfio-pci,id=usb3,bus=br0,addr=0xb,host=0000:13:00.2,iommufd=iommufd0
  # 0000:13:00.3 USB-C, IOMMU group 23, comes along with 0000:13:00.0
  -device vfio-pci,id=other3,bus=br0,addr=0xc,host=0000:13:00.3,iommufd=iommufd0
  # 0000:14:00.0 RTX PRO 6000, IOMMU group 24
  -device vfio-pci,id=gpu4,bus=rp4,addr=0x0,host=0000:14:00.0,iommufd=iommufd0,x-nv-gpudirect-clique=1
  # 0000:14:00.1 HD audio, IOMMU group 24, comes along with 0000:14:00.0
  -device vfio-pci,id=audio4,bus=br0,addr=0xd,host=0000:14:00.1,iommufd=iommufd0
  # 0000:14:00.2 USB, IOMMU group 24, comes along with 0000:14:00.0
  -device vfio-pci,id=usb4,bus=br0,addr=0xe,host=0000:14:00.2,iommufd=iommufd0
  # 0000:14:00.3 USB-C, IOMMU group 24, comes along with 0000:14:00.0
  -device vfio-pci,id=other4,bus=br0,addr=0xf,host=0000:14:00.3,iommufd=iommufd0
  # 0000:15:00.0 RTX PRO 6000, IOMMU group 25
  -device vfio-pci,id=gpu5,bus=rp5,addr=0x0,host=0000:15:00.0,iommufd=iommufd0,x-nv-gpudirect-clique=1
  # 0000:15:00.1 HD audio, IOMMU group 25, comes along with 0000:15:00.0
  -device vfio-pci,id=audio5,bus=br0,addr=0x10,host=0000:15:00.1,iommufd=iommufd0
  # 0000:15:00.2 USB, IOMMU group 25, comes along with 0000:15:00.0
  -device vfio-pci,id=usb5,bus=br0,addr=0x11,host=0000:15:00.2,iommufd=iommufd0
  # 0000:15:00.3 USB-C, IOMMU group 25, comes along with 0000:15:00.0
  -device vfio-pci,id=other5,bus=br0,addr=0x12,host=0000:15:00.3,iommufd=iommufd0
  # 0000:16:00.0 RTX PRO 6000, IOMMU group 26
  -device vfio-pci,id=gpu6,bus=rp6,addr=0x0,host=0000:16:00.0,iommufd=iommufd0,x-nv-gpudirect-clique=1
  # 0000:16:00.1 HD audio, IOMMU group 26, comes along with 0000:16:00.0
  -device vfio-pci,id=audio6,bus=br0,addr=0x13,host=0000:16:00.1,iommufd=iommufd0
  # 0000:16:00.2 USB, IOMMU group 26, comes along with 0000:16:00.0
  -device vfio-pci,id=usb6,bus=br0,addr=0x14,host=0000:16:00.2,iommufd=iommufd0
  # 0000:16:00.3 USB-C, IOMMU group 26, comes along with 0000:16:00.0
  -device vfio-pci,id=other6,bus=br0,addr=0x15,host=0000:16:00.3,iommufd=iommufd0
  # 0000:17:00.0 RTX PRO 6000, IOMMU group 27
  -device vfio-pci,id=gpu7,bus=rp7,addr=0x0,host=0000:17:00.0,iommufd=iommufd0,x-nv-gpudirect-clique=1
  # 0000:17:00.1 HD audio, IOMMU group 27, comes along with 0000:17:00.0
  -device vfio-pci,id=audio7,bus=br0,addr=0x16,host=0000:17:00.1,iommufd=iommufd0
  # 0000:17:00.2 USB, IOMMU group 27, comes along with 0000:17:00.0
  -device vfio-pci,id=usb7,bus=br0,addr=0x17,host=0000:17:00.2,iommufd=iommufd0
  # 0000:17:00.3 USB-C, IOMMU group 27, comes along with 0000:17:00.0
  -device vfio-pci,id=other7,bus=br0,addr=0x18,host=0000:17:00.3,iommufd=iommufd0
)
exec "$QEMU" "${arguments[@]}" "$@"
