"""`simkit attest expect` as a user meets it: from a plan to a document that `verify` takes, by its schema, with a second computation of each digest."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from efi_images import efi_image
from firmware_images import image
from jsonschema import validate
from plans import shipped_plans
from sevsnpmeasure import guest, id_block
from sevsnpmeasure.sev_mode import SevMode
from sevsnpmeasure.vcpu_types import CPU_SIGS

from simkit.attest.measurements import measurements_check
from simkit.cli.main import cli, main
from simkit.formats.evidence.source import open_support, read_support
from simkit.formats.native.plan import dump_plan
from simkit.formats.schema import schema
from simkit.model.evidence.check import CheckStatus
from simkit.model.evidence.given import Given
from simkit.model.platform import TeeKind

CCEL = "attestation/tdx/go-tdx-guest/ccel"
TDVF = ((0x1000, 0x2000, 0xFFFFE000, 0x2000, 0, 1), (0, 0x1000, 0xFFFFD000, 0x1000, 1, 0))
INIT = b'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"aa.toml" = "x"\n'


def run(*arguments: object):
    return CliRunner().invoke(cli, ["attest", "expect", *map(str, arguments)])


def failed(capsys, *arguments: object) -> tuple[str, int]:
    """What is said on stderr, and the exit status."""
    with pytest.raises(SystemExit) as ended:
        main(["attest", "expect", *map(str, arguments)])
    assert isinstance(ended.value.code, int)
    return capsys.readouterr().err, ended.value.code


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Firmware, kernel, initrd, init-data, and plans: as shipped, with TDX guests, without confidential ones."""
    folder = tmp_path_factory.mktemp("expect")
    plan = shipped_plans()[0]
    made = {"OVMF.fd": image(tdvf=TDVF), "vmlinuz": efi_image(), "initrd": b"070701" * 999, "init.toml": INIT}
    made["plan.json"] = dump_plan(plan).encode()
    made["tdx.json"] = dump_plan(replace(plan, guests=tuple(replace(each, tee=TeeKind.TDX) for each in plan.guests))).encode()
    made["open.json"] = dump_plan(replace(plan, guests=tuple(replace(each, tee=TeeKind.NONE) for each in plan.guests))).encode()
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in made} | {"folder": folder}


