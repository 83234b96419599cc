"""One self-contained HTML page: the tree, the groups, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from simkit.formats.draw_svg import colours, svg
from simkit.formats.draw_text import headline
from simkit.model.address import Address
from simkit.model.group import Grouping
from simkit.model.host import Host

_STYLE = """
body{font:14px/1.45 system-ui,-apple-system,Segoe UI,sans-serif;color:#1d2733;margin:24px auto;max-width:1400px;padding:0 20px}
h1{font-size:20px}h2{font-size:16px;margin-top:32px}.scroll{overflow:auto;border:1px solid #d7dde3;border-radius:6px}
pre{background:#f6f8fa;padding:12px;border-radius:6px;overflow:auto;font-size:12.5px}
.key span{display:inline-block;margin-right:16px}.key i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:5px;vertical-align:-1px}
table{border-collapse:collapse}td,th{padding:3px 10px;border-bottom:1px solid #e3e8ed;text-align:left;vertical-align:top}
.simkit .node{cursor:pointer}.simkit .same .box{stroke:#2f7ed8;stroke-width:2.5}
"""
_SCRIPT = """
const groups=GROUPS;
for(const node of document.querySelectorAll('.node')){
  const mine=groups[node.dataset.address];
  const mark=on=>{if(mine===undefined)return;for(const other of document.querySelectorAll('.node'))
    if(groups[other.dataset.address]===mine)other.classList.toggle('same',on)};
  node.addEventListener('mouseenter',()=>mark(true));node.addEventListener('mouseleave',()=>mark(false));
}
"""


def page(
    host: Host, grouping: Grouping, owners: Mapping[Address, str] | None = None, *, sections: Sequence[tuple[str, str]] = (), path: tuple[Address, ...] = ()
) -> str:
    """A page without any other file: the drawn tree (pointing at a device marks its IOMMU group) and `sections` of title and text."""
    owners = owners or {}
    key = "".join(f'<span><i style="background:{colour}"></i>{escape(owner)}</span>' for owner, colour in sorted(colours(owners).items()))
    index = {str(address): number for number, group in enumerate(grouping.groups) for address in group.functions}
    texts = "\n".join(f"<h2>{escape(title)}</h2>\n<pre>{escape(text)}</pre>" for title, text in sections)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(host.name)} · simkit</title><style>{_STYLE}</style></head><body>
<h1>{escape(headline(host))}</h1>
<p class="key">{key}</p>
<div class="scroll">
{svg(host, grouping, owners, path=path)}
</div>
<h2>IOMMU groups</h2>
<table><tr><th>group</th><th>functions</th></tr>
{_rows(host, grouping)}
</table>
{texts}
<script>{_SCRIPT.replace("GROUPS", _literal(index))}</script>
</body></html>
"""


def _rows(host: Host, grouping: Grouping) -> str:
    rows = []
    for index, group in enumerate(grouping.groups):
        number = f"#{index}" if group.id is None else str(group.id)
        members = "<br>".join(escape(f"{address} {host[address].label}") for address in group.functions)
        rows.append(f"<tr><td>{number}</td><td>{members}</td></tr>")
    return "\n".join(rows)


def _literal(index: Mapping[str, int]) -> str:
    return "{" + ",".join(f'"{address}":{number}' for address, number in index.items()) + "}"
