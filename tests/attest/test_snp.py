"""SEV-SNP reports made for the test: lines and versions, signers, chips, levels, policies, sessions, revocation, each with the check that speaks."""

from dataclasses import replace

import pytest
from snp_world import AT, CHIP, LEVELS, issue, report, revoke, rsa_key, tcb, vcek_extensions, vek_key, vlek_extensions, world

from simkit.attest.appraise import appraise
from simkit.errors import MalformedEvidence
from simkit.formats.evidence.certificates import read_certificate
from simkit.formats.evidence.source import read_evidence
from simkit.model.evidence.given import Anchor, Given, Vendor
from simkit.model.evidence.policy import AppraisalPolicy, SnpPolicy
from simkit.model.evidence.reference import ReferenceValue, ReferenceValues
from simkit.model.evidence.snp import Product, product_of, tcb_of

DEFAULT = AppraisalPolicy()


def appraised(data: bytes, given: Given, policy: AppraisalPolicy = DEFAULT):
    found = appraise(read_evidence(data, source="made"), given, policy)
    return found.verdict.value, [check.id.value for check in found.because], {check.id.value: check for check in found.checks}


def asked(data: bytes | None = None, *, product: str = "Milan", policy: AppraisalPolicy = DEFAULT, leaf: bytes | None = None, **more):
    here = world(product)
    return appraised(report(product=product) if data is None else data, here.given(leaf or here.vcek(), **more), policy)


@pytest.mark.parametrize(("product", "version"), [("Milan", 2), ("Genoa", 2), ("Milan", 3), ("Genoa", 3), ("Milan", 4), ("Genoa", 5), ("Turin", 3), ("Turin", 5)])
def test_every_line_and_version_that_is_right_passes(product: str, version: int) -> None:
    chip = CHIP[:8] if product == "Turin" else CHIP
    verdict, because, checks = asked(report(product=product, version=version, chip=chip), product=product)
    assert (verdict, because) == ("pass", [])
    assert [name for name, check in checks.items() if check.status.value == "ok"] == ["format", "signature", "chain", "root", "validity", "hwid", "tcb", "debug", "vmpl",
                                                                                      "attributes"]


def test_mitigation_vectors_are_read_from_version_5_on() -> None:
    here = world("Turin")
    found = appraise(read_evidence(report(product="Turin", version=5, chip=CHIP[:8]), source="made"), here.given(here.vcek()))
    assert (found.devices[0].claims["launch_mit_vector"], found.devices[0].claims["current_mit_vector"]) == ("0x3", "0x7")
    assert found.devices[0].id == CHIP[:8].hex()
    assert found.devices[0].claims["reported_tcb"] == {"fmc": 2, **LEVELS}


@pytest.mark.parametrize(("family", "model", "product"), [
    (0x19, 0x00, "Milan"), (0x19, 0x0F, "Milan"), (0x19, 0x10, "Genoa"), (0x19, 0x1F, "Genoa"), (0x19, 0x20, None), (0x19, 0x9F, None), (0x19, 0xA0, "Genoa"),
    (0x19, 0xAF, "Genoa"), (0x19, 0xB0, None), (0x1A, 0x00, "Turin"), (0x1A, 0x11, "Turin"), (0x1A, 0x12, None), (0x1A, 0x50, "Venice"), (0x1A, 0xC7, "Venice"),
    (0x1A, 0xC8, None), (0x17, 0x31, None)])
def test_the_line_of_a_cpuid(family: int, model: int, product: str | None) -> None:
    assert product_of(family, model) == (None if product is None else Product(product))


def test_a_line_has_its_own_root() -> None:
    """A report of a Genoa, its key endorsed under Milan's root: the chain holds, and it is another line's."""
    here, other = world("Milan"), world("Genoa")
    milan = here.given(here.vcek())
    both = replace(milan, anchors=(*milan.anchors, *other.given().anchors))
    verdict, because, checks = appraised(report(product="Genoa"), both)
    assert (verdict, because) == ("fail", ["root"])
    assert "ARK-Milan" in checks["root"].why
    assert "trusted: ARK-Genoa" in checks["root"].why
    assert appraised(report(product="Milan"), both)[0] == "pass"


