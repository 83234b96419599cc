"""NCCL's rules one by one, on topologies that a person can follow; expected values were worked out by hand from NCCL's source."""

import pytest
from cases import AMD, INTEL, LINK, NVSWITCH, answer, cpu, gpu, gpus, net, nic, switch

from simkit.errors import InputError
from simkit.semantics.nccl.rules import LATEST

SYS = ("NCCL_P2P_LEVEL=SYS", "NCCL_NET_GDR_LEVEL=SYS", "NCCL_PXN_DISABLE=1")


def test_one_switch_two_switches_a_cpu_two_cpus() -> None:
    below = answer(cpu(0, switch(0, gpu(0), gpu(1), nic(0))))
    assert gpus(below) == ("PIX", 24, 4, True)
    assert net(below) == ("PIX", 24, 4, "default")
    apart = answer(cpu(0, switch(0, switch(1, gpu(0)), switch(2, gpu(1), nic(0)))))
    assert gpus(apart) == ("PXB", 24, 6, True)
    assert net(apart) == ("PXB", 24, 6, "default")
    bridge = answer(cpu(0, gpu(0), gpu(1), nic(0)))
    assert gpus(bridge) == ("PHB", 24, 4, False)
    assert net(bridge) == ("PHB", 24, 4, "off")
    far = answer(cpu(0, gpu(0)), cpu(1, gpu(1), nic(0)))
    assert gpus(far) == ("SYS", 22, 5, False)
    assert net(far) == ("SYS", 22, 5, "off")
    assert gpus(far, 0, 0) == ("LOC", 5000, 0, True)


def test_the_level_that_is_set_allows_more_or_less() -> None:
    far = answer(cpu(0, gpu(0)), cpu(1, gpu(1), nic(0)), env=SYS)
    assert gpus(far) == ("SYS", 22, 5, True)
    assert net(far) == ("SYS", 22, 5, "default")
    near = (cpu(0, switch(0, gpu(0), gpu(1), nic(0))),)
    assert gpus(answer(*near, env=("NCCL_P2P_DISABLE=1",))) == ("PHB", 24, 6, False)
    assert gpus(answer(*near, env=("NCCL_P2P_LEVEL=0",)))[3] is False
    assert gpus(answer(*near, env=("NCCL_P2P_LEVEL=NVL", "NCCL_P2P_DISABLE=0")))[3] is False
    assert gpus(answer(*near, env=("NCCL_P2P_LEVEL=9",)))[3] is True
    assert net(answer(*near, env=("NCCL_NET_GDR_LEVEL=LOC",))) == ("PHB", 24, 6, "off")


def test_two_gpus_under_amd_use_p2p_wherever_they_are_three_do_not() -> None:
    assert gpus(answer(cpu(0, gpu(0), kind=AMD), cpu(1, gpu(1), kind=AMD))) == ("SYS", 16, 5, True)
    assert gpus(answer(cpu(0, gpu(0), gpu(2), kind=AMD), cpu(1, gpu(1), kind=AMD)), 0, 2) == ("SYS", 16, 5, False)


@pytest.mark.parametrize(("kind", "bw"), [
    ('arch="x86_64" vendor="GenuineIntel" familyid="6" modelid="79"', 6),
    ('arch="x86_64" vendor="GenuineIntel" familyid="6" modelid="85"', 10),
    (INTEL, 22),
    ('arch="x86_64" vendor="GenuineIntel" familyid="6" modelid="0xcf"', 40),
    ('arch="x86_64" vendor="GenuineIntel" familyid="7" modelid="207"', 6),
    (AMD, 16),
    ('arch="x86_64" vendor="  Shanghai  " familyid="7" modelid="91"', 9),
    ('arch="x86_64" vendor="CentaurHauls" familyid="7" modelid="90"', 6),
    ('arch="arm64"', 6),
    ('arch="ppc64"', 32),
    ('arch="riscv"', 96),
])
def test_between_cpus(kind: str, bw: float) -> None:
    wide = 'link_speed="64.0 GT/s PCIe" link_width="16"'
    assert gpus(answer(cpu(0, gpu(0, link=wide), kind=kind), cpu(1, gpu(1, link=wide), kind=kind)))[1] == bw