def document(*arguments: object) -> dict:
    done = run(*arguments, "--format", "json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    validate(found, schema("expect"))
    return found


def measured(firmware: Path, vcpus: int, cpu: str = "EPYC-v4", features: int = 1, boot=(None, None, None)) -> str:
    return guest.calc_launch_digest(SevMode.SEV_SNP, vcpus, CPU_SIGS[cpu], str(firmware), *boot, features).hex()


def test_each_guest_of_a_plan_has_the_digest_of_its_own_vcpus(files) -> None:
    usual = ["--firmware", files["OVMF.fd"], "--kernel", files["vmlinuz"], "--initrd", files["initrd"], "--cmdline", "ro quiet"]
    found = document(files["plan.json"], *usual, "--init-data", files["init.toml"])
    boot = (str(files["vmlinuz"]), str(files["initrd"]), "ro quiet")
    assert {name: each["snp"]["measurement"][0]["digest"] for name, each in found["guests"].items()} == {
        each.name: measured(files["OVMF.fd"], each.cpus, boot=boot) for each in shipped_plans()[0].guests}
    assert len(found["guests"]) == 2
    assert len({each["snp"]["measurement"][0]["digest"] for each in found["guests"].values()}) == 2
    assert {each["snp"]["host_data"][0]["digest"] for each in found["guests"].values()} == {hashlib.sha256(INIT).hexdigest()}
    assert all("unknown" not in each for each in found["guests"].values())
    assert "on hgx-h100, with the vCPUs that the plan gives" in found["about"]
    single = document(files["plan.json"], *usual, "--guest", "infer")
    assert list(single["guests"]) == ["infer"]
    assert single["guests"]["infer"]["unknown"] == {"snp.host_data": "no init-data was given"}
    assert single["guests"]["infer"]["snp"] == {"measurement": found["guests"]["infer"]["snp"]["measurement"]}


def test_without_a_plan(files) -> None:
    found = document("--tee", "snp", "--vcpus", 3, "--cpu", "epyc-milan", "--features", "0x21", "--firmware", files["OVMF.fd"])
    assert found["snp"]["measurement"][0]["digest"] == measured(files["OVMF.fd"], 3, "EPYC-Milan", 0x21)
    by_number = document("--tee", "snp", "--vcpus", 3, "--cpu", "0x00a00f11", "--features", 33, "--firmware", files["OVMF.fd"])
    assert by_number["snp"]["measurement"][0]["digest"] == found["snp"]["measurement"][0]["digest"]
    assert "guests" not in found


def test_the_document_is_what_verify_takes_whatever_its_clothes(files) -> None:
    usual = [files["plan.json"], "--firmware", files["OVMF.fd"]]
    said = document(*usual)
    for name in ("reference.yaml", "reference.json"):
        done = run(*usual, "-o", files["folder"] / name)
        assert done.exit_code == 0
        assert f"next: simkit attest verify EVIDENCE --reference {files['folder'] / name}" in done.stderr
        text = (files["folder"] / name).read_text()
        assert (json.loads(text) if name.endswith("json") else yaml.safe_load(text)) == said
        (support,) = open_support([str(files["folder"] / name)]).references
        assert {(each.guest, each.value.hex()) for each in support.values} == {
            (guest, each["snp"]["measurement"][0]["digest"]) for guest, each in said["guests"].items()}
        assert support.others == ("snp.host_data",)
    assert run(*usual, "--format", "yaml").output == run(*usual, "-o", "-").output == (files["folder"] / "reference.yaml").read_text()


def test_a_guest_with_one_vcpu_more_is_found_out(files) -> None:
    run(files["plan.json"], "--firmware", files["OVMF.fd"], "-o", files["folder"] / "plan.yaml")
    given = Given(at=None, anchors=(), references=open_support([str(files["folder"] / "plan.yaml")]).references)  # type: ignore[arg-type]
    train, infer = shipped_plans()[0].guests
    for vcpus, status in ((train.cpus, CheckStatus.OK), (infer.cpus, CheckStatus.OK), (infer.cpus + 1, CheckStatus.FAIL), (train.cpus - 1, CheckStatus.FAIL)):
        check = measurements_check({"snp.measurement": bytes.fromhex(measured(files["OVMF.fd"], vcpus))}, given)
        assert check.status is status, check.why


def test_a_tdx_guest(files) -> None:
    usual = [files["tdx.json"], "--firmware", files["OVMF.fd"], "--kernel", files["vmlinuz"], "--initrd", files["initrd"], "--cmdline", "ro"]
    vague = document(*usual)["guests"]["train"]
    assert list(vague["tdx"]) == ["mrtd"]
    assert "its version: state it" in vague["unknown"]["tdx.rtmr1"]
    exact = document(*usual, "--direct-boot", "initrd-first", "--older-kvm", "--init-data", files["init.toml"])["guests"]["train"]
    assert list(exact["tdx"]) == ["mrtd", "rtmr1", "rtmr2", "mrconfigid"]
    assert list(exact["unknown"]) == ["tdx.rtmr0", "tdx.rtmr3"]
    assert len(exact["tdx"]["mrtd"]) == 2
    assert exact["tdx"]["mrtd"][0] == vague["tdx"]["mrtd"][0]
    other = document(*usual, "--direct-boot", "initrd-last")["guests"]["train"]
    assert other["tdx"]["rtmr1"][0]["digest"] == exact["tdx"]["rtmr1"][0]["digest"]
    assert other["tdx"]["rtmr2"][0]["digest"] != exact["tdx"]["rtmr2"][0]["digest"]


@pytest.mark.corpus
def test_a_log_gives_what_its_quote_is_verified_with(corpus: Path, files) -> None:
    target = files["folder"] / "log.yaml"
    assert run("--event-log", corpus / CCEL / "ccel_data.dat", "-o", target).exit_code == 0
    usual = ["attest", "verify", str(corpus / CCEL / "cos-113-tdx-quote.dat"), "--at", "2025-07-01", "--reference", str(target)]
    right = CliRunner().invoke(cli, usual)
    assert right.exit_code == 0
    assert "as referenced: tdx.rtmr0 3fa2f61f395b7f5f, tdx.rtmr1 f62dbc072bd5d3f3, tdx.rtmr2 4969684dc87381fc (not compared: tdx.mrtd" in right.output
    target.write_text(target.read_text().replace("digest: 3", "digest: 4"))
    wrong = CliRunner().invoke(cli, usual)
    assert (wrong.exit_code, "because measurements of device 0 failed: tdx.rtmr0 is 3fa2" in wrong.output) == (1, True)


def test_keys_of_an_id_block(files, tmp_path: Path) -> None:
    for name, seed in (("id", 5), ("author", 7)):
        key = ec.derive_private_key(seed, ec.SECP384R1())
        (tmp_path / f"{name}.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        (tmp_path / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    usual = ["--tee", "snp", "--vcpus", 1, "--firmware", files["OVMF.fd"]]
    found = document(*usual, "--id-key", tmp_path / "id.pem", "--author-key", tmp_path / "author.pem")["snp"]
    for name in ("id", "author"):
        other = id_block.pub_to_digest(id_block.load_private_key_from_pem_file(str(tmp_path / f"{name}.key"))).hex()
        assert found[f"{name}_key_digest"][0]["digest"] == other
    assert list(document(*usual, "--id-key", tmp_path / "id.pem")["snp"]) == ["measurement", "id_key_digest"]


def test_for_people(files) -> None:
    text = run(files["plan.json"], "--firmware", files["OVMF.fd"]).output.splitlines()
    assert text[0] == "train: sev-snp"
    assert text[1].startswith("  snp.measurement   ")
    assert "64 vCPUs of EPYC-v4 by qemu, SEV features 0x1, firmware " in text[2]
    assert text[3] == "  snp.host_data     unknown: no init-data was given"
    assert "8 vCPUs by ec2, SEV" in run("--tee", "snp", "--vcpus", 8, "--vmm", "ec2", "--firmware", files["OVMF.fd"]).output


@pytest.mark.parametrize(("arguments", "says"), [
    ([], "nothing says of what kind the guest is"), (["--tee", "snp"], "depends on its number of vCPUs"), (["--tee", "snp", "--vcpus", "2"], "none was given"),
    (["--tee", "tdx"], "none was given"), (["--guest", "a"], "there is no plan"), (["--tee", "sev"], "'sev' is not one of snp, tdx"),
    (["{plan.json}"], "none was given"), (["{plan.json}", "--guest", "trian"], "the plan has no guest 'trian'"), (["{plan.json}", "--tee", "snp"], "--tee is to say"),
    (["{plan.json}", "--vcpus", "2"], "--vcpus is to say"), (["{open.json}"], "no guest of the plan is confidential"),
    (["{open.json}", "--guest", "infer"], "guest infer is not confidential"), (["{OVMF.fd}"], "OVMF.fd"), (["none.json"], "none.json"),
    (["{plan.json}", "--firmware", "{vmlinuz}"], "4096-byte pages"), (["{plan.json}", "--firmware", "none.fd"], "none.fd: cannot be opened"),
    (["{plan.json}", "--firmware", "{OVMF.fd}", "--initrd", "{initrd}"], "--initrd counts only beside --kernel"),
    (["{plan.json}", "--firmware", "{OVMF.fd}", "--cmdline", ""], "--cmdline counts only beside --kernel"),
    (["{tdx.json}", "--firmware", "{OVMF.fd}", "--direct-boot", "initrd-last"], "--direct-boot counts only beside --kernel"),
    (["{plan.json}", "--firmware", "{OVMF.fd}", "--kernel", "{vmlinuz}", "--direct-boot", "initrd-last"], "--direct-boot is about tdx guests"),
    (["{tdx.json}", "--firmware", "{OVMF.fd}", "--id-key", "{initrd}"], "--id-key is about sev-snp guests"),
    (["{plan.json}", "--firmware", "{OVMF.fd}", "--id-key", "{initrd}"], "no public key can be read"),
    (["{plan.json}", "--firmware", "{OVMF.fd}", "--kernel", "none"], "none: cannot be opened"),
    (["{plan.json}", "--firmware", "{OVMF.fd}", "--init-data", "{initrd}"], "this is no TOML"),
    (["{plan.json}", "--firmware", "{OVMF.fd}", "--init-data", "none"], "none: cannot be opened"),
    (["{plan.json}", "--firmware", "{OVMF.fd}", "--cpu", "host"], "another on every host"), (["{plan.json}", "--firmware", "{OVMF.fd}", "--features", "0x20"], "bit 0"),
    (["{plan.json}", "--firmware", "{OVMF.fd}", "--features", "many"], "'many' is no number"), (["{plan.json}", "--event-log", "{initrd}"], "--event-log is about tdx guests"),
    (["{tdx.json}", "--event-log", "{initrd}"], "one event log, and 2 guests"), (["{tdx.json}", "--guest", "infer", "--event-log", "{initrd}"], "initrd"),
    (["{tdx.json}", "--firmware", "{OVMF.fd}", "--kernel", "{initrd}", "--direct-boot", "initrd-last"], "no EFI application"),
])
def test_what_is_not_right_is_said_in_one_paragraph(files, capsys, arguments: list[str], says: str) -> None:
    named = [argument.replace(argument, str(files[argument[1:-1]])) if argument.startswith("{") else argument for argument in arguments]
    said, status = failed(capsys, *named)
    assert status == 2
    assert says in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) <= 4


def test_the_same_bytes_each_time(files) -> None:
    usual = [files["plan.json"], "--firmware", files["OVMF.fd"], "--format", "json"]
    assert run(*usual).output == run(*usual).output


def test_the_document_on_the_page_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "expect.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    validate(yaml.safe_load(shown), schema("expect"))
    (found,) = read_support(shown.encode(), source="expect.md").references
    assert [(each.name, each.guest) for each in found.values] == [("snp.measurement", "train")]
    assert all(f"--{name}" in page for name in ("firmware", "kernel", "initrd", "cmdline", "init-data", "id-key", "author-key", "direct-boot", "older-kvm", "event-log",
                                                "cpu", "features", "vmm", "vcpus", "tee"))
