"""What became of the groups, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simkit.semantics.regroup import Move

_MOST = 6


def told(moves: Sequence[Move], none: str, head: str) -> str:
    """`head` and a line a change, with the rules that make it; `none` where nothing changes."""
    lines = [head] if moves else [none]
    for move in moves:
        lines.append(f"  {move.kind}: {_became(move)}")
        no_longer = "no longer: " if move.kind == "split" else ""
        lines += [f"      {no_longer}{because.text}  [{because.rule}]" for because in move.because[:_MOST]]
        lines += [f"      … and {len(move.because) - _MOST} more reasons"] if len(move.because) > _MOST else []
    return "\n".join(lines)


def _became(move: Move) -> str:
    match move.kind:
        case "lost" | "gained":
            (group,) = move.before or move.after
            return _list(group)
        case "merged":
            return f"{len(move.before)} groups into one of {len(move.after[0])}: {_list(move.after[0])}"
        case "split":
            return f"one group of {len(move.before[0])} into {len(move.after)}: {_sets(move.after)}"
    return f"{_sets(move.before)} → {_sets(move.after)}"


def _sets(groups: Sequence[Sequence[object]]) -> str:
    shown = [f"{{{_list(members)}}}" for members in groups[:_MOST]]
    return " ".join(shown) + (f" and {len(groups) - _MOST} more" if len(groups) > _MOST else "")


def _list(members: Sequence[object]) -> str:
    return ", ".join(map(str, members[:_MOST])) + (f" and {len(members) - _MOST} more" if len(members) > _MOST else "")
