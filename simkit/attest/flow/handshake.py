"""A handshake with a known identity mix-up, in the same form: what the search is calibrated on.

The Needham-Schroeder public key protocol without its key server (Needham, Schroeder 1978; Lowe, Information Processing Letters 56, 1995): A opens with B or
with the intruder I, who owns a key of its own; B answers anybody. Lowe's repair puts the responder's name into the second message.
"""

from __future__ import annotations

from simkit.attest.flow.rule import Property, Rule, Table, Violation

_NONCES = ("na", "nb", "ni")
BOUNDS = ("1 run of A, 1 run of B", "a nonce each for A, B and the intruder", "messages of the protocol's three shapes")
"""Within what the search is exhaustive. That no larger system has an attack if this one has none is Lowe's argument (TACAS 1996), not the search's."""
_INTRUDER = (
    Rule("read first", "I", "I", "decrypts {{{n}, A}}", (("n", _NONCES),), needs=("first I {n} A",), adds=("known {n}",)),
    Rule("read second", "I", "I", "decrypts {{{n}, {m}}}", (("n", _NONCES), ("m", _NONCES)), needs=("second I {n} {m} B",), adds=("known {n}", "known {m}")),
    Rule("read third", "I", "I", "decrypts {{{m}}}", (("m", _NONCES),), needs=("third I {m}",), adds=("known {m}",)),
    Rule("send first", "I", "B", "{{{n}, {y}}} for B", (("n", _NONCES), ("y", ("A", "I"))), needs=("known {n}",), adds=("first B {n} {y}",)),
    Rule("send second", "I", "A", "{{{n}, {m}}} for A, named {z}", (("n", _NONCES), ("m", _NONCES), ("z", ("B", "I"))), needs=("known {n}", "known {m}"),
         adds=("second A {n} {m} {z}",)),
    Rule("send third", "I", "B", "{{{m}}} for B", (("m", _NONCES),), needs=("known {m}",), adds=("third B {m}",)),
)
_HONEST = (
    Rule("open", "A", "{x}", "{{na, A}} for {x}", (("x", ("B", "I")),), unless=("A meant B", "A meant I"), adds=("A meant {x}", "first {x} na A")),
    Rule("answer", "B", "{y}", "{{{n}, nb}} for {y}", (("n", _NONCES), ("y", ("A", "I"))), needs=("first B {n} {y}",), unless=("B answered A", "B answered I"),
         adds=("B answered {y}", "second {y} {n} nb B")),
)
_CLOSE = Rule("close", "A", "{x}", "{{{m}}} for {x}", (("x", ("B", "I")), ("z", ("B", "I")), ("m", _NONCES)), needs=("A meant {x}", "second A na {m} {z}"),
              adds=("A done {x}", "third {x} {m}"))
_CLOSE_NAMED = Rule("close", "A", "{x}", "{{{m}}} for {x}, who named itself", (("x", ("B", "I")), ("m", _NONCES)), needs=("A meant {x}", "second A na {m} {x}"),
                    adds=("A done {x}", "third {x} {m}"))
_ACCEPT = Rule("accept", "B", "B", "takes {y} for whom it talks with", (("y", ("A", "I")),), needs=("B answered {y}", "third B nb"), adds=("B done {y}",))

_VIOLATIONS = (
    Violation(Property.SECRECY, ("known nb", "B answered A"), "the intruder knows what B chose for A"),
    Violation(Property.AGREEMENT, ("B done A",), "B takes the other for A, and A never meant B", unless=("A meant B",)),
)


def handshake(*, repaired: bool) -> Table:
    """The protocol as published, or with Lowe's repair."""
    rules = (*_HONEST, _CLOSE_NAMED if repaired else _CLOSE, _ACCEPT, *_INTRUDER)
    return Table("Needham-Schroeder-Lowe" if repaired else "Needham-Schroeder", ("known ni",), rules, _VIOLATIONS, "B done A")
