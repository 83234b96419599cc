# simkit's capture script: prints the facts of a Linux machine that `simkit capture` reads, for a machine where nothing is installed.
# Only reads. Needs a POSIX shell with readlink, sed and one of od, hexdump and xxd; busybox has them. As root it sees all, otherwise less.
#
#     sh capture.sh > node.capture          then, elsewhere: simkit capture --from node.capture -o node.yaml
#
# SIMKIT_ROOT is the folder that holds sys and proc, / if left out. What is printed, a record a line, paths relative to the root:
#     D path//a/b/c   a folder and the names in it          L path//target   a symbolic link       E path   is there
#     N path          is there, but may not be read         T path           a text; its lines follow, each after a blank
#     C path          bytes; hexadecimal lines follow, each after a blank    X word    cannot go on; why
# The first line names the format, the last is `end`.

set -u
LC_ALL=C
export LC_ALL
BREAK='
'
ATTRIBUTES='vendor device class revision subsystem_vendor subsystem_device current_link_speed max_link_speed current_link_width max_link_width
sriov_totalvfs sriov_numvfs sriov_offset sriov_stride sriov_vf_device resource numa_node local_cpulist local_cpus reset_method boot_vga'

names() {
    [ -d "$1" ] || return 0
    printf 'D %s/' "$1"
    for name in "$1"/*; do
        case $name in "$1/*" | *"$BREAK"*) continue ;; esac
        printf '/%s' "${name##*/}"
    done
    echo
}

link() {
    [ -L "$1" ] || return 0
    target=$(readlink "$1") || return 0
    case $1$target in *"$BREAK"*) return 0 ;; esac
    printf 'L %s//%s\n' "$1" "$target"
    if [ -e "$1" ]; then printf 'E %s\n' "$1"; fi
}

readable() {
    [ -f "$1" ] || return 1
    [ -r "$1" ] || { printf 'N %s\n' "$1"; return 1; }
}

# Without another program, as there are thousands; some shells read byte by byte, which lists of CPUs (binary attributes since Linux 5.16) do not bear.
text() {
    readable "$1" || return 0
    { printf 'T %s\n' "$1"; while IFS= read -r line || [ -n "$line" ]; do printf ' %s\n' "$line"; done; } <"$1"
}

table() {
    readable "$1" || return 0
    printf 'T %s\n' "$1"
    sed "${2-}s/^/ /" "$1"
    echo
}

bytes() {
    readable "$1" || return 0
    printf 'C %s\n' "$1"
    case $DUMP in
        od) od -An -v -tx1 -N"${2-4096}" "$1" ;;
        hexdump) printf ' '; hexdump -v -n "${2-4096}" -e '1/1 "%02x "' "$1" ;;
        xxd) xxd -p -l "${2-4096}" "$1" | sed 's/^/ /' ;;
    esac
    echo
}

device() {
    names "$1"
    for attribute in $ATTRIBUTES; do text "$1/$attribute"; done
    bytes "$1/config"
    for attribute in driver iommu_group physfn; do link "$1/$attribute"; done
}

# Functions that /sys/bus/pci/devices does not lead to, as in partial copies.
walk() {
    if [ ! -d "$1" ] || [ -L "$1" ]; then return 0; fi
    case ${1##*/} in
        pci*) names "$1" ;;
        *) if [ ! -L "sys/bus/pci/devices/${1##*/}" ] || [ ! -d "sys/bus/pci/devices/${1##*/}" ]; then device "$1"; fi ;;
    esac
    for below in "$1"/*; do
        case ${below##*/} in pci*:* | *:*:*.*) walk "$below" ;; esac
    done
}

