"""Plain lists and mappings as YAML that people read: leaves in one line, numbers of registers in hexadecimal."""

from __future__ import annotations

import json
import re
from typing import Any

_NOT_PRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


class Hex(int):
    """A number that is written as 0x… with at least `digits` digits; in JSON as that text."""

    digits: int

    def __new__(cls, value: int, digits: int) -> Hex:
        """The number itself, remembering how it is written."""
        made = super().__new__(cls, value)
        made.digits = digits
        return made

    def __str__(self) -> str:
        """0x and the digits."""
        return f"0x{int(self):0{self.digits}x}"


def to_json(document: Any) -> Any:
    """The same with register numbers as text, 0x…, for JSON, which has no hexadecimal."""
    match document:
        case Hex():
            return str(document)
        case dict():
            return {key: to_json(value) for key, value in document.items()}
        case list():
            return [to_json(value) for value in document]
    return document


def json_text(document: Any) -> str:
    """Indented JSON that is also YAML: what YAML does not print raw is escaped. The same document gives the same bytes."""
    return _NOT_PRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(to_json(document), indent=1, ensure_ascii=False)) + "\n"


def to_yaml(document: dict[str, Any], *, leaves_in_line: bool = True) -> str:
    """YAML in the order given, without anchors; the same document gives the same bytes."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, _data: object) -> bool:
            return True

    Dumper.add_representer(Hex, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:int", str(value)))
    text: str = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=150, default_flow_style=None if leaves_in_line else False)
    return text
