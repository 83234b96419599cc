"""Quotes and collateral by seed: platforms, levels, modules and enclaves of small numbers, so that every branch is met, and one thing wrong in most."""

import random
from dataclasses import dataclass, replace
from datetime import timedelta

from quote_forge import AT, BEGIN, END, ISSUED, NEXT, SEEDS, Enclave, Making, Platform, Publishing, Td, certificate, crl, isv_level, level, module, pem, stamp

STATUSES = ("UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded", "Revoked")
OF_ENCLAVES = ("UpToDate", "UpToDate", "OutOfDate", "Revoked")
FORMS = ((3, 1), (3, 1), (4, 2), (4, 2), (5, 2), (5, 3), (5, 3), (5, 4))
SGX_FORMS = ((4, 1), (5, 1))
"""Forms that Intel's QVL takes and dcap-qvl does not."""


@dataclass(frozen=True)
class Case:
    """One quote with its collateral and time; `wrong` names what was broken."""

    wrong: str
    making: Making
    publishing: Publishing
    at: object = AT

    def quote(self) -> bytes:
        return BROKEN_BYTES.get(self.wrong, lambda quote: quote)(self.making.quote())

    def document(self) -> dict:
        return BROKEN_DOCUMENTS.get(self.wrong, lambda document: document)(self.publishing.document())


def flipped(at: int):
    def flip(quote: bytes) -> bytes:
        found = bytearray(quote)
        found[at] ^= 0x10
        return bytes(found)
    return flip


def respell(name: str):
    """A byte of a signed text changed, which stays JSON."""
    return lambda document: document | {name: document[name].replace('"tcbEvaluationDataNumber":17', '"tcbEvaluationDataNumber":18').replace('"tcbEvaluationDataNumber": 17', '"tcbEvaluationDataNumber": 18')}


BROKEN_BYTES = {"header": flipped(30), "body": flipped(100), "cut off": lambda quote: quote[:-9], "tail": lambda quote: quote + bytes(70)}
BROKEN_DOCUMENTS = {"tcb info's bytes": respell("tcb_info"), "qe identity's bytes": respell("qe_identity")}


def wrongs(rng: random.Random, case: Case) -> dict[str, Case]:
    """Ways to break a case."""
    making, publishing = case.making, case.publishing
    chain = lambda **more: pem(certificate("pck", "ca", platform=making.platform, **more), certificate("ca", "root"), certificate("root", "root"))  # noqa: E731
    sign = lambda **more: pem(certificate("tcb", "root", **more), certificate("root", "root"))  # noqa: E731
    qe = making.qe
    td = lambda **more: replace(case, making=replace(making, td=replace(making.td, **more), enclave=making.enclave))  # noqa: E731
    past, future = stamp(AT - timedelta(seconds=1)), stamp(AT + timedelta(seconds=1))
    return {
        **dict.fromkeys([*BROKEN_BYTES, *BROKEN_DOCUMENTS], case),
        "quote's signer": replace(case, making=replace(making, quote_signer="other")),
        "report's signer": replace(case, making=replace(making, report_signer="other")),
        "binding": replace(case, making=replace(making, binding=bytes(64))),
        "fmspc": replace(case, publishing=replace(publishing, platform=replace(publishing.platform, fmspc=bytes(6)))),
        "pce id": replace(case, publishing=replace(publishing, platform=replace(publishing.platform, pce_id=b"\1\0"))),
        "tee of collateral": replace(case, publishing=replace(publishing, tee=0x81 ^ publishing.tee)),
        "tcb info expired": replace(case, publishing=replace(publishing, info={"nextUpdate": past})),
        "tcb info of the future": replace(case, publishing=replace(publishing, info={"issueDate": future})),
        "tcb info to the second": replace(case, publishing=replace(publishing, info={"issueDate": stamp(AT), "nextUpdate": stamp(AT)})),
        "qe identity expired": replace(case, publishing=replace(publishing, identity={"nextUpdate": past})),
        "qe identity of the future": replace(case, publishing=replace(publishing, identity={"issueDate": future})),
        "tcb info's signer": replace(case, publishing=replace(publishing, info_signer="other")),
        "qe identity's signer": replace(case, publishing=replace(publishing, identity_signer="pck")),
        "root list expired": replace(case, publishing=replace(publishing, root_crl=crl("root", end=AT - timedelta(days=1)))),
        "pck list expired": replace(case, publishing=replace(publishing, pck_crl=crl("ca", end=AT - timedelta(days=1)))),
        "pck revoked": replace(case, publishing=replace(publishing, pck_crl=crl("ca", (3, SEEDS["pck"])))),
        "ca revoked": replace(case, publishing=replace(publishing, root_crl=crl("root", (SEEDS["ca"],)))),
        "tcb signer revoked": replace(case, publishing=replace(publishing, root_crl=crl("root", (SEEDS["tcb"], 99)))),
        "another revoked": replace(case, publishing=replace(publishing, root_crl=crl("root", (98, 99)), pck_crl=crl("ca", (97,)))),
        "list of another": replace(case, publishing=replace(publishing, pck_crl=crl("root"))),
        "pck expired": replace(case, making=replace(making, chain=chain(end=AT - timedelta(days=1)))),
        "pck of the future": replace(case, making=replace(making, chain=chain(begin=AT + timedelta(days=1)))),
        "pck by another": replace(case, making=replace(making, chain=chain(signer="other"))),
        "pck of another key": replace(case, making=replace(making, chain=chain(holder="other"))),
        "tcb signer expired": replace(case, publishing=replace(publishing, signing=sign(end=AT - timedelta(days=1)))),
        "tcb signer by another": replace(case, publishing=replace(publishing, signing=sign(signer="other"))),
        "tcb signer of another key": replace(case, publishing=replace(publishing, signing=sign(holder="other"))),
        "qe signer": replace(case, making=replace(making, qe=replace(qe, mr_signer=b"\x44" * 32))),
        "qe product": replace(case, making=replace(making, qe=replace(qe, isv_prod_id=9))),
        "qe attributes": replace(case, making=replace(making, qe=replace(qe, attributes=b"\x05" + qe.attributes[1:]))),
        "qe debug": replace(case, making=replace(making, qe=replace(qe, attributes=b"\x17" + qe.attributes[1:]))),
        "qe misc": replace(case, making=replace(making, qe=replace(qe, misc_select=b"\1\0\0\0"))),
        "debug": replace(case, making=replace(making, td=replace(making.td, td_attributes=1 << 28 | 1), enclave=replace(making.enclave, attributes=b"\x07" + making.enclave.attributes[1:]))),
        "sept ve": td(td_attributes=0), "reserved attribute": td(td_attributes=1 << 28 | 1 << rng.choice((9, 17, 26, 32, 61))), "pks and kl": td(td_attributes=7 << 28 & ~(1 << 29) | 1 << 31),
        "service td": td(mr_service_td=b"\x55" * 48), "seam attributes": td(seam_attributes=b"\1" + bytes(7)), "seam signer": td(mr_signer_seam=b"\x66" * 48),
        "no module": replace(case, publishing=replace(publishing, modules=(module(9, isv_level(1)),))),
        "no modules": replace(case, publishing=replace(publishing, modules=())),
    }