def test_before_version_3_the_certificate_names_the_line() -> None:
    here = world("Milan")
    leaf = here.vcek(vcek_extensions(name="Genoa"))
    assert asked(report(version=2), leaf=leaf)[1] == ["root"]
    assert asked(report(version=3), leaf=leaf)[1] == [], "from version 3 on, the CPUID counts"


def test_right_names_with_foreign_keys_are_no_chain() -> None:
    leaf = world().vcek(issuer_key=rsa_key("stranger"))
    verdict, because, checks = asked(leaf=leaf)
    assert (verdict, because) == ("fail", ["chain", "root"])
    assert checks["signature"].status.value == "ok"


def test_chips_and_providers_have_intermediates_of_their_own() -> None:
    here = world()
    by_asvk = issue("SEV-VCEK", vek_key().public_key(), "SEV-VLEK-Milan", rsa_key("asvk"), extensions=vcek_extensions())
    by_ask = issue("SEV-VLEK", vek_key().public_key(), "SEV-Milan", rsa_key("ask"), extensions=vlek_extensions())
    assert asked(leaf=by_asvk)[1] == ["chain"]
    assert appraised(report(key_info=4, chip=b""), here.given(by_ask))[1] == ["chain"]


def test_a_chain_of_its_own_ends_at_no_trusted_root() -> None:
    ark, ask = rsa_key("own ark"), rsa_key("own ask")
    own = [issue("ARK-Milan", ark.public_key(), "ARK-Milan", ark, ca=True), issue("SEV-Milan", ask.public_key(), "ARK-Milan", ark, ca=True),
           issue("SEV-VCEK", vek_key().public_key(), "SEV-Milan", ask, extensions=vcek_extensions())]
    given = replace(world().given(), certificates=tuple(read_certificate(der, source="made") for der in own))
    assert appraised(report(), given)[1] == ["root"]


def test_the_right_certificate_is_found_among_others() -> None:
    here = world()
    others = (here.vcek(key=vek_key(8)), here.vcek(issuer_key=rsa_key("stranger")), here.vlek())
    assert appraised(report(), here.given(*others, here.vcek()))[0] == "pass"
    assert appraised(report(), here.given(here.vcek(), *others))[0] == "pass"
    assert appraised(report(), here.given(*others))[1] == ["chain", "root"], "the one that signed, under nobody"


def test_a_vlek_is_of_no_chip() -> None:
    here = world()
    verdict, because, checks = appraised(report(key_info=1 << 2, chip=b""), here.given(here.vlek()))
    assert (verdict, because) == ("pass", [])
    assert (checks["hwid"].status.value, checks["hwid"].why) == ("skipped", "signed by a VLEK, which is of cloud and of no chip")


def test_the_signer_that_the_report_names_must_be_the_one() -> None:
    here = world()
    missing = ["signature", "chain", "root", "validity"]
    assert appraised(report(), here.given(here.vlek()))[1] == missing
    assert "there is one of the other kind of signer" in appraised(report(), here.given(here.vlek()))[2]["signature"].why
    assert "other kind" not in appraised(report(), here.given())[2]["signature"].why
    assert appraised(report(key_info=1 << 2), here.given(here.vcek()))[1] == missing


@pytest.mark.parametrize(("key_info", "told"), [(7 << 2, "nobody signed it"), (2 << 2, "a reserved key"), (6 << 2, "a reserved key")])
def test_a_report_that_nobody_signed_is_refused(key_info: int, told: str) -> None:
    verdict, because, checks = asked(report(key_info=key_info))
    assert (verdict, because[0], checks["signature"].status.value) == ("fail", "signature", "fail")
    assert told in checks["signature"].why


def test_no_other_algorithm_is_taken_from_the_report() -> None:
    verdict, because, checks = asked(report(changes=[(0x34, b"\2")]))
    assert (verdict, because) == ("fail", ["signature"])
    assert "algorithm 2" in checks["signature"].why


def test_a_masked_chip_is_skipped_and_a_strict_policy_minds_it() -> None:
    verdict, because, checks = asked(report(chip=b"", key_info=2))
    assert (verdict, because, checks["hwid"].status.value) == ("pass", [], "skipped")
    strict = replace(DEFAULT, required=DEFAULT.required | {checks["hwid"].id})
    assert asked(report(chip=b""), policy=strict)[1] == ["hwid"]


