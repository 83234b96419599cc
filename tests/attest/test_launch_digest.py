"""The SEV-SNP launch digest: golden values of two projects, and the same answer as sev-snp-measure for every input it knows."""

import hashlib
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from firmware_images import image
from sevsnpmeasure import guest
from sevsnpmeasure.sev_mode import SevMode
from sevsnpmeasure.vcpu_types import CPU_SIGS
from sevsnpmeasure.vmm_types import VMMType

from simkit.attest.expect.cpu import CPU_MODELS, cpu_signature, signature_of
from simkit.attest.expect.launch_digest import SnpLaunch, digest_from, firmware_digest, launch_digest
from simkit.attest.expect.sev_hashes import EMPTY, KernelHashes, cmdline_hash
from simkit.attest.expect.vmm import STARTS, Vmm
from simkit.errors import InputError, UnknownName
from simkit.formats.evidence.ovmf import read_firmware
from simkit.model.evidence.firmware import Firmware

V4 = 0x800F12
VMMS = {Vmm.QEMU: VMMType.QEMU, Vmm.EC2: VMMType.ec2, Vmm.GCE: VMMType.gce}
FOLDER = "attestation/snp/virtee-measurement"
PACKAGED = ("/usr/share/ovmf/OVMF.amdsev.fd", "/usr/share/OVMF/OVMF.amdsev.fd", "/usr/share/edk2/ovmf/OVMF.amdsev.fd", "/usr/share/ovmf/OVMF.fd",
            "/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_CODE.fd")


def empty_kernel(cmdline: str = "") -> KernelHashes:
    """What /dev/null gives for kernel and initrd."""
    return KernelHashes(EMPTY, EMPTY, cmdline_hash(cmdline))


def open_image(path: Path) -> Firmware:
    return read_firmware(path.read_bytes(), source=path.name)


GOLDEN = [  # suffix, vCPUs, features, hashes, VMM, digest: virtee/sev@9cf2adb:tests/measurement.rs and virtee/sev-snp-measure@8f2b337:tests/test_guest.py
    ("AmdSev", 1, 0x1, empty_kernel(), Vmm.QEMU, "ddc5224521617a536ee7ce9dd6224d1b58a8d4fda1c741f3ac99fc4bfa04ba6e9fc98646d4a07a9079397fa3852819b5"),
    ("AmdSev", 1, 0x21, empty_kernel(), Vmm.QEMU, "329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683632b9b50e4e1d7fa41179ef98a7ef198"),
    ("AmdSev", 1, 0x1, empty_kernel("console=ttyS0 loglevel=7"), Vmm.QEMU,
     "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa"),
    ("AmdSev", 1, 0x21, empty_kernel("console=ttyS0 loglevel=7"), Vmm.QEMU,
     "803f691094946e42068aaa3a8f9e26a5c89f36f7b73ecfb28c653360fe4b3aba7e534442e7e1e17895dfe778d0228977"),
    ("AmdSev", 1, 0x1, None, Vmm.QEMU, "19358ba9a7615534a9a1e2f0dfc29384dcd4dcb7062ff9c6013b26869a5fc6ecabe033c48dd6f6db5d6d76e7c5df632d"),
    ("AmdSev", 1, 0x21, None, Vmm.QEMU, "e1e1ca029dd7973ab9513295be68198472dcd4fc834bd9af9b63f6e8a1674dbf281a9278a4a2ebe0eed9f22adbcd0e2b"),
    ("AmdSev", 4, 0x1, empty_kernel(), Vmm.QEMU, "5061fffb019493a903613d56d54b94912a1a2f9e4502385f5c194616753720a92441310ba6c4933de877c36e23046ad5"),
    ("AmdSev", 4, 0x21, empty_kernel(), Vmm.QEMU, "4953b1fb416fa874980e8442b3706d345926d5f38879134e00813c5d7abcbe78eafe7b422907be0b4698e2414a631942"),
    ("OvmfX64", 1, 0x1, None, Vmm.QEMU, "da0296de8193586a5512078dcd719eccecbd87e2b825ad4148c44f665dc87df21e5b49e21523a9ad993afdb6a30b4005"),
    ("OvmfX64", 1, 0x21, None, Vmm.QEMU, "28797ae0afaba4005a81e629acebfb59e6687949d6be44007cd5506823b0dd66f146aaae26ff291eed7b493d8a64c385"),
    ("AmdSev", 1, 0x1, empty_kernel(), Vmm.EC2, "0883bd0eeb716e65b7b977a321c278d1e51b33b5c655fab985443bbcc65c086b9c15e8a0bd8811050dec7e24964e5056"),
    ("AmdSev", 1, 0x21, empty_kernel(), Vmm.EC2, "0ce9ccc06bab55eebe8abc234f3df6514883977a68a591b71052498ab52b2f1aa415db338033946ef93aa8278c0d67fb"),
    ("AmdSev", 1, 0x1, empty_kernel(), Vmm.GCE, "5da7106cf14cf46b1725ebab123eb9e53bd46a1e9f400cd0c08e7827b04b688ea8b4e403c8404efed4397ea5d5d0722e"),
    ("AmdSev", 4, 0x1, empty_kernel(), Vmm.GCE, "5c5debf100fc339f90276e761ee1f1658d08922c3b20e2a2e6c7a6c3370b2452a15a00eae11886a93d6fd1e7ab81e29d"),
    ("AmdSev", 2, 0x21, empty_kernel("console=ttyS0 loglevel=7"), Vmm.QEMU,  # the corpus' own, of sev-snp-measure 0.0.13
     "fdee4756af4d830201fb4b9fbcf366a50721d28c3a78fdd816f80751c62cdbf8b33c14c1e2ad37778943330d2d64986a"),
]


