"""What a verifier is given, from files: each recognised by its content, whatever it was handed over as."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from simkit.errors import UnreadableSource
from simkit.formats.evidence.roots import shipped, trusted
from simkit.formats.evidence.source import open_support
from simkit.model.evidence.given import Given


def open_given(at: datetime, files: Iterable[str] = (), *, roots: Iterable[str] = (), nonce: bytes | None = None, report_data: bytes | None = None) -> Given:
    """Certificates, lists, collateral, manifests, reference values and logs for a time; `roots` stand in place of the shipped ones.

    Raises:
        InputError: a file cannot be read, is of no known kind, or is to be a root and holds no certificate.
    """
    support = open_support(tuple(files))
    anchors, intermediates = shipped()
    if named := tuple(roots):
        anchors = ()
        for name in named:
            found = open_support((name,)).certificates
            if not found:
                raise UnreadableSource("no certificate in the file that is to be trusted", where=name, remedy="give a root certificate, PEM or DER")
            anchors += trusted(found, source=name)
    return Given(at, anchors, support.certificates + intermediates, support.lists, support.collateral, support.rims, support.references, support.event_logs,
                 nonce, report_data, support.tpm_quotes, support.signatures)