@pytest.mark.parametrize(("product", "extensions", "chip", "because"), [
    ("Milan", vcek_extensions(wrapped=True), CHIP, []),
    ("Milan", vcek_extensions(chip=CHIP[::-1]), CHIP, ["hwid"]),
    ("Milan", vcek_extensions(chip=CHIP[:8]), CHIP, ["hwid"]),
    ("Milan", [each for each in vcek_extensions() if not each[0].endswith("3704.1.4")], CHIP, ["hwid"]),
    ("Turin", vcek_extensions("Turin", chip=CHIP[:8], fmc=2, wrapped=True), CHIP[:8], []),
    ("Turin", vcek_extensions("Turin", chip=CHIP[:8], fmc=2), CHIP, ["hwid"]),
    ("Turin", vcek_extensions("Turin", chip=CHIP[:8], fmc=3), CHIP[:8], ["tcb"]),
    ("Turin", vcek_extensions("Turin", chip=CHIP[:8]), CHIP[:8], ["tcb"]),
    ("Milan", vcek_extensions(levels=LEVELS | {"microcode": 216}), CHIP, ["tcb"]),
    ("Milan", vcek_extensions(levels=LEVELS | {"snp": 25}), CHIP, ["tcb"]),
    ("Milan", [each for each in vcek_extensions() if not each[0].endswith(".3.3")], CHIP, ["tcb"]),
    ("Milan", [], CHIP, ["hwid", "tcb"]),
])
def test_chip_and_levels_of_the_certificate(product: str, extensions: list, chip: bytes, because: list[str]) -> None:
    assert asked(report(product=product, chip=chip), product=product, leaf=world(product).vcek(extensions))[1] == because


@pytest.mark.parametrize("broken", [("4", bytes(63)), ("4", b"\4\x3f" + bytes(63)), ("4", b""), ("3.1", b"\2\1\xff"), ("3.1", b"\2\2\0\1"), ("3.1", b"\2\2\1\0"), ("3.1", b"\4\1\1"),
                                    ("3.1", b"\2\1\1\0"), ("2", b"\x16\2a"), ("2", b"\x16\1\n"), ("5", b"\x16\1\xc3")])
def test_an_extension_that_is_not_of_its_type_is_refused(broken: tuple[str, bytes]) -> None:
    arc = "1.3.6.1.4.1.3704.1."
    der = world().vcek([*[each for each in vcek_extensions() if each[0] != arc + broken[0]], (arc + broken[0], broken[1])])
    with pytest.raises(MalformedEvidence, match="an extension of AMD's"):
        read_certificate(der, source="made")


@pytest.mark.parametrize(("changes", "told"), [
    ([(0x38 + 3, b"\1")], "reserved bytes of the current TCB"), ([(0x180 + 2, b"\1")], "reserved bytes of the reported TCB"),
    ([(0x1E0 + 5, b"\1")], "reserved bytes of the committed TCB"), ([(0x1F0 + 4, b"\1")], "reserved bytes of the launch TCB"),
    ([(0x38, tcb(LEVELS | {"snp": 23}))], "the reported TCB's snp 24 is above the current 23"),
    ([(0x1E0, tcb(LEVELS | {"microcode": 218}))], "the committed TCB's microcode 218 is above the current 217")])
def test_levels_that_contradict_each_other(changes: list, told: str) -> None:
    verdict, because, checks = asked(report(changes=changes))
    assert (verdict, because) == ("fail", ["tcb"])
    assert told in checks["tcb"].why


def test_the_launch_may_have_been_at_other_levels() -> None:
    assert asked(report(changes=[(0x1F0, tcb(LEVELS | {"snp": 20}))]))[0] == "pass"


@pytest.mark.parametrize(("least", "told"), [((("snp", 24), ("microcode", 217)), None), ((("snp", 25),), "snp 24 is below the policy's 25"),
                                             ((("fmc", 0),), "the policy asks for fmc 0, which this processor does not report")])
def test_least_levels_of_the_policy(least: tuple, told: str | None) -> None:
    verdict, because, checks = asked(policy=AppraisalPolicy(snp=SnpPolicy(minimum_tcb=least)))
    assert (verdict, because) == (("pass", []) if told is None else ("fail", ["tcb"]))
    assert told is None or told in checks["tcb"].why


