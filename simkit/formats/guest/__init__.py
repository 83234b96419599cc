"""What guests are started from: QEMU, libvirt, Kata, CDI, shell scripts."""