def test_figures_of_pcie_links() -> None:
    assert [LATEST.link(f"{speed} GT/s PCIe", 16) for speed in ("2.5", "5.0", "8.0", "16.0", "32.0", "64.0")] == [3, 6, 12, 24, 48, 96]
    assert [LATEST.link(f"{speed} GT/s", 16) for speed in ("2.5", "5", "8", "16", "32")] == [3, 6, 12, 24, 48]
    assert LATEST.link("16.0 GT/s", 16) == LATEST.link("Unknown", 16) == LATEST.link("", 0) == 12  # nothing of the table begins so
    assert LATEST.link("32.0 GT/s PCIe", 8) == 24


@pytest.mark.parametrize(("sm", "bw"), [(60, 18), (70, 20), (80, 20), (86, 12), (89, 20), (90, 20.6), (100, 40.1), (120, 40.1), (50, 20)])
def test_nvlinks_by_generation(sm: int, bw: float) -> None:
    link = '<nvlink target="0000:{}:00.0" count="1" tclass="0x030200"/>'
    assert gpus(answer(cpu(0, gpu(0, link.format(11), sm=sm), gpu(1, link.format(10), sm=sm)))) == ("NVL", bw, 3, True)


def test_nvswitches_are_one() -> None:
    four = "".join(f'<nvlink target="0000:{bus}:00.0" count="{count}" tclass="0x068000"/>' for bus, count in (("a0", 4), ("a1", 5), ("a2", 5), ("a3", 4)))
    assert gpus(answer(cpu(0, gpu(0, four), gpu(1, four)))) == ("NVL", 370.8, 4, True)


def test_nvlink_by_one_other_gpu_and_no_more() -> None:
    def chain(*numbers: int) -> str:
        return "".join(f'<nvlink target="0000:{0x10 + number:02x}:00.0" count="2" tclass="0x030200"/>' for number in numbers)

    row = (cpu(0, gpu(0, chain(1)), gpu(1, chain(0, 2)), gpu(2, chain(1, 3)), gpu(3, chain(2))),)
    found = answer(*row)
    assert gpus(found, 0, 1) == ("NVL", 41.2, 3, True)
    assert gpus(found, 0, 2) == ("NVB", 41.2, 4, True)
    assert gpus(found, 0, 3) == ("PHB", 24, 4, False)
    assert gpus(answer(*row, env=("NCCL_NVB_DISABLE=1",)), 0, 2) == ("PHB", 24, 4, False)


def test_pxn_goes_over_nvlink_to_the_gpu_that_is_near_the_nic() -> None:
    two = (cpu(0, switch(0, gpu(0, NVSWITCH), nic(0))), cpu(1, switch(1, gpu(1, NVSWITCH), nic(1))))
    found = answer(*two)
    assert net(found, 0, 0) == ("PIX", 24, 4, "default")
    assert net(found, 0, 1) == ("PXN", 24, 8, "default")
    assert net(answer(*two, env=("NCCL_PXN_DISABLE=1",)), 0, 1) == ("SYS", 22, 7, "off")
    assert net(answer(*two, env=("NCCL_PXN_DISABLE=2",)), 0, 1)[0] == "PXN"
    without = (cpu(0, switch(0, gpu(0, NVSWITCH), nic(0))), cpu(1, switch(1, gpu(1, NVSWITCH, gdr=0), nic(1))))
    assert net(answer(*without), 0, 1)[0] == "SYS"


def test_c2c_makes_a_path_to_a_nic_of_the_cpu_p2c() -> None:
    c2c = '<c2c bw="44712" count="10"/>'
    grace = cpu(0, gpu(0, c2c), nic(0), kind='arch="arm64"')
    assert net(answer(grace)) == ("P2C", 24, 4, "default")
    assert net(answer(grace, env=("NCCL_NET_GDR_C2C=0",)))[3] == "off"
    assert net(answer(cpu(0, switch(0, gpu(0, c2c), nic(0)), kind='arch="arm64"'))) == ("PIX", 24, 4, "pci")
    pair = answer(cpu(0, gpu(0, c2c), gpu(1, c2c), kind='arch="arm64"'))
    assert gpus(pair) == ("C2C", 447.12, 4, True)


