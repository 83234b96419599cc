"""Evidence under its clothes: hex, base64, JSON; certificates and lists of any bytes."""

import base64
import bz2
import contextlib
import gzip
import json
import lzma
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from authority import AT, issue, key, revoke
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from simkit.attest.appraise import appraise, describe
from simkit.errors import InputError, MalformedEvidence, UnreadableSource
from simkit.formats.evidence.certificates import read_certificates
from simkit.formats.evidence.ear import read_key
from simkit.formats.evidence.encoding import MOST_BYTES, content, unbase64, unhex_or_base64
from simkit.formats.evidence.roots import FILES, shipped
from simkit.formats.evidence.source import open_evidence, open_support, read_evidence, read_support
from simkit.model.evidence.certificate import CertificateFile
from simkit.model.evidence.evidence import Evidence
from simkit.model.evidence.given import Anchor, Given, Vendor

DATA = bytes(range(256))


@pytest.mark.parametrize("dressed", [
    DATA, DATA.hex().encode(), b"0x" + DATA.hex().upper().encode() + b"\n", "\n".join(DATA.hex()[i:i + 64] for i in range(0, 512, 64)).encode(),
    base64.b64encode(DATA), base64.urlsafe_b64encode(DATA).rstrip(b"="), base64.encodebytes(DATA), b"0X" + DATA.hex().encode(), DATA.hex(":").encode(), DATA.hex(" ").encode(),
    DATA.hex(":", 1).replace(":0", ":\r\n0").encode(), b"\xef\xbb\xbf" + DATA.hex().encode(), base64.encodebytes(DATA).replace(b"\n", b"\r\n"),
])
def test_bytes_however_they_are_dressed(dressed) -> None:
    assert content(dressed, source="x") == DATA


def test_json_stays_what_it_is() -> None:
    assert content(b' {"a": [1, "b"]}', source="x") == {"a": [1, "b"]}
    assert content(b'\xef\xbb\xbf{"a": [1, "b"]}', source="x") == {"a": [1, "b"]}
    assert content(base64.b64encode(json.dumps({"abcdefghij": list(range(30))}).encode()), source="x") == {"abcdefghij": list(range(30))}


@pytest.mark.parametrize("bad", [b"{", b'{"a": NaN}', b"[" * 100_000, b'{"a": "\xff"}'])
def test_json_that_is_none(bad) -> None:
    with pytest.raises(MalformedEvidence):
        content(bad, source="x")


@pytest.mark.parametrize(("data", "words"), [
    (gzip.compress(DATA), "packed by gzip; gunzip it first"), (bz2.compress(DATA), "packed by bzip2"), (lzma.compress(DATA), "packed by xz"),
    (b"\x28\xb5\x2f\xfd" + DATA, "packed by zstd"), (b"PK\x03\x04" + DATA, "a ZIP archive"), ('{"a": 1}'.encode("utf-16"), "text in UTF-16"),
    (b"\xfe\xff" + '{"a": 1}'.encode("utf-16-be"), "text in UTF-16"), (b'{"a": 1}\n{"a": 2}', "give one JSON value a file"),
    (b"00000000: 0200 0000 0400 0000 1f00 0300 0000 0000  ................\n" * 4, "xxd -r turns a dump back"),
    (b"00000000  02 00 00 00 04 00 00 00  1f 00 03 00 00 00 00 00  |................|\n" * 4, "xxd -r turns a dump back"),
])
def test_what_another_tool_must_undo_first_is_said(data, words) -> None:
    for reader in (read_evidence, read_support):
        with pytest.raises(MalformedEvidence, match=words):
            reader(data, source="x")


def test_hex_or_base64_in_a_text() -> None:
    assert unhex_or_base64("0x" + DATA.hex(), source="x") == unhex_or_base64(base64.b64encode(DATA).decode(), source="x") == DATA
    with pytest.raises(MalformedEvidence):
        unhex_or_base64("ab\ud800", source="x")


def test_evidence_that_is_given_beside_evidence_is_told_so() -> None:
    for data, kind in ((Path("models/evidence/milan-report.bin"), "snp"), (Path("models/evidence/tdx-quote.bin"), "tdx"), (Path("models/evidence/gb100-report.txt"), "nvidia-gpu")):
        with pytest.raises(UnreadableSource, match=f"this is evidence itself \\({kind}\\), not what stands beside it"):
            open_support([str(Path(__file__).parents[2] / data)])


def test_what_stands_beside_evidence_is_told_so_where_it_is_given_as_evidence() -> None:
    with pytest.raises(UnreadableSource, match=r"this stands beside evidence \(collateral\) and is none itself; give it by its option"):
        open_evidence([str(Path(__file__).parents[2] / "models/evidence/tdx-collateral.json")])


