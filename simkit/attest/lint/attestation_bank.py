"""The bank for attestation policies of the attestation service: the claims of one device, and the reference values that RVPS has.

The policy of a class of device (`default_cpu`, `default_gpu`, ...) makes `data.policy.trust_claims`, a vector of AR4SI's claims; the device's status in
the token is the worst tier of them (trustee@78962cd:attestation-service/src/ear_token/broker.rs `issue`; veraison/rust-ear@20722b0:src/appraisal.rs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simkit.attest.lint import claims
from simkit.attest.lint.case import Base, Case, Change, Level, every, first, setting
from simkit.attest.lint.edit import MISSING, at, put
from simkit.attest.rego.engine import World

RULE = "data.policy.trust_claims"
CLASSES = ("cpu", "gpu", "switch", "ppcie")
_AZURE = ("az-snp-vtpm", "az-tdx-vtpm")
_MEASURED = ("snp", "tdx", *_AZURE, "tpm", "sample")
"""TEEs whose policies compare a measurement with reference values; Trustee's verifiers of `se` and of devices hold them against others."""
_NVIDIA = ("gpu", "switch")
_TCB = ("bootloader", "tee", "snp", "microcode")


def bases(device_class: str | None = None) -> tuple[Base, ...]:
    """One device of each kind that Trustee has a default policy for, with the reference values that it meets; of one class where it is named."""
    cpus = {"snp": claims.SNP, "tdx": claims.TDX, "az-snp-vtpm": claims.AZURE_SNP, "az-tdx-vtpm": claims.AZURE_TDX, "tpm": claims.TPM, "se": claims.SE}
    devices = {"gpu": claims.gpu(), "switch": claims.switch(), "ppcie": claims.PPCIE}
    found = {tee: claims.around(tee, of_tee) for tee, of_tee in cpus.items()} | devices
    return tuple(Base(name, World(each, {}, claims.REFERENCES)) for name, each in found.items() if device_class in (None, name if name in devices else "cpu"))


def cases() -> tuple[Case, ...]:
    """All cases."""
    return (*_guest(), *_references(), *_measurements(), *_init_data(), *_nvidia())


def _guest() -> list[Case]:
    return [
        Case("debug", Level.FAIL, "a guest that the host can debug", "ask for policy_debug_allowed (td_attributes.debug) false", first(
            setting(("snp", "policy_debug_allowed"), True),  # noqa: FBT003 (the claim's value)
            setting(("az-snp-vtpm", "policy_debug_allowed"), "true"),
            *(_td_debug(tee) for tee in ("tdx", "az-tdx-vtpm")))),
        Case("migratable", Level.FAIL, "a guest that a migration agent may read", "ask for policy_migrate_ma false", first(
            setting(("snp", "policy_migrate_ma"), True), setting(("az-snp-vtpm", "policy_migrate_ma"), "true"))),  # noqa: FBT003
        Case("sample-attester", Level.FAIL, "the sample attester, which anyone can be", "have no rule for input.sample", _sample),
        Case("claims-empty", Level.FAIL, "a device of which nothing is claimed", "start from values that do not affirm, and ask for each claim", _emptied),
        *(Case(f"tcb-{part}-old", Level.FAIL, f"a platform whose {part} is older than the reference's", "compare every component of the TCB", first(
            setting(("snp", f"reported_tcb_{part}"), 0), setting(("az-snp-vtpm", f"reported_tcb_{part}"), "0"))) for part in _TCB),
        Case("tcb-out-of-date", Level.FAIL, "a platform whose TCB is out of date", "ask for tcb_status UpToDate", first(
            setting(("tdx", "tcb_status"), "OutOfDate"), setting(("az-tdx-vtpm", "tcb_status"), "OutOfDate"))),
        Case("collateral-expired", Level.FAIL, "a quote judged by collateral that has expired", "ask for collateral_expiration_status \"0\"", first(
            *(setting((tee, "collateral_expiration_status"), "1") for tee in ("tdx", "az-tdx-vtpm")))),
        Case("ve-on", Level.RESIDUAL, "a trust domain whose host may raise #VE at will (SEPT_VE_DISABLE off)", "ask for td_attributes.septve_disable", every(
            setting(("tdx", "td_attributes", "septve_disable"), False),  # noqa: FBT003
            setting(("tdx", "quote", "body", "td_attributes"), "00" * 8))),
        Case("tpm-alone", Level.RESIDUAL, "a vTPM with no CPU's evidence", "have no rule for input.tpm",
             lambda world: world if "tpm" in world.input else None),
    ]