@pytest.mark.corpus
def test_golden_digests(corpus: Path) -> None:
    agreed = 0
    for suffix, vcpus, features, hashes, vmm, digest in GOLDEN:
        firmware = open_image(corpus / FOLDER / f"ovmf_{suffix}_suffix.bin")
        assert launch_digest(firmware, SnpLaunch(vcpus, V4, features, hashes, vmm)).hex() == digest
        agreed += 1
    assert agreed == 15


@pytest.mark.corpus
def test_golden_digest_of_the_firmware_alone(corpus: Path) -> None:
    found = firmware_digest(open_image(corpus / FOLDER / "ovmf_AmdSev_suffix.bin"))
    assert found.hex() == "086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2c37faaa4b24af3aa16aff8c374c2a55c467a50da6d466b74"


@pytest.mark.corpus
@pytest.mark.parametrize(("features", "digest"), [
    (0x1, "7d3756157c805bf6adf617064c8552e8c1688fa1c8756f11cbf56ba5d25c9270fb69c0505c1cbe1c5c66c0e34c6ed3be"),
    (0x21, "6ae80856486b1396af8c82a40351d6ed76a20c785e9c7fa4ffa27c22d5d6313b4b3b458cd3c9968e6f89fb5d8450d7a6"),
])
def test_the_golden_digests_for_ec2_that_differ_do_so_by_rdx_alone(corpus: Path, features: int, digest: str) -> None:
    firmware = open_image(corpus / FOLDER / "ovmf_AmdSev_suffix.bin")
    launch = SnpLaunch(1, V4, features, empty_kernel(), Vmm.EC2)
    assert digest_from(firmware_digest(firmware), firmware, launch, replace(STARTS[Vmm.EC2], rdx=0)).hex() == digest
    assert launch_digest(firmware, launch).hex() != digest


def other_opinion(path: Path, launch: SnpLaunch, kernel: tuple[Path, Path | None, str] | None) -> str:
    """The same by sev-snp-measure, which reads files itself."""
    named = (None, None, None) if kernel is None else (str(kernel[0]), None if kernel[1] is None else str(kernel[1]), kernel[2])
    return guest.calc_launch_digest(SevMode.SEV_SNP, launch.vcpus, launch.cpu_signature, str(path), *named, launch.features, vmm_type=VMMS[launch.vmm]).hex()


def hashes_of(kernel: tuple[Path, Path | None, str] | None) -> KernelHashes | None:
    if kernel is None:
        return None
    initrd = b"" if kernel[1] is None else kernel[1].read_bytes()
    return KernelHashes(hashlib.sha256(kernel[0].read_bytes()).digest(), hashlib.sha256(initrd).digest(), cmdline_hash(kernel[2]))


def compare(path: Path, kernels, vcpus, features) -> int:
    """How many inputs have the same digest; any that differs fails."""
    firmware, agreed = open_image(path), 0
    for kernel, count, bits, name, vmm in product(kernels, vcpus, features, CPU_SIGS, Vmm):
        launch = SnpLaunch(count, signature_of(name), bits, hashes_of(kernel), vmm)
        assert launch_digest(firmware, launch).hex() == other_opinion(path, launch, kernel), (kernel, count, bits, name, vmm)
        agreed += 1
    return agreed


@pytest.fixture
def kernels(tmp_path: Path):
    """None, a kernel alone, and one with initrd and command line."""
    (tmp_path / "vmlinuz").write_bytes(b"MZ kernel" * 500)
    (tmp_path / "initrd").write_bytes(b"070701" * 700)
    return [None, (tmp_path / "vmlinuz", None, ""), (tmp_path / "vmlinuz", tmp_path / "initrd", "root=/dev/vda1 ro größe=1")]


def test_every_model_is_known() -> None:
    assert CPU_MODELS == CPU_SIGS
    assert len(CPU_MODELS) == 16