def test_lists_and_logs_are_told_so_too_and_a_key_is_nothing() -> None:
    """An event log begins with a small number, as a report of SEV-SNP does."""
    lists = revoke("root", key(1), [5])
    log = (1).to_bytes(4, "little") + bytes(28) + b"Spec ID Event03\0" + bytes(2048)
    for data, what in ((lists.der, "revocation list"), (log, "event log")):
        for clothes in (data, data.hex().encode(), base64.b64encode(data)):
            with pytest.raises(UnreadableSource, match=f"beside evidence \\({what}\\) and is none itself"):
                read_evidence(clothes, source="x")
    text = b"-----BEGIN X509 CRL-----\n" + base64.b64encode(lists.der) + b"\n-----END X509 CRL-----\n"
    with pytest.raises(UnreadableSource, match="revocation list"):
        read_evidence(text, source="x")
    private = key(1).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(UnreadableSource, match="no evidence that simkit knows"):
        read_evidence(private, source="x")


def test_pem_as_intels_service_sends_it_in_headers() -> None:
    encoded = quote(_two().partition("\n")[2])
    assert encoded.startswith("-----BEGIN%20CERTIFICATE-----%0A")
    for text in (encoded, encoded.replace("%20", "+")):
        assert [each.subject for each in read_support(text.encode(), source="x").certificates] == ["CN=leaf", "CN=root"]


def test_a_file_of_certificates_is_judged_whole() -> None:
    """The leaf is the one that issued none of the others, wherever it stands; the others are its chain."""
    root, leaf = issue("root", key(1), "root", key(1)), issue("leaf", key(3), "middle", key(2), ca=False)
    middle, stray = issue("middle", key(2), "root", key(1)), issue("stray", key(4), "nobody", key(5))
    given_ = Given(AT, (Anchor(root, frozenset({Vendor.INTEL}), "test"),))
    for others, failing in (((middle, root), set()), ((root, middle), set()), ((root,), {"chain", "root"}), ((middle, stray), {"chain"}),
                            ((middle, replace(root, signed=root.signed + b"x", der=b"x")), {"chain"})):
        found = appraise(Evidence("made", (CertificateFile(leaf, others),)), given_)
        assert {check.id.value for check in found.because} == failing
    text = "".join(f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(each.der).decode()}-----END CERTIFICATE-----\n" for each in (root, middle, leaf))
    (read_,) = read_evidence(text.encode(), source="x").statements
    assert (read_.leaf.subject, [each.subject for each in read_.others]) == ("CN=leaf", ["CN=root", "CN=middle"])
    assert describe(read_).claims["others"] == ["CN=root", "CN=middle"]


def test_claims_of_a_certificate_are_complete() -> None:
    (read_,) = open_evidence([str(Path(__file__).parents[2] / "models/evidence/milan-vcek.der")]).statements
    claims = describe(read_).claims
    assert json.loads(json.dumps(claims)) == claims
    assert (claims["not_before"], claims["amd"]["product_name"], claims["amd"]["tcb"]) == ("2023-01-24T17:58:26Z", "Milan-B0",
                                                                                        {"bootloader": 3, "tee": 0, "snp": 8, "microcode": 115})
    (gpu,) = open_evidence([str(Path(__file__).parents[2] / "models/evidence/gb100-chain.pem")]).statements
    assert describe(gpu).claims["dice"]["fwids"][0].startswith("d090cab1b6e6ffdd")


@pytest.mark.parametrize("label", ["PRIVATE KEY", "PKCS7", "TRUSTED CERTIFICATE"])
def test_pem_of_something_else_is_not_passed_over(label) -> None:
    with pytest.raises(MalformedEvidence, match=f"no certificate and no revocation list, but {label}"):
        read_support(f"-----BEGIN {label}-----\n{base64.b64encode(DATA).decode()}\n-----END {label}-----\n".encode(), source="x")


def test_bytes_that_hold_pem_are_no_pem() -> None:
    """As a quote does; a NUL behind a text, as C programs write it, is no harm."""
    pem = _two().encode()
    assert len(read_support(pem + b"\0", source="x").certificates) == 2
    for reader in (read_evidence, read_support):
        with pytest.raises(UnreadableSource):
            reader(b"\xaa\0\xbb\n" + pem, source="x")


def test_too_large() -> None:
    with pytest.raises(MalformedEvidence, match="at most"):
        content(bytes(MOST_BYTES + 1), source="x")


def test_not_base64() -> None:
    with pytest.raises(MalformedEvidence):
        unbase64("a!b", source="x")


@pytest.mark.parametrize("text", ["QUJ=", "QUJD\nRR", "QR=="])
def test_base64_has_one_writing(text) -> None:
    with pytest.raises(MalformedEvidence, match="bits set that stand for nothing"):
        unbase64(text, source="x")
    assert unbase64("QUI=", source="x") == unbase64("QUI", source="x") == b"AB"


