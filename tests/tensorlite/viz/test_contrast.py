"""Every word of a page against what lies under it, as a browser paints it: at least 4.5 to 1 (WCAG 2, 1.4.3), light and dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorlite import viz
from tensorlite.viz import render
from tensorlite.viz.palette import Theme

from .browser import CHROMIUM, run_script
from .samples import transformer

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")

# For each text: its colour, and the first painted shape under its middle and its ends that is not text.
_MEASURE = """
document.getElementById("all")?.click();
for (const d of document.querySelectorAll("details")) d.open = true;
const style = document.createElement("style");
style.textContent = "*{pointer-events:auto!important;scroll-behavior:auto!important}";
document.head.append(style);
const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
const seen = c => c.length >= 3 && (c.length < 4 || c[3] > 0.99);
const luminance = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ratio = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
const painted = e => {
  const s = getComputedStyle(e);
  if (e.closest("svg") && e.tagName !== "svg") return s.fill === "none" || e.closest("text") ? [] : rgb(s.fill);
  return rgb(s.backgroundColor);
};
const own = e => [...e.childNodes].find(n => n.nodeType === 3 && n.textContent.trim());
const out = [];
for (const e of document.querySelectorAll("body *")) {
  if (!own(e) || e.closest("script,style,title,desc,option,noscript") || getComputedStyle(e).clipPath !== "none") continue;
  e.scrollIntoView({block: "center", inline: "center"});
  const words = document.createRange();
  words.selectNodeContents(own(e));
  const box = words.getBoundingClientRect();
  if (box.width < 2 || box.height < 2) continue;
  const ink = rgb(e.closest("svg") ? getComputedStyle(e).fill : getComputedStyle(e).color);
  for (const share of [0.1, 0.5, 0.9]) {
    const under = document.elementsFromPoint(box.left + share * box.width, box.top + box.height / 2);
    const colours = under.map(painted).filter(seen);
    if (under.length) out.push([e.textContent.slice(0, 30), ratio(ink, colours[0] || [255, 255, 255])]);
  }
}
return out;
"""


def _attention(theme: Theme) -> str:
    weights = np.random.default_rng(0).random((2, 2, 5, 5))
    return viz.attention(weights, list("abcde"), mask=np.triu(np.ones((5, 5)), 1) > 0, theme=theme).html


_PAGES: dict[str, Callable[[Theme], str]] = {
    "graph": lambda theme: render.html(transformer(), color_by="flops", theme=theme),
    "attention": _attention,
    "chart": lambda theme: viz.gradient_flow({"a": 1.0, "b": 1e-9, "c": 1e5}, theme=theme).html,
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", list(_PAGES))
def test_words_can_be_read(page: str, theme: Any, tmp_path: Path) -> None:
    found = run_script(_PAGES[page](theme), _MEASURE, tmp_path)
    assert "error" not in found, found
    assert len(found) > 20
    assert not [(words, round(contrast, 2)) for words, contrast in found if contrast < 4.5]
