"""What rego-cpp gets wrong, found before it is asked: an answer that is known to be unreliable is none.

rego-cpp 1.5.2, held against regorus 0.9 and 0.13: in the body of an `every`, a second `every` or a comprehension does not see the variables around it and
is false or empty, and a reference through `[_]` has no value. The same inside a function that the body calls is right.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|`[^`]*`|#[^\n]*|[A-Za-z_][A-Za-z0-9_]*|[\[\](){}|]|\s+|.', re.DOTALL)
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


def misread(policy: str) -> tuple[int, str] | None:
    """The line and the form of the first one, None where there is none."""
    tokens = _TOKEN.findall(policy)
    bodies: list[int] = []
    """How deep in brackets the body of each `every` that we are in begins."""
    depth, line, domain = 0, 1, -1
    for number, token in enumerate(tokens):
        word = token == "every" and tokens[number - 1: number] != ["."]
        if bodies and (word or token == "|" or (token == "_" and "".join(tokens[number - 1: number + 2]) == "[_]")):
            return line, {"every": "`every`", "|": "a comprehension"}.get(token, "`[_]`")
        if token in _OPEN:
            depth += 1
            if token == "{" and domain == depth - 1 and _ended(tokens, number):
                bodies.append(depth)
                domain = -1
        elif token in _CLOSE:
            if bodies and bodies[-1] == depth:
                bodies.pop()
            depth -= 1
        elif word:
            domain = depth
        line += token.count("\n")
    return None


def _ended(tokens: list[str], brace: int) -> bool:
    """Whether the domain of the `every` is complete before that brace: what stands there is not the word `in`."""
    before = next((tokens[at] for at in range(brace - 1, -1, -1) if not tokens[at].isspace() and not tokens[at].startswith("#")), "")
    return before != "in"