@pytest.mark.parametrize("body", ["MAMCAQV=", "MAMCAR=="])
def test_base64_in_pem_has_one_writing(body) -> None:
    with pytest.raises(MalformedEvidence, match="PEM block 1 is base64 that is not canonical"):
        read_certificates(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n".encode(), source="x")


def _two() -> str:
    return "".join(f"# certificate {number}\n-----BEGIN CERTIFICATE-----\n{base64.encodebytes(each.der).decode()}-----END CERTIFICATE-----\n" for number, each in enumerate(
        (issue("leaf", key(3), "root", key(1)), issue("root", key(1), "root", key(1)))))


@pytest.mark.parametrize(("before", "after", "number"), [
    ("-----BEGIN", "----_BEGIN", 1), ("BEGIN", "BEGIM", 1), ("CERTIFICATE", "CERTIFICATF", 1), ("\nMII", "\nM[I", 1), ("-----END", "----_END", 1), ("-----\n#", "----_\n#", 1),
    ("-----END CERTIFICATE-----\n# certificate 1", "# certificate 1", 1), ("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n", 1),
])
def test_a_block_of_pem_is_never_left_out_in_silence(before, after, number) -> None:
    text = _two()
    assert [each.subject for each in read_certificates(text.encode(), source="x")] == ["CN=leaf", "CN=root"]
    assert before in text
    for reader in (read_evidence, read_support):
        with pytest.raises(InputError, match=rf"PEM block {number} is broken"):
            reader(text.replace(before, after, 1).encode(), source="x")


def test_pem_in_the_middle_of_other_text_is_no_certificate() -> None:
    """JSON whose first brace was lost holds certificates too."""
    for reader in (read_evidence, read_support):
        with pytest.raises(UnreadableSource):
            reader(b"z" + json.dumps({"vcek": _two().partition("\n")[2]})[1:].encode(), source="x")


@given(st.binary(max_size=300))
def test_no_bytes_break_the_readers(data) -> None:
    for read in (read_evidence, read_support):
        with contextlib.suppress(InputError):
            read(data, source="fuzz")


@given(st.data())
def test_no_mutated_certificate_breaks_the_reader(data) -> None:
    der = bytearray(issue("leaf", key(3), "root", key(1)).der)
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(der[:data.draw(st.integers(0, len(der)))])
    for dressed in (cut, b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(cut) + b"\n-----END CERTIFICATE-----\n"):
        for read in (read_evidence, read_support):
            with contextlib.suppress(InputError):
                read(dressed, source="fuzz")


@given(st.data())
def test_no_mutated_list_breaks_the_reader(data) -> None:
    der = bytearray(revoke("root", key(1), [1, 2]).der)
    der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        read_support(bytes(der), source="fuzz")


def test_support_is_found_by_content(tmp_path) -> None:
    certificate, listed = issue("root", key(1), "root", key(1)), revoke("root", key(1), [5])
    (tmp_path / "a").write_bytes(certificate.der)
    (tmp_path / "b").write_bytes(listed.der)
    (tmp_path / "c").write_bytes(b"-----BEGIN X509 CRL-----\n" + base64.b64encode(listed.der) + b"\n-----END X509 CRL-----\n")
    found = open_support([str(tmp_path / name) for name in "abc"])
    assert (len(found.certificates), [each.serials for each in found.lists]) == (1, [{5}, {5}])


def test_files_that_are_not_there_or_empty(tmp_path) -> None:
    (tmp_path / "empty").touch()
    for name in ("missing", "empty"):
        with pytest.raises(UnreadableSource):
            open_evidence([str(tmp_path / name)])


def test_a_bad_block_is_named() -> None:
    pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with pytest.raises(MalformedEvidence, match="certificate 1 cannot be read"):
        read_certificates(pem, source="x")


def test_shipped_roots_are_pinned_self_signed_and_one_vendors_each() -> None:
    anchors, others = shipped()
    assert len(anchors) == len(FILES) == 6
    assert all(len(anchor.vendors) == 1 and anchor.certificate.self_issued for anchor in anchors)
    assert sorted(each.subject.split(",")[0] for each in others) == ["CN=SEV-Genoa", "CN=SEV-Milan", "CN=SEV-Turin", "CN=SEV-VLEK-Genoa", "CN=SEV-VLEK-Milan", "CN=SEV-VLEK-Turin"]
    assert {vendor for anchor in anchors for vendor in anchor.vendors} == set(Vendor)
    assert all(anchor.certificate.not_before <= AT <= anchor.certificate.not_after for anchor in anchors)


def test_a_root_that_is_not_the_pinned_one_is_refused(monkeypatch) -> None:
    monkeypatch.setitem(FILES, "amd-milan.pem", (Vendor.AMD, "00" * 32, "elsewhere"))
    with pytest.raises(MalformedEvidence, match="not the pinned one"):
        shipped()


def test_keys_that_sign_no_result() -> None:
    wrong = ec.generate_private_key(ec.SECP521R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(MalformedEvidence, match="P-256"):
        read_key(wrong, source="k")
    with pytest.raises(MalformedEvidence):
        read_key(b"nothing", source="k")