def numbers(rng: random.Random, most: int) -> tuple[int, ...]:
    return tuple(rng.randint(0, most) for _ in range(3))


def case(seed: int, forms=FORMS) -> Case:
    """The case of a seed: an even one has numbers that may make a status or none, an odd one has a status and then one thing broken."""
    rng = random.Random(seed)
    sound = bool(seed % 2)
    statuses, of_enclaves = (STATUSES[:-1], OF_ENCLAVES[:-1]) if sound else (STATUSES, OF_ENCLAVES)
    version, kind = forms[rng.randrange(len(forms))]
    platform = Platform(components=(*numbers(rng, 4), *[0] * 13), pce_svn=rng.randint(3, 6))
    used = rng.choice((0, 1, 1, 2))
    td = Td(tee_tcb_svn=bytes([rng.randint(0, 4), used, rng.randint(0, 4), *[0] * 13]), tee_tcb_svn_2=bytes([rng.randint(2, 6), rng.choice((0, 1, 1, 2, 2 if sound else 3)), rng.randint(0, 4), *[0] * 13]))
    tee = 0 if kind == 1 else 0x81
    making = Making(version=version, body_type=kind, td=td, platform=platform, enclave=Enclave(isv_prod_id=7, isv_svn=1))
    making = replace(making, qe=Enclave(mr_signer=qe_signer(tee), isv_prod_id=2 if tee else 1, isv_svn=rng.randint(4 if sound else 3, 7)))
    advisory = iter(f"INTEL-SA-{number:05}" for number in rng.sample(range(8), 8) * 9)
    wanted = lambda: [next(advisory) for _ in range(rng.randint(0, 2))]  # noqa: E731
    levels = {}
    for _ in range(rng.randint(2, 5)):
        found = level(numbers(rng, 3), rng.randint(2, 6), numbers(rng, 3), rng.choice(statuses), wanted())
        levels[str(found["tcb"])] = found
    if sound or rng.random() < 0.8:
        found = level((), 0, (), rng.choice(statuses), wanted())
        levels[str(found["tcb"])] = found
    if tee == 0:
        levels = {str((each["tcb"]["sgxtcbcomponents"], each["tcb"]["pcesvn"])): each for each in levels.values()}
    listed = list(levels.values())
    rng.shuffle(listed)
    modules = tuple(module(number, isv_level(rng.randint(2, 4), rng.choice(of_enclaves), wanted()), isv_level(0 if sound else rng.randint(0, 1), rng.choice(of_enclaves), wanted())) for number in (1, 2))
    enclave_levels = (isv_level(6, rng.choice(("UpToDate", "UpToDate", "OutOfDate")), wanted()), isv_level(4, rng.choice(of_enclaves), wanted()))
    publishing = Publishing(tee=tee, platform=platform, levels=tuple(listed), modules=modules, enclave_levels=enclave_levels)
    made = Case("", making, publishing)
    if sound:
        ways = wrongs(rng, made)
        wrong = sorted(ways)[seed // 2 % len(ways)]
        made = replace(ways[wrong], wrong=wrong)
    return made


def qe_signer(tee: int) -> bytes:
    from quote_forge import QE_SIGNER

    return QE_SIGNER[tee]


__all__ = ["BEGIN", "END", "ISSUED", "NEXT", "Case", "case"]