def test_agrees_with_sev_snp_measure(tmp_path: Path, kernels) -> None:
    agreed = 0
    for seed in range(2):
        (tmp_path / f"{seed}.fd").write_bytes(image(seed=seed))
        agreed += compare(tmp_path / f"{seed}.fd", kernels, (1, 2, 5), (0x1, 0x21))
    print(f"{agreed} launch digests agree with sev-snp-measure")
    assert agreed == 1728


@pytest.mark.corpus
def test_agrees_with_sev_snp_measure_on_real_builds(corpus: Path, kernels) -> None:
    agreed = compare(corpus / FOLDER / "ovmf_AmdSev_suffix.bin", kernels, (1, 3, 64), (0x1, 0x221))
    agreed += compare(corpus / FOLDER / "ovmf_OvmfX64_suffix.bin", [None], (1, 2, 16, 240), (0x1, 0x21))
    assert agreed == 1248


def test_agrees_with_sev_snp_measure_on_this_machines_firmware(kernels) -> None:
    found = [Path(name) for name in PACKAGED if Path(name).is_file()]
    found = [path for path in found if open_image(path).sev is not None]
    if not found:
        pytest.skip("no OVMF with metadata for SEV-SNP is installed here")
    for path in found:
        takes_kernel = bool(open_image(path).hashes_address)
        assert compare(path, kernels if takes_kernel else [None], (2,), (1,)) == (144 if takes_kernel else 48)


@pytest.fixture(scope="module")
def firmware() -> Firmware:
    return read_firmware(image(), source="made")


BASE = SnpLaunch(4, V4, 1, KernelHashes(b"k" * 32, b"i" * 32, b"c" * 32))


@pytest.mark.parametrize("other", [
    replace(BASE, vcpus=3), replace(BASE, vcpus=5), replace(BASE, cpu_signature=CPU_MODELS["EPYC-Milan"]), replace(BASE, features=0x21), replace(BASE, hashes=None),
    replace(BASE, hashes=KernelHashes(b"K" * 32, b"i" * 32, b"c" * 32)), replace(BASE, hashes=KernelHashes(b"k" * 32, b"I" * 32, b"c" * 32)),
    replace(BASE, hashes=KernelHashes(b"k" * 32, b"i" * 32, b"C" * 32)), replace(BASE, vmm=Vmm.EC2), replace(BASE, vmm=Vmm.GCE),
])
def test_whatever_moves_the_guest_moves_the_digest(firmware: Firmware, other: SnpLaunch) -> None:
    assert launch_digest(firmware, other) != launch_digest(firmware, BASE)


def test_the_cpus_model_is_not_seen_where_the_hypervisor_hides_it(firmware: Firmware) -> None:
    for vmm in (Vmm.EC2, Vmm.GCE):
        assert len({launch_digest(firmware, replace(BASE, vmm=vmm, cpu_signature=value)) for value in CPU_MODELS.values()}) == 1
    assert len({launch_digest(firmware, replace(BASE, cpu_signature=value)) for value in CPU_MODELS.values()}) == 5


@pytest.mark.parametrize(("made", "launch", "says"), [
    ({}, replace(BASE, vcpus=0), "0 vCPUs"), ({}, replace(BASE, vcpus=4097), "4097 vCPUs"), ({"sev": None}, BASE, "no metadata for SEV-SNP"),
    ({"hashes": None}, BASE, "no page for its hash"), ({"hashes": 0}, BASE, "no page for its hash"), ({"sev": [(1, 0x800000, 0x1000)]}, BASE, "no page for its hash"),
    ({"hashes": 0x810F80}, BASE, "not in the one page"), ({"hashes": 0x80FC00}, BASE, "not in the one page"),
    ({"sev": [(0x10, 0x810000, 0x2000)]}, BASE, "not in the one page"), ({"sev": [(7, 0x810000, 0x1000)]}, replace(BASE, hashes=None), "pages of type 7"),
    ({"sev": [(3, 0x810000, 0x2000)]}, replace(BASE, hashes=None), "as a CPUID page"), ({"reset": None}, BASE, "where vCPUs after the first begin"),
])
def test_what_cannot_start_is_refused(made, launch: SnpLaunch, says: str) -> None:
    with pytest.raises(InputError, match=says):
        launch_digest(read_firmware(image(**made), source="made"), launch)


def test_one_vcpu_needs_no_reset_block() -> None:
    launch = replace(BASE, vcpus=1)
    assert launch_digest(read_firmware(image(reset=None, more=[("11111111-2222-3333-4444-555555555555", b"\0\0\0\0")]), source="made"), launch)


def test_models_by_name_and_number() -> None:
    assert signature_of("epyc-V4") == signature_of("0x800f12") == cpu_signature(23, 1, 2) == V4
    assert cpu_signature(6, 0x8F, 8) == 0x806F8
    with pytest.raises(UnknownName, match="did you mean EPYC-Milan"):
        signature_of("EPYC-Milano")
    with pytest.raises(InputError, match="another on every host"):
        signature_of("host")