def test_broadcom_switches_of_two_levels_are_one() -> None:
    gen4 = 'vendor="0x1000" device="0xc010" subsystem_vendor="0x1000" subsystem_device="0xa096"'
    assert gpus(answer(cpu(0, switch(0, switch(1, gpu(0), ids=gen4), switch(2, gpu(1), ids=gen4), ids=gen4)))) == ("PIX", 24, 4, True)
    upper, lower = (f'vendor="0x1000" device="0xc030" subsystem_vendor="0x1000" subsystem_device="0x{level}004"' for level in (0, 1))
    assert gpus(answer(cpu(0, switch(0, switch(1, gpu(0), ids=lower), switch(2, gpu(1), ids=lower), ids=upper))))[0] == "PIX"
    assert gpus(answer(cpu(0, switch(0, switch(1, gpu(0), ids=upper), switch(2, gpu(1), ids=upper), ids=upper))))[0] == "PXB"
    assert gpus(answer(cpu(0, switch(0, switch(1, gpu(0)), switch(2, gpu(1)), ids=gen4))))[0] == "PXB"


def test_a_second_level_without_devices_leaves_a_link_behind() -> None:
    """It is a copy of the last link: no harm where that is the one upwards, otherwise the switch loses its way up and NCCL gives up."""
    gen4 = 'vendor="0x1000" device="0xc010" subsystem_vendor="0x1000" subsystem_device="0xa096"'
    slow = 'link_speed="8.0 GT/s PCIe" link_width="4"'
    assert gpus(answer(cpu(0, switch(0, switch(1, ids=gen4), gpu(0), gpu(1), ids=gen4)))) == ("PIX", 24, 4, True)
    with pytest.raises(InputError, match="NCCL gives up"):
        answer(cpu(0, switch(0, switch(1, ids=gen4), gpu(0, link=slow), gpu(1, link=slow), ids=gen4)))
    upper, lower = (f'vendor="0x1000" device="0xc030" subsystem_vendor="0x1000" subsystem_device="0x{level}004"' for level in (0, 1))
    with pytest.raises(InputError, match="below a second level"):
        answer(cpu(0, switch(0, switch(1, gpu(0), ids=upper), ids=lower)))


def test_who_may_use_gpudirect_rdma() -> None:
    assert net(answer(cpu(0, switch(0, gpu(0), nic(0, gdr=0))))) == ("PHB", 24, 6, "off")
    assert net(answer(cpu(0, switch(0, gpu(0, gdr=0), nic(0)))))[3] == "off"


def test_before_ampere_a_relay_needs_nvlink_or_leave_to_read() -> None:
    """Reads count for PXN: a Volta GPU that shares PCIe with other flows sends through the CPU's memory, NCCL_NET_GDR_READ decides otherwise."""
    def pair(sm: int) -> tuple[str, ...]:
        link = '<nvlink target="0000:{}:00.0" count="2" tclass="0x030200"/>'
        return (cpu(0, switch(0, gpu(0, link.format(11), sm=sm), nic(0))), cpu(1, gpu(1, link.format(10), sm=sm)))

    assert net(answer(*pair(70)), 1, 0)[0] == "PXN"
    assert net(answer(*pair(70), env=("NCCL_NET_GDR_READ=0",)), 1, 0)[0] == "SYS"


def test_a_port_belongs_to_the_gpu_that_uses_it() -> None:
    """Two GPUs and two NICs below each switch: the first takes one, the second the other, so that PXN relays by the owner."""
    found = answer(cpu(0, switch(0, gpu(0, NVSWITCH), gpu(1, NVSWITCH), nic(0), nic(1))), cpu(1, gpu(2, NVSWITCH)))
    assert net(found, 2, 0) == ("PXN", 24, 8, "default")
    assert net(found, 2, 1) == ("PXN", 24, 8, "default")
    assert net(found, 0, 1)[0] == "PIX"