def _references() -> list[Case]:
    register = "where a value is not registered, do not affirm"
    return [
        Case("references-absent", Level.FAIL, "an image that no reference value is registered for", register, _without_references(*_MEASURED)),
        Case("references-absent-trusted", Level.RESIDUAL, "a device with no reference value of the operator's at all", register,
             _without_references("se", *_NVIDIA, "ppcie")),
        Case("configuration-unregistered", Level.RESIDUAL, "a platform whose configuration has no reference values", register,
             _dropping_references("snp_smt_enabled", "snp_tsme_enabled", "snp_guest_abi_major", "snp_guest_abi_minor", "snp_single_socket", "snp_smt_allowed")),
    ]


def _measurements() -> list[Case]:
    compare, fallback = "compare it with reference values", "do not fall back to a value that affirms"
    registers = {f"rtmr-{number}": (("quote", "body", f"rtmr_{number}"), Level.FAIL if number in (1, 2) else Level.RESIDUAL) for number in range(4)}
    found = [Case(f"{name}-other", level, f"another {name.replace('-', ' ').upper()} than the reference's", compare, setting(("tdx", *path), "e7" * 48))
             for name, (path, level) in registers.items()]
    return [
        *found,
        Case("measurement-other", Level.FAIL, "another image than the reference's", compare, first(
            setting(("snp", "measurement"), "a2" * 48), setting(("az-snp-vtpm", "measurement"), "AAAA"),
            *(setting((tee, "quote", "body", "mr_td"), "7e" * 48) for tee in ("tdx", "az-tdx-vtpm")), setting(("tpm", "pcr11"), "00" * 32))),
        Case("pcr-other", Level.FAIL, "another unified kernel image than the reference's (PCR 11)", compare, first(
            *(setting((tee, "tpm", "pcr11"), "00" * 32) for tee in _AZURE))),
        Case("seam-other", Level.RESIDUAL, "another TDX module than the reference's", compare, setting(("tdx", "quote", "body", "mr_seam"), "5f" * 48)),
        Case("configuration-other", Level.FAIL, "a platform configured otherwise than the reference values say", fallback, first(
            setting(("snp", "platform_smt_enabled"), False), setting(("az-snp-vtpm", "platform_smt_enabled"), "false"),  # noqa: FBT003
            *(setting((tee, "quote", "body", "xfam"), "ff" * 8) for tee in ("tdx", "az-tdx-vtpm")))),
        Case("tsme-other", Level.FAIL, "a platform whose memory outside of guests is encrypted otherwise than the reference says", fallback, first(
            setting(("snp", "platform_tsme_enabled"), False), setting(("az-snp-vtpm", "platform_tsme_enabled"), "false"))),  # noqa: FBT003
    ]


def _init_data() -> list[Case]:
    pin = "compare init_data with reference values, or leave it to the resource policy and pin it there"
    return [
        Case("init-data-other", Level.RESIDUAL, "a guest started with other init-data", pin, _digest("2d")),
        Case("init-data-absent", Level.RESIDUAL, "a guest started without init-data", pin, every(_digest("00"), setting(("init_data_claims",), None))),
    ]


