"""The attention page: layers by heads, one focused; heads and queries are switched by click and keyboard, without network.

Every head is one 8-bit image. The strongest keys of each query are written with their numbers, as far as `BUDGET` allows;
past it, only those of the head that was asked for.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy.typing as npt

from .metrics import one_line
from .palette import Theme
from .picture import page_colours

Array = npt.NDArray[Any]
BUDGET = 120_000  # (query, key, weight) entries in a page


def page(title: str, theme: Theme, caption: Sequence[str], data: dict[str, Any]) -> str:
    """The page; `data` has `heads`, `tokens`, `keys`, `chosen` and `row` to begin with, and the colours of the scale.

    A head's `top` lists, for each query, pairs of a key's position and its weight.
    """
    return _PAGE.format(
        title=escape(one_line(title)),
        caption="<br>".join(map(escape, caption)),
        data=json.dumps(_plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace(
            "<", "\\u003c"
        ),
        script=_SCRIPT,
        **_colours(theme),
    )


def _plain(value: Any) -> Any:
    """Weights to six digits; NaN and infinity as words, which JSON has no numbers for."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def image(png: bytes) -> str:
    """A PNG as an address."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _colours(theme: Theme) -> dict[str, str]:
    light = "--line:#7C8BA1;--soft:#566578;--bar:#399AE2;--mark:#B5561A"
    dark = "--line:#64748B;--soft:#94A3B8;--bar:#58A6E6;--mark:#F0A35E"
    found = page_colours(theme)
    found["colours"] += ";" + (dark if theme == "dark" else light)
    if found["dark"]:
        found["dark"] = found["dark"].replace("}}", f";{dark}}}}}")
    return found


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="{scheme}">
<title>{title}</title>
<style>
body{{margin:0;padding:12px 16px;font:14px/1.45 Helvetica,Arial,"Liberation Sans",sans-serif;{colours}}}
{dark}
h1{{font-size:18px;font-weight:400;margin:0 0 8px}} h2{{font-size:14px;margin:16px 0 6px}}
.heads{{display:grid;gap:10px;overflow-x:auto;padding:3px;justify-content:start}}
.heads button{{all:unset;box-sizing:border-box;cursor:pointer;width:100px;padding:3px;border-radius:5px;font-size:12px;color:var(--soft)}}
.heads button img{{display:block;width:94px;height:94px;image-rendering:pixelated;border:1px solid var(--line);box-sizing:border-box}}
.heads button[aria-pressed=true]{{outline:2.5px solid var(--mark);color:inherit;font-weight:700}}
button:focus-visible,select:focus-visible,.map:focus-visible{{outline:3px solid var(--bar);outline-offset:2px}}
.one{{display:flex;flex-wrap:wrap;gap:24px;align-items:flex-start}}
.rows{{position:relative;width:max-content;max-width:150px}} .rows span{{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;text-align:right;color:var(--soft)}}
.rows span.on{{color:inherit;font-weight:700}} .large{{display:flex;gap:8px}} .large .rows{{border:1px solid transparent}}
.map{{position:relative;width:384px;flex:none;cursor:crosshair;border:1px solid var(--line)}}
.map img{{display:block;width:100%;height:100%;image-rendering:pixelated}}
.map .row{{position:absolute;left:-3px;right:-3px;border:2px solid var(--mark);box-sizing:border-box;pointer-events:none}}
table{{border-collapse:collapse}} th,td{{text-align:left;padding:2px 10px 2px 0;font-weight:400}}
td.n,th.n{{text-align:right;font-variant-numeric:tabular-nums}} th{{color:var(--soft)}}
td .bar{{height:8px;border-radius:2px;background:var(--bar)}} .soft{{color:var(--soft)}} select{{font:inherit}}
.scale{{display:inline-block;width:160px;height:10px;border:1px solid var(--line);vertical-align:-1px;margin:0 6px}}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<div class="heads" id="heads" role="group" aria-label="Heads, by layer"></div>
<h2 id="name" aria-live="polite"></h2>
<div class="one">
<div class="large"><div class="rows" id="rows" aria-hidden="true"></div>
<div class="map" id="map" role="img"><img id="big" alt=""><div class="row" id="mark"></div></div></div>
<div><label>from <select id="query"></select></label>
<table id="strongest"><thead><tr><th>to</th><th class="n">position</th><th class="n">weight</th><th><span class="soft">share of the strongest</span></th></tr></thead><tbody></tbody></table>
<p class="soft" id="scale"></p></div>
</div>
<p class="soft">{caption}</p>
<p class="soft">Arrow keys switch between heads when one of them has the focus; a click on the large map chooses its query.</p>
</main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""

_SCRIPT = """
const D = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const make = (tag, text, css) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (css) e.className = css; return e; };
const columns = Math.max(...D.heads.map(h => h.head)) + 1;
const side = Math.min(Math.max(D.tokens.length / D.keys.length, 0.25), 2);
let chosen = D.chosen, row = D.row;
at("heads").style.gridTemplateColumns = `repeat(${columns}, 100px)`;
at("map").style.height = `${384 * side}px`;
const buttons = D.heads.map((h, i) => {
  const b = make("button"), image = make("img");
  b.type = "button";
  image.src = h.image;
  image.alt = "";
  b.append(image, `L${h.layer} H${h.head}`, make("br"), h.words);
  b.setAttribute("aria-label", `layer ${h.layer}, head ${h.head}, ${h.words}`);
  b.onclick = () => show(i, row);
  b.onkeydown = e => {
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns}[e.key];
    if (!step || !D.heads[i + step]) return;
    e.preventDefault();
    show(i + step, row);
    buttons[i + step].focus();
  };
  at("heads").append(b);
  return b;
});
const pitch = 384 * side / D.tokens.length;
if (pitch >= 9) D.tokens.forEach(t => {
  const s = make("span", t);
  s.style.height = s.style.lineHeight = `${pitch}px`;
  s.style.fontSize = `${Math.min(12, pitch)}px`;
  at("rows").append(s);
});
else at("rows").hidden = true;
D.tokens.forEach((t, i) => { const o = make("option", `${t} (${i})`); o.value = i; at("query").append(o); });
at("query").onchange = e => show(chosen, +e.target.value);
at("map").onclick = e => {
  const box = at("map").getBoundingClientRect();
  show(chosen, Math.min(D.tokens.length - 1, Math.max(0, Math.floor((e.clientY - box.top) / box.height * D.tokens.length))));
};
function show(i, r) {
  chosen = i; row = r;
  const h = D.heads[i], n = D.tokens.length;
  buttons.forEach((b, k) => { b.setAttribute("aria-pressed", k === i); b.tabIndex = k === i ? 0 : -1; });
  at("name").textContent = `Layer ${h.layer}, head ${h.head}: ${h.words}`;
  at("big").src = h.image;
  at("map").setAttribute("aria-label", `Layer ${h.layer}, head ${h.head}: ${n} queries by ${D.keys.length} keys, query ${D.tokens[r]} marked`);
  at("mark").style.top = `${100 * r / n}%`;
  at("mark").style.height = `${100 / n}%`;
  at("query").value = r;
  [...at("rows").children].forEach((s, k) => s.classList.toggle("on", k === r));
  const body = at("strongest").tBodies[0];
  body.replaceChildren();
  const top = h.top.length ? h.top[r] : [];
  const most = Math.max(...top.map(([, w]) => Math.abs(w) || 0), 1e-30);
  for (const [j, w] of top) {
    const line = make("tr"), cell = make("td"), bar = make("div", "", "bar");
    bar.style.width = `${160 * (Math.abs(w) || 0) / most}px`;
    cell.append(bar);
    line.append(make("td", D.keys[j]), make("td", String(j), "n"), make("td", typeof w === "number" ? w.toFixed(4) : w, "n"), cell);
    body.append(line);
  }
  const scale = make("span", "", "scale");
  scale.style.background = `linear-gradient(to right, ${D.scale[h.signed ? 1 : 0].map(c => "#" + c).join(",")})`;
  at("scale").replaceChildren(h.low, scale, h.high, D.masked ? " · grey: masked" : "", h.top.length ? "" : " · too many numbers for one page: ask for this head by layer= and head=");
  history.replaceState(null, "", `#head=${h.layer}.${h.head}&query=${r}`);
}
function linked() {
  const m = /head=(\\d+)\\.(\\d+)(?:&query=(\\d+))?/.exec(location.hash);
  const i = m ? D.heads.findIndex(h => h.layer === +m[1] && h.head === +m[2]) : -1;
  if (i >= 0) { chosen = i; row = Math.min(+(m[3] ?? row), D.tokens.length - 1); }
  show(chosen, row);
}
addEventListener("hashchange", linked);
linked();
"""