ONE = 1 << 17


@pytest.mark.parametrize(("policy_bits", "limits", "because"), [
    (ONE, {}, []), (0, {}, ["attributes"]), (ONE | 1 << 26, {}, ["attributes"]), (ONE | 1 << 63, {}, ["attributes"]), (ONE | 1 << 25, {}, []),
    (ONE | 1 << 18, {}, []), (ONE | 1 << 18, {"allow_migration_agent": False}, ["attributes"]), (ONE | 1 << 16, {"allow_smt": False}, ["attributes"]),
    (ONE, {"allow_smt": False, "allow_migration_agent": False}, []), (ONE, {"require_single_socket": True}, ["attributes"]),
    (ONE | 1 << 20, {"require_single_socket": True}, []), (ONE | 1 << 19, {}, ["debug"]), (ONE | 1 << 19, {"allow_debug": True}, []),
    (ONE | 0x0137, {}, []), (ONE | 0x0138, {}, ["attributes"]), (ONE | 0x0200, {}, ["attributes"]), (ONE, {"minimum_guest_svn": 3}, []),
    (ONE, {"minimum_guest_svn": 4}, ["attributes"]), (ONE, {"minimum_version": 4}, ["attributes"])])
def test_the_guests_policy(policy_bits: int, limits: dict, because: list[str]) -> None:
    assert asked(report(policy=policy_bits), policy=AppraisalPolicy(snp=SnpPolicy(**limits)))[1] == because


def test_an_author_key_without_its_flag_is_a_contradiction() -> None:
    assert asked(report(changes=[(0x110, b"\1" * 48)]))[1] == ["attributes"]
    assert asked(report(changes=[(0x110, b"\1" * 48)], key_info=1))[1] == []


@pytest.mark.parametrize(("vmpl", "highest", "because"), [(0, 0, []), (1, 0, ["vmpl"]), (3, 3, []), (4, 3, ["vmpl"]), (4, 9, ["vmpl"]), (0xFFFFFFFF, 3, ["vmpl"])])
def test_who_asked_for_the_report(vmpl: int, highest: int, because: list[str]) -> None:
    _, found, checks = asked(report(vmpl=vmpl), policy=AppraisalPolicy(snp=SnpPolicy(highest_vmpl=highest)))
    assert found == because
    assert checks["vmpl"].why.startswith("the host asked" if vmpl == 0xFFFFFFFF else f"asked for at VMPL {vmpl}")


@pytest.mark.parametrize(("said", "more", "because"), [
    (b"abc", {"report_data": b"abc"}, []), (b"abc", {"report_data": b"abc\0"}, []), (b"abc", {"report_data": b"ab"}, ["report_data"]),
    (b"abc", {"report_data": b"abd"}, ["report_data"]), (b"x" * 64, {"report_data": b"x" * 64}, []), (b"x" * 64, {"report_data": b"x" * 65}, ["report_data"]),
    (b"abc", {"nonce": b"abc"}, []), (b"abc and a key", {"nonce": b"abc"}, []), (b"abc", {"nonce": b"abd"}, ["nonce"]), (b"abc", {"nonce": b""}, ["nonce"]),
    (b"x" * 64, {"nonce": b"x" * 65}, ["nonce"]), (b"xabc", {"nonce": b"abc"}, ["nonce"])])
def test_what_ties_a_report_to_its_session(said: bytes, more: dict, because: list[str]) -> None:
    assert asked(report(report_data=said), **more)[1] == because


def values(**fields: bytes) -> dict:
    return {"references": (ReferenceValues("r", tuple(ReferenceValue(f"snp.{name}", value) for name, value in fields.items())),)}


def test_reference_values_and_init_data() -> None:
    assert asked(**values(measurement=b"m" * 48, host_data=b"h" * 32, family_id=b"f" * 16, image_id=b"i" * 16, bootloader=b"\4", snp=b"\x18"))[0] == "pass"
    assert asked(**values(measurement=b"n" * 48))[1] == ["measurements"]
    assert asked(**values(measurement=b"m" * 48, host_data=b"g" * 32))[1] == ["measurements"]
    asks = AppraisalPolicy(require_init_data=True)
    assert asked(policy=asks)[1] == ["measurements"]
    assert asked(policy=asks, **values(measurement=b"m" * 48))[1] == ["measurements"]
    assert asked(policy=asks, **values(host_data=b"h" * 32))[0] == "pass"