def _nvidia() -> list[Case]:
    """Claims of NRAS that say no, one at a time."""
    flat = {"measurements-other": ("measres", "fail", "a device whose measurements are not its manifests'"),
            "debug-device": ("dbgstat", "enabled", "a device in debug"),
            "secure-boot-off": ("secboot", False, "a device that did not boot securely")}
    found = [Case(name, Level.FAIL, says, f"ask for {key}", _of_device(key, value)) for name, (key, value, says) in flat.items()]
    claimed = {"signature": ("attestation-report-signature-verified", "a report whose signature is wrong"),
               "fwid": ("attestation-report-cert-chain-fwid-match", "a report of other firmware than its certificate's"),
               "arch": ("arch-check", "a device of another architecture")}
    for name, (key, says) in claimed.items():
        found.append(Case(f"{name}-no", Level.FAIL, says, f"ask for x-nvidia-gpu-{key} (-switch-)", _of_device(f"x-nvidia-*-{key}", value=False)))
    for name, chain, says in (("certificate", "*-attestation-report", "a device"), ("driver-rim-certificate", "gpu-driver-rim", "a driver's manifest"),
                              ("bios-rim-certificate", "gpu-vbios-rim", "a VBIOS manifest"),
                              ("switch-rim-certificate", "switch-bios-rim", "a switch's manifest")):
        ask = f"ask for x-nvidia-{chain}-cert-chain's x-nvidia-cert-ocsp-status good"
        found.append(Case(f"{name}-revoked", Level.FAIL, f"{says} whose certificate is revoked", ask,
                          _of_device(f"x-nvidia-{chain}-cert-chain", {"x-nvidia-cert-status": "revoked", "x-nvidia-cert-ocsp-status": "revoked"})))
    ask = "ask for x-nvidia-gpu-attestation-report-cert-chain (-switch-) to be valid and good"
    for name, status, ocsp in (("expired", "expired", "good"), ("of unknown revocation", "valid", "unknown")):
        found.append(Case(f"certificate-{name.replace(' ', '-')}", Level.FAIL, f"a device with a certificate {name}", ask, _of_device(
            "x-nvidia-*-attestation-report-cert-chain", {"x-nvidia-cert-status": status, "x-nvidia-cert-ocsp-status": ocsp})))
    for rim in ("gpu-driver", "gpu-vbios", "switch-bios"):
        found.append(Case(f"{rim}-rim-unsigned", Level.FAIL, f"a {rim} manifest whose signature is wrong", f"ask for x-nvidia-{rim}-rim-signature-verified",
                          _of_device(f"x-nvidia-{rim}-rim-signature-verified", value=False)))
    for which, references in (("gpu-vbios", "allowed_vbios_versions"), ("gpu-driver", "allowed_driver_versions"),
                              ("switch-bios", "allowed_switch_bios_versions")):
        found.append(Case(f"{which}-version-other", Level.FAIL, f"a {which} version that is not in {references}", "do not fall back to a value that affirms",
                          _of_device(f"x-nvidia-{which}-version", "00.00.00.00.00")))
    return [
        *found,
        Case("manifests-overlap", Level.RESIDUAL, "driver and VBIOS manifests that both claim a measurement", "ask for x-nvidia-gpu-vbios-index-no-conflict",
             _of_device("x-nvidia-gpu-vbios-index-no-conflict", value=False)),
        Case("overall-no", Level.FAIL, "a device that NRAS as a whole answers no to", "ask for x-nvidia-overall-att-result",
             _of_device("x-nvidia-overall-att-result", value=False)),
        Case("sample-device", Level.FAIL, "the sample device, which anyone can be", "have no rule for input.sampledevice",
             lambda world: replace(world, input=claims.SAMPLE_DEVICE) if at(world.input, ("nvidia", "measres")) is not MISSING else None),
    ]


def _td_debug(tee: str) -> Change:
    return every(setting((tee, "td_attributes", "debug"), True), setting((tee, "quote", "body", "td_attributes"), "0100001000000000"))  # noqa: FBT003


def _tee(world: World) -> str | None:
    """Under which name the CPU's own claims are."""
    return next((name for name in (*claims.INIT_DATA, "csv", "cca", "sgx") if name in world.input), None)


def _sample(world: World) -> World | None:
    """The sample attester in the CPU's place; RVPS has the reference values of real ones only."""
    return None if _tee(world) in (None, "sample") else replace(world, input=claims.around("sample", claims.SAMPLE))


def _emptied(world: World) -> World | None:
    """Under `se` and `ppcie` there being claims is itself what the verifier found, so that nothing is taken away there."""
    name = "nvidia" if at(world.input, ("nvidia", "measres")) is not MISSING else _tee(world)
    return None if name in (None, "se") else replace(world, input=put(world.input, (name,), {}))


def _kind(world: World) -> str:
    """The kind of device, in the words of `bases`."""
    inside = world.input.get("nvidia")
    if isinstance(inside, Mapping):
        return "ppcie" if "switch_count" in inside else "switch" if any("switch-arch" in key for key in inside) else "gpu"
    return _tee(world) or ""


def _without_references(*kinds: str) -> Change:
    return lambda world: replace(world, references={}) if _kind(world) in kinds else None


def _dropping_references(*names: str) -> Change:
    def change(world: World) -> World | None:
        left = {name: value for name, value in world.references.items() if name not in names}
        return replace(world, references=left) if _kind(world) == "snp" and len(left) < len(world.references) else None

    return change


def _digest(octet: str) -> Change:
    """Init-data's digest made of one byte throughout, where the TEE keeps it too."""

    def change(world: World) -> World | None:
        before = world.input.get("init_data")
        if not isinstance(before, str):
            return None
        made = replace(world, input=put(world.input, ("init_data",), octet * (len(before) // 2)))
        kept = first(setting(("tdx", "quote", "body", "mr_config_id"), octet * 48), *(setting((tee, "tpm", "pcr08"), octet * 32) for tee in _AZURE),
                     setting(("tpm", "pcr08"), octet * 32))
        return kept(made) or made

    return change


def _of_device(key: str, value: Any) -> Change:
    """A claim of NRAS; `*` stands for gpu and for switch."""
    return first(*(setting(("nvidia", key.replace("*", kind)), value) for kind in _NVIDIA))