@pytest.mark.parametrize(("without", "gpus_", "ports", "relayed"), [(2, 3, 4, "0 2"), (3, 3, 4, "2"), (3, 4, 8, "0 2 3 4 6"), (2, 4, 8, "0 1 2 4 5")])
def test_which_port_belongs_to_whom_when_one_gpu_has_no_gpudirect_rdma(without: int, gpus_: int, ports: int, relayed: str) -> None:
    """GPUs begin at ports in mirrored order; what has been diverted counts for the next port. Expected values are those of NCCL's own code."""
    near = switch(0, *(gpu(number, NVSWITCH, gdr=int(number != without)) for number in range(1, gpus_ + 1)), *(nic(number) for number in range(ports)))
    found = answer(cpu(0, gpu(0, NVSWITCH)), cpu(1, near))
    assert " ".join(str(port) for port in range(ports) if net(found, 0, port)[0] == "PXN") == relayed


def test_ports_of_one_card_and_slow_ones() -> None:
    found = answer(cpu(0, switch(0, gpu(0), nic(0, speed=100_000, ports=2), nic(2, speed=-1))))
    assert [str(port) for port in found.nets] == ["0000:40:00.0", "0000:40:00.0", "0000:42:00.0"]
    assert [net(found, 0, port)[1] for port in range(3)] == [12.5, 12.5, 1.25]


def test_a_card_that_is_no_pci_device_hangs_on_the_first_cpu() -> None:
    bare = '<nic><net name="bond{0}" dev="{0}" speed="10000" gdr="0"/></nic>'
    found = answer(cpu(0, gpu(0), bare.format(0)), cpu(1, gpu(1), bare.format(1)))
    assert found.nets == (None, None)
    assert [net(found, gpu_, port)[0] for gpu_ in (0, 1) for port in (0, 1)] == ["PHB", "PHB", "SYS", "SYS"]


def test_several_ranks_on_a_gpu_and_partitions_of_one() -> None:
    rank = '<gpu dev="0" sm="90" rank="{0}" gdr="1" {1}>{2}</gpu>'
    shared = f'<pci busid="0000:10:00.0" class="0x030200" {LINK}>{rank.format(0, "", NVSWITCH)}{rank.format(1, "", NVSWITCH)}</pci>'
    found = answer(cpu(0, shared, gpu(2, NVSWITCH, bus=0x12)))
    assert gpus(found, 0, 1) == ("LOC", 5000, 2, True)
    assert gpus(found, 0, 2) == ("NVL", 370.8, 4, True)
    parts = "".join(rank.format(part, f'mlopart="{part}"', NVSWITCH) for part in (0, 1))
    split = f'<pci busid="0000:10:00.0" class="0x030200" {LINK}>{parts}</pci>'
    found = answer(cpu(0, split, gpu(2, NVSWITCH, bus=0x12)))
    assert gpus(found, 0, 1) == ("LOC", 2618, 3, True)
    assert gpus(found, 0, 2) == ("NVL", 185.4, 4, True)


def test_gpus_without_a_rank_are_not_there() -> None:
    idle = f'<pci busid="0000:20:00.0" class="0x030200" {LINK}><gpu dev="5" sm="90" gdr="1"/></pci>'
    assert len(answer(cpu(0, gpu(0), idle)).gpus) == 1


def test_where_nccl_gives_up() -> None:
    to_cpu = '<nvlink target="0004:00:00.0" count="1" tclass="0x068001"/>'
    power = (cpu(0, gpu(0, to_cpu), switch(0, gpu(1, to_cpu), nic(0)), kind='arch="arm64"'),)
    with pytest.raises(InputError, match=r"NVLink from GPU 0000:10:00\.0 goes by the CPU"):
        answer(*power)
    assert gpus(answer(*power, env=("NCCL_PXN_DISABLE=1",))) == ("NVL", 20.6, 4, True)
    with pytest.raises(InputError, match="over 640 NET"):
        answer(cpu(0, gpu(0), nic(0, ports=641)))
    with pytest.raises(InputError, match="and none back"):
        answer(cpu(0, gpu(0, '<nvlink target="0000:11:00.0" count="1" tclass="0x030200"/>'), gpu(1)))
    with pytest.raises(InputError, match="class 0x120000 is not that of a GPU"):
        answer(cpu(0, gpu(0).replace("0x030200", "0x120000")))
    with pytest.raises(InputError, match="has no sm"):
        answer(cpu(0, gpu(0).replace('sm="90"', "")))
