"""In what two hosts differ, as a table and marked in the tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simkit.formats.draw.svg import svg
from simkit.formats.native import fact
from simkit.model.address import Address
from simkit.model.host import Host as HostFacts
from simkit.notebook.frame import Frame
from simkit.semantics.diff import diff as compare
from simkit.semantics.groups import groups
from simkit.semantics.regroup import regroup

if TYPE_CHECKING:
    from simkit.notebook.host import Host


@dataclass(frozen=True)
class Difference:
    """What differs between two hosts; draws the second with all functions marked that are new or have changed."""

    before: HostFacts
    after: HostFacts

    @property
    def rows(self) -> Frame:
        """One row a fact, in the words of a snapshot."""
        changes = ((change.subject, change.field) for change in compare(self.before, self.after))
        said = fact.said(self.before, self.after, changes)
        return Frame(("subject", "field", "before", "after"), tuple((each.subject, each.field, fact.text(each.before), fact.text(each.after)) for each in said))

    @property
    def groups(self) -> Frame:
        """One row for each change of IOMMU groups: split, merged, lost or gained, with the rules that make it."""
        moves = regroup(groups(self.before), groups(self.after))
        rows = tuple((move.kind.value, _sets(move.before), _sets(move.after), "; ".join(because.text for because in move.because)) for move in moves)
        return Frame(("change", "before", "after", "because"), rows)

    def __repr__(self) -> str:
        """The table."""
        return repr(self.rows) if self.rows.rows else "no difference"

    def _repr_html_(self) -> str:
        subjects = {row[0] for row in self.rows.rows}
        if not subjects:
            return "no difference"
        changed = tuple(function.address for function in self.after.functions if str(function.address) in subjects)
        return svg(self.after, groups(self.after), path=changed) + self.rows._repr_html_() + (self.groups._repr_html_() if self.groups.rows else "")


def _sets(partition: tuple[tuple[Address, ...], ...]) -> str:
    return " ".join(f"{{{', '.join(map(str, members))}}}" for members in partition)


def diff(before: Host, after: Host) -> Difference:
    """In what `after` differs from `before`."""
    return Difference(before.facts, after.facts)
