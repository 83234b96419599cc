"""What a recorded node must remember between two writes, in a folder inside it that is there only while the node is not as it was recorded."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path

from simkit.errors import MalformedDocument
from simkit.executors.node import link_text
from simkit.executors.recorded_changes import FOLDER, Changes


@dataclass(slots=True)
class Memory:
    """What the tree alone does not say, by path or address.

    `natural` is the driver that a function probes to, kept while another or none holds it; `unlisted` are the functions whose
    driver's folder had no link to them; `links` link texts that are written in another way than ours; `drivers` folders of
    drivers made here; `literal` functions whose override is the text ``(null)`` itself; `made` virtual functions made here;
    `sriov` a physical function's first NumVFs and its registers.
    """

    root: Path
    natural: dict[str, str | None] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    drivers: list[str] = field(default_factory=list)
    literal: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    sriov: dict[str, tuple[int, str]] = field(default_factory=dict)
    changes: Changes = field(init=False)

    def __post_init__(self) -> None:
        """Nothing has changed yet."""
        self.changes = Changes(self.root)

    @classmethod
    def load(cls, root: Path) -> Memory:
        """As it was saved, or empty.

        Raises:
            MalformedDocument: the file is not what `save` wrote.
        """
        path = root / FOLDER / "state.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            sriov = {address: (int(count), str(registers)) for address, (count, registers) in data.pop("sriov").items()}
            return cls(root, **data, sriov=sriov)
        except FileNotFoundError:
            return cls(root)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise MalformedDocument(f"not the memory of a recorded node: {error}", where=str(path), remedy="record the node again") from error

    def save(self) -> None:
        """Write it down, or remove it when there is nothing to remember; with it the write has happened."""
        data = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("root", "changes")}
        state = self.root / FOLDER / "state.json"
        if any(data.values()):
            self.changes.write(state, json.dumps(data, sort_keys=True).encode())
        elif state.exists():
            self.changes.remove(state)
        self.changes.commit()

    def link(self, path: Path, target: Path) -> None:
        """Make a link as sysfs writes them, relative, or as it was written when it was recorded."""
        name = os.path.relpath(path, self.root)
        text = self.links.get(name)
        if text is not None and Path(os.path.normpath(path.parent / text)) == target:
            del self.links[name]
        else:
            text = os.path.relpath(target, path.parent)
        self.changes.make_link(path, text)

    def unlink(self, path: Path) -> None:
        """Remove a link, remembering how it was written if `link` would write it otherwise."""
        if not path.is_symlink():
            return
        text = link_text(path)
        if text != os.path.relpath(os.path.normpath(path.parent / text), path.parent):
            self.links[os.path.relpath(path, self.root)] = text
        self.changes.remove(path)

    def put_away(self, kind: str, name: str, folder: Path) -> None:
        """Keep a folder of the recording that is gone for now."""
        shelf = self.root / FOLDER / kind
        shelf.mkdir(parents=True, exist_ok=True)
        self.changes.move(folder, shelf / name)

    def take_back(self, kind: str, name: str, folder: Path) -> bool:
        """Put such a folder back; False if none was kept."""
        kept = self.root / FOLDER / kind / name
        if not kept.is_dir():
            return False
        self.changes.move(kept, folder)
        return True
