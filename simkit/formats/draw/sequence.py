"""A run as a sequence chart: for the terminal, as Mermaid, as SVG. A step of the adversary's is marked in each."""

from __future__ import annotations

from html import escape
from itertools import zip_longest
from textwrap import wrap

from simkit.formats.draw.layout import text_width
from simkit.model.sequence import Sequence, Step

_TOP, _SIDE, _LINE = 70, 20, 13
STYLE = """
.sequence text{font:12px system-ui,-apple-system,Segoe UI,sans-serif;fill:#1d2733}
.sequence text.head{font-weight:600;font-size:14px}
.sequence text.party{font-weight:600;text-anchor:middle}
.sequence text.says{font-size:11px;text-anchor:middle}
.sequence .box{fill:#e6f0fb;stroke:#9aa7b4}
.sequence .life{stroke:#c3ccd5;stroke-dasharray:3 4}
.sequence .arrow{stroke:#3c4a58;fill:none;stroke-width:1.3}
.sequence .hot .arrow{stroke:#c0392b;stroke-width:2.2}
.sequence .hot text{fill:#c0392b}
"""


def chart(run: Sequence, width: int = 150) -> str:
    """Lanes for the parties, an arrow a line, what is said beside it; `!` and double lines where the adversary acts."""
    parties = run.parties
    names = [party.split() for party in parties]
    lane = max([10, *(len(word) + 2 for words in names for word in words)])
    margin = 5
    right = margin + lane * len(parties) + 1
    room = max(30, width - right)
    lines = [run.title, "", *("".join([" " * margin, *(f"{word:^{lane}}" for word in words)]).rstrip() for words in zip_longest(*names, fillvalue=""))]
    for number, step in enumerate(run.steps, 1):
        first, *rest = wrap(step.says, room, break_on_hyphens=False)
        lines.append(f"{number:>3}{'!' if step.by_adversary else ' '} {_lanes(step, parties, lane)} {first}".rstrip())
        idle = "".join(f"{'│':^{lane}}" for _ in parties)
        lines += [f"{'':>4} {idle} {more}".rstrip() for more in rest]
    return "\n".join([*lines, "", *wrap(run.outcome, width)])


def _lanes(step: Step, parties: tuple[str, ...], lane: int) -> str:
    middle = (lane - 1) // 2
    cells = list("".join(f"{'│':^{lane}}" for _ in parties))
    begin, end = (parties.index(name) * lane + middle for name in (step.sender, step.receiver))
    line = "═" if step.by_adversary else "─"
    if begin == end:
        cells[begin : begin + 3] = ["│", line, "┐"]
        return "".join(cells)
    low, high = sorted((begin, end))
    cells[low + 1 : high] = line * (high - low - 1)
    cells[end + (-1 if begin < end else 1)] = ">" if begin < end else "<"
    return "".join(cells)


def mermaid(run: Sequence) -> str:
    """The chart as Mermaid's sequenceDiagram, which GitHub and GitLab draw in Markdown."""
    names = {party: f"p{number}" for number, party in enumerate(run.parties)}
    lines = ["sequenceDiagram", f"  title {_mermaid(run.title)}", *(f"  participant {name} as {_mermaid(party)}" for party, name in names.items())]
    for step in run.steps:
        arrow = f"{names[step.sender]}->>{names[step.receiver]}: {_mermaid(step.says)}"
        lines += ["  rect rgb(252, 228, 226)", f"    {arrow}", "  end"] if step.by_adversary else [f"  {arrow}"]
    if names:
        ends = list(names.values())
        lines.append(f"  note over {','.join(dict.fromkeys((ends[0], ends[-1])))}: {_mermaid(run.outcome)}")
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    """Mermaid ends a message at a semicolon and takes # for the beginning of a character's number."""
    return "".join({"#": "#35;", ";": "#59;"}.get(letter, letter) for letter in text)


def svg(run: Sequence) -> str:
    """The chart as a self-contained SVG document."""
    parties = run.parties
    widest = max((text_width(party, 12) for party in parties), default=0)
    lane = max(150, round(widest) + 24)
    at = {party: _SIDE + lane // 2 + number * lane for number, party in enumerate(parties)}
    rows, below = [], _TOP + 34
    for number, step in enumerate(run.steps, 1):
        height, row = _row(number, step, at, lane, below)
        rows.append(row)
        below += height
    width, height = max(_SIDE * 2 + lane * len(parties), 640), below + 40
    lives = [f'<line class="life" x1="{x}" y1="{_TOP}" x2="{x}" y2="{below}"/>' for x in at.values()]
    heads = [
        f'<rect class="box" x="{x - lane // 2 + 8}" y="{_TOP - 26}" width="{lane - 16}" height="26" rx="4"/>'
        f'<text class="party" x="{x}" y="{_TOP - 9}">{escape(party)}</text>'
        for party, x in at.items()
    ]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sequence" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<style>{STYLE}</style>", '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text class="head" x="{_SIDE}" y="26">{escape(run.title)}</text>',
        *lives, *heads, *rows,
        f'<text class="head" x="{_SIDE}" y="{below + 22}">{escape(run.outcome)}</text>', "</svg>\n",
    ])


def _row(number: int, step: Step, at: dict[str, int], lane: int, top: int) -> tuple[int, str]:
    """One arrow with its text above, wrapped to the lanes that it crosses (two at least); its height and its SVG."""
    begin, end = at[step.sender], at[step.receiver]
    room = max(abs(end - begin), lane * 2)
    said = wrap(f"{number}. {step.says}", max(20, room // 6))
    middle = max((begin + end) / 2, _SIDE + room / 2) if begin != end else max(begin, _SIDE + room / 2)
    y = top + _LINE * len(said) + 4
    text = "".join(f'<text class="says" x="{middle:g}" y="{top + _LINE * (line + 1) - 2}">{escape(words)}</text>' for line, words in enumerate(said))
    if begin == end:
        arrow = f'<path class="arrow" d="M{begin} {y}h26v10h-20l5 -4m-5 4l5 4"/>'
    else:
        tip = -6 if end > begin else 6
        arrow = f'<path class="arrow" d="M{begin} {y}H{end}m{tip} -4l{-tip} 4l{tip} 4"/>'
    return _LINE * len(said) + (28 if begin == end else 20), f'<g class="{"hot" if step.by_adversary else "step"}">{text}{arrow}</g>'
