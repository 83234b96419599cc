"""One self-contained HTML page: the tree, who is near whom, the groups, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from simkit.formats.draw.owner import Owner
from simkit.formats.draw.regions import colours
from simkit.formats.draw.svg import svg
from simkit.formats.draw.text import certainty, headline, peer_names
from simkit.model.address import Address
from simkit.model.group import Grouping
from simkit.model.host import Host
from simkit.model.route import PeerClass

_STYLE = """
body{font:14px/1.45 system-ui,-apple-system,Segoe UI,sans-serif;color:#1d2733;margin:24px auto;max-width:1500px;padding:0 20px}
h1{font-size:20px}h2{font-size:16px;margin-top:32px}.scroll{overflow:auto;border:1px solid #d7dde3;border-radius:6px}
pre{background:#f6f8fa;padding:12px;border-radius:6px;overflow:auto;font-size:12.5px}
.key span{display:inline-block;margin-right:16px}.key i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:5px;vertical-align:-1px}
.key,.about{color:#3d4a57}.about{min-height:1.5em;margin:6px 2px;white-space:pre-wrap}
table{border-collapse:collapse}td,th{padding:3px 10px;border-bottom:1px solid #e3e8ed;text-align:left;vertical-align:top}th{font-weight:600}
.why{color:#5b6876}.peers td{text-align:center;border:1px solid #fff}.peers .LOC{color:#9aa7b4}
.scroll svg{max-width:100%;min-width:1000px;height:auto}
.simkit .node{cursor:pointer}.simkit .node:focus{outline:none}.simkit .node:focus .box{stroke:#1d2733;stroke-width:2.5}
.simkit .same .box{stroke:#2f7ed8;stroke-width:2.5}
"""
_SCRIPT = """
const groups=GROUPS,nodes=[...document.querySelectorAll('.node')],about=document.querySelector('.about');
for(const node of nodes){
  const mine=groups[node.dataset.address];
  const mark=on=>{
    about.textContent=on?node.querySelector('title').textContent.replaceAll('\\n',' · '):'';
    for(const other of nodes)if(mine!==undefined&&groups[other.dataset.address]===mine)other.classList.toggle('same',on)};
  for(const [on,off] of [['mouseenter','mouseleave'],['focus','blur']]){
    node.addEventListener(on,()=>mark(true));node.addEventListener(off,()=>mark(false))}
}
"""
PEER_COLOURS = {
    **dict.fromkeys(("NVL", "NVB", "C2C"), "#bfe5b3"),
    **dict.fromkeys(("PIX", "P2C"), "#d9f0c8"),
    **dict.fromkeys(("PXB", "PXN"), "#eef5c4"),
    "PHB": "#fbe9b7",
    **dict.fromkeys(("SYS", "DIS"), "#f8cfc0"),
}
"""From green (near) to red (far), by the name of a peer class."""
_KEY = "A wire is as thick as its link is fast; g is an IOMMU group, coloured where functions share it; amber marks a port that lets peers through."


@dataclass(frozen=True, slots=True)
class Peers:
    """The matrix of peer classes, rows and columns in the order of `functions`."""

    functions: Sequence[Address]
    classes: Sequence[Sequence[PeerClass]]


def page(
    host: Host,
    grouping: Grouping,
    owners: Mapping[Address, Owner] | None = None,
    *,
    peers: Peers | None = None,
    sections: Sequence[tuple[str, str]] = (),
    path: tuple[Address, ...] = (),
    whole: bool = False,
) -> str:
    """A page without any other file: the drawn tree, `peers` as a matrix, the groups, and `sections` of title and text.

    Pointing at a device, or reaching it with the tab key, marks its IOMMU group and says all that is known of it.
    """
    owners = owners or {}
    guests = "".join(f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in colours(owners).items())
    more = [" A dashed edge is a guest in a TEE."] * any(owner.tee for owner in owners.values()) + [" Red is the way of the counterexample."] * bool(path)
    index = {str(address): number for number, group in enumerate(grouping.groups) for address in group.functions}
    texts = "\n".join(f"<h2>{escape(title)}</h2>\n<pre>{escape(text)}</pre>" for title, text in sections)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{escape(host.name)} · simkit</title><style>{_STYLE}</style></head><body>
<h1>{escape(headline(host))}</h1>
<p class="key">{guests}{escape(_KEY + "".join(more))}</p>
<div class="scroll">
{svg(host, grouping, owners, path=path, whole=whole)}
</div>
<p class="about" aria-live="polite"></p>
{_matrix(host, peers) if peers and peers.functions else ""}<h2>IOMMU groups</h2>
<p>{escape(certainty(grouping))}</p>
<table><thead><tr><th scope="col">group</th><th scope="col">functions</th><th scope="col">why they share it</th></tr></thead><tbody>
{_rows(host, grouping)}
</tbody></table>
{texts}
<script>{_SCRIPT.replace("GROUPS", _literal(index))}</script>
</body></html>
"""


def _matrix(host: Host, peers: Peers) -> str:
    names = peer_names(host, peers.functions)
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    colours = {cell: f' style="background:{PEER_COLOURS[str(cell)]}"' if str(cell) in PEER_COLOURS else "" for cell in PeerClass}
    rows = "\n".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(f'<td{colours[cell]} class="{cell}">{"·" if cell == PeerClass.LOC else cell}</td>' for cell in row)
        + f'<td style="text-align:left">{address} {escape(host[address].label)}</td></tr>'
        for name, row, address in zip(names, peers.classes, peers.functions, strict=True)
    )
    return f'<h2>Who is near whom</h2>\n<div class="scroll"><table class="peers"><tr><td></td>{head}<td></td></tr>\n{rows}\n</table></div>\n'


def _rows(host: Host, grouping: Grouping) -> str:
    rows = []
    for index, group in enumerate(grouping.groups):
        number = f"#{index}" if group.id is None else str(group.id)
        members = "<br>".join(escape(f"{address} {host[address].label}") for address in group.functions)
        why = "<br>".join(escape(text) for text in dict.fromkeys(because.text for because in group.because)) if len(group.functions) > 1 else ""
        rows.append(f'<tr><td>{number}</td><td>{members}</td><td class="why">{why}</td></tr>')
    return "\n".join(rows)


def _literal(index: Mapping[str, int]) -> str:
    return "{" + ",".join(f'"{address}":{number}' for address, number in index.items()) + "}"