functions() {
    names sys/bus/pci/devices
    for entry in sys/bus/pci/devices/*; do
        link "$entry"
        if [ -d "$entry" ]; then device "$entry"; fi
    done
    names sys/devices
    for entry in sys/devices/pci*; do walk "$entry"; done
    names sys/kernel/iommu_groups
    for entry in sys/kernel/iommu_groups/*; do names "$entry/devices"; done
    names sys/class/iommu
}

platform() {
    names sys/devices/system/node
    for entry in sys/devices/system/node/node[0-9]*; do
        for attribute in cpulist cpumap meminfo distance; do table "$entry/$attribute"; done
        names "$entry/hugepages"
        for pool in "$entry"/hugepages/hugepages-*kB; do
            for attribute in nr_hugepages free_hugepages; do text "$pool/$attribute"; done
        done
    done
    names sys/devices/system/cpu
    for entry in sys/devices/system/cpu/cpu[0-9]*; do
        table "$entry/topology/thread_siblings_list"
        text "$entry/topology/physical_package_id"
    done
    for entry in sys/module/kvm_amd/parameters/sev_snp sys/module/kvm_intel/parameters/tdx sys/fs/cgroup/misc.capacity; do text "$entry"; done
    table proc/cpuinfo '/^$/q;'
    for entry in cmdline version sys/kernel/osrelease sys/kernel/hostname self/mountinfo swaps; do table "proc/$entry"; done
    for entry in route ipv6_route if_inet6 tcp tcp6; do table "proc/net/$entry"; done
}

# What firmware puts under IOMMUs; FACP is on every machine with such tables, and tells that they may be read.
firmware() {
    names sys/firmware/acpi/tables
    for table in FACP DMAR IVRS IORT; do bytes "sys/firmware/acpi/tables/$table" 1048576; done
}

disks() {
    names sys/class/block
    for entry in sys/class/block/*; do
        link "$entry"
        leads=${target-}
        [ -d "$entry" ] || continue
        text "$entry/dm/name"
        for place in "$entry" "$entry/.."; do
            names "$place/slaves"
            for slave in "$place"/slaves/*; do link "$slave"; done
        done
        case $leads in *nvme-subsys*)
            for place in "$entry/.." "$entry/../.."; do
                for controller in "$place"/nvme[0-9]*; do if [ -L "$controller" ]; then names "$place"; link "$controller"; fi; done
            done ;;
        esac
    done
    for entry in sys/dev/block/*; do link "$entry"; done
    names sys/fs/btrfs
    for entry in sys/fs/btrfs/*; do names "$entry/devices"; done
}

# Names of disks in the tables of procfs that are links: /dev/mapper/root, /dev/disk/by-uuid/...
sources() {
    root=$(pwd -P)
    { sed -n 's/^.* - [^ ]* \([^ ]*\).*$/\1/p' proc/self/mountinfo; sed -n 's/^\([^ 	]*\).*$/\1/p' proc/swaps; } | tr : "$BREAK" |
        while IFS= read -r source; do
            case $source in *..*) continue ;; /dev/*) ;; *) continue ;; esac
            [ -L "${source#/}" ] || continue
            target=$(readlink -f "${source#/}") || continue
            [ -e "$target" ] || continue
            target=${target#"${root%/}"}
            printf 'L %s//%s\nE %s\n' "${source#/}" "$target" "${target#/}"
        done
}

interfaces() {
    names sys/class/net
    for entry in sys/class/net/*; do
        link "$entry"
        names "$entry"
        link "$entry/device"
    done
}

main() {
    echo simkit-capture/1
    cd "${SIMKIT_ROOT:-/}" && [ -d sys ] || { echo 'X sysfs'; exit 0; }
    for DUMP in od hexdump xxd none; do if command -v "$DUMP" >/dev/null; then break; fi; done
    [ "$DUMP" != none ] || { echo 'X dump'; exit 0; }
    command -v readlink >/dev/null && command -v sed >/dev/null || { echo 'X tools'; exit 0; }
    functions
    platform
    firmware
    disks
    sources
    interfaces
    echo end
}

main </dev/null 2>/dev/null