def test_a_pcr_that_is_expected_of_a_guest_without_a_vtpm_is_a_fault() -> None:
    references = (ReferenceValues("r", (ReferenceValue("snp.measurement", b"m" * 48), ReferenceValue("vtpm.pcr04", bytes(32)))),)
    verdict, because, checks = asked(references=references)
    assert (verdict, because) == ("fail", ["measurements"])
    assert checks["measurements"].why == "vtpm.pcr04 is expected, and this evidence does not say it"


def test_amds_list_is_of_intermediates() -> None:
    ark = rsa_key("ark")
    verdict, _, checks = asked(lists=(revoke("ARK-Milan", ark, [99]),))
    assert (verdict, checks["revocation"].status.value) == ("pass", "ok")
    verdict, because, checks = asked(lists=(revoke("ARK-Milan", ark, [11]),))
    assert (verdict, because) == ("fail", ["revocation"])
    assert "SEV-Milan (serial b) is revoked by ARK-Milan" in checks["revocation"].why
    assert asked(lists=(revoke("ARK-Milan", ark, [12]),))[0] == "pass", "the ASVK's number is another chain's"
    here = world()
    assert appraised(report(key_info=4, chip=b""), here.given(here.vlek(), lists=(revoke("ARK-Milan", ark, [12]),)))[1] == ["revocation"]


def test_a_list_that_counts_for_nothing_does_not_pass() -> None:
    ark = rsa_key("ark")
    assert asked(lists=(revoke("ARK-Milan", rsa_key("stranger"), [99]),))[1] == ["revocation"]
    assert asked(lists=(revoke("ARK-Milan", ark, [99], days=30),))[1] == ["revocation"]
    assert asked(lists=(revoke("ARK-Genoa", ark, [99]),))[1] == ["revocation"], "skipped, and it was given"


def test_without_a_certificate_nothing_above_is_checked() -> None:
    here = world()
    verdict, because, checks = appraised(report(report_data=b"n"), here.given(nonce=b"n", lists=(revoke("ARK-Milan", rsa_key("ark"), []),)))
    assert (verdict, because) == ("fail", ["signature", "chain", "root", "validity", "revocation"])
    assert {checks[each].status.value for each in ("signature", "chain", "root", "validity", "hwid", "tcb")} == {"skipped"}
    low = AppraisalPolicy(snp=SnpPolicy(minimum_tcb=(("snp", 99),)))
    assert appraised(report(), here.given(), low)[2]["tcb"].status.value == "fail", "what the report says of itself is already too little"


def test_a_root_of_another_vendor_vouches_for_nothing() -> None:
    here = world()
    given = here.given(here.vcek())
    assert appraised(report(), replace(given, anchors=(Anchor(given.anchors[0].certificate, frozenset({Vendor.INTEL}), "test"),)))[1][-1] == "root"


def test_levels_by_their_bytes() -> None:
    raw = bytes(range(1, 9))
    assert str(tcb_of(raw, Product.GENOA)) == "bootloader 1, tee 2, snp 7, microcode 8"
    assert str(tcb_of(raw, Product.TURIN)) == "fmc 1, bootloader 2, tee 3, snp 4, microcode 8"
    assert (tcb_of(raw, None).reserved, tcb_of(raw, Product.VENICE).reserved) == (raw[2:6], raw[4:7])


def test_vlek_extensions_without_a_provider_are_still_read() -> None:
    here = world()
    leaf = here.vlek([each for each in vlek_extensions() if not each[0].endswith("1.5")])
    assert appraised(report(key_info=4, chip=b""), here.given(leaf))[2]["hwid"].why == "signed by a VLEK, which is of the provider and of no chip"


def test_an_expired_link_is_named() -> None:
    from datetime import timedelta

    assert asked(at=AT + timedelta(days=800))[1] == ["validity"]


def test_trailing_bytes_are_told_with_the_format() -> None:
    assert asked(report() + bytes(7))[2]["format"].why.endswith("; 7 bytes behind it count for nothing")
    assert "behind it" not in asked()[2]["format"].why
