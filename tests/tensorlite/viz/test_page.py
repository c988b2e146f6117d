"""The interactive page in a real browser, by mouse and by keyboard alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tensorlite import viz
from tensorlite.viz import render
from tensorlite.viz.geometry import Rect
from tensorlite.viz.layout import builtin

from .browser import CHROMIUM, run_script
from .samples import random_graph, transformer
from .test_layout import overlap

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")

_WALK = """
const shown = () => document.querySelectorAll("#stage [data-key]").length;
const press = (node, key) => node.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
const closed = () => [...document.querySelectorAll("#stage [aria-expanded=false]")];
const out = {start: shown(), inert: [...document.querySelectorAll("#stage [data-key]")].filter(n => n.tabIndex < 0).length};
closed()[0].focus(); press(document.activeElement, "Enter");
out.enter = shown(); out.hash = decodeURIComponent(location.hash); out.focus = document.activeElement.getAttribute("aria-expanded");
closed()[0].dispatchEvent(new MouseEvent("click", {bubbles: true}));
out.click = shown();
press(document.querySelector("#stage .cap"), " ");
out.space = shown();
press(document.body, "/");
out.slash = document.activeElement.id;
const search = document.activeElement;
search.value = "softmax"; search.dispatchEvent(new Event("input")); press(search, "Enter");
out.found = document.activeElement.getAttribute("aria-label"); out.facts = document.getElementById("facts").innerText;
out.said = document.getElementById("live").textContent;
document.getElementById("all").click(); out.all = shown();
document.getElementById("none").click(); out.none = shown();
location.hash = "#open=layers.0"; await new Promise(done => setTimeout(done, 50));
out.linked = shown();
return out;
"""

_RECTS = """
document.getElementById("all").click();
const out = {};
for (const g of document.querySelectorAll("#stage .b")) {
  const r = g.querySelector(".f");
  out[g.dataset.key] = ["x", "y", "width", "height"].map(k => +r.getAttribute(k));
}
return out;
"""


def test_modules_open_and_close_by_mouse_and_keyboard(tmp_path: Path) -> None:
    got = run_script(render.html(transformer(), depth=0), _WALK, tmp_path)
    assert "error" not in got, got
    assert got["inert"] == 0
    assert got["start"] == got["space"] == got["none"]
    assert got["enter"] == got["linked"] > got["start"]
    assert got["click"] > got["enter"]
    assert got["all"] > got["start"]
    assert got["hash"] == "#open=layers.0"
    assert got["focus"] == "true"
    assert got["slash"] == "search"
    assert got["found"].startswith("softmax")
    assert "FLOPs" in got["facts"]
    assert got["said"] == "1 matches"


@pytest.mark.parametrize("seed", [None, 4, 9])
def test_the_page_lays_out_like_the_picture(tmp_path: Path, seed: int | None) -> None:
    graph = transformer() if seed is None else random_graph(seed, 60)
    view = render.view(graph, collapse="none")
    ours = {k: r for k, r in builtin(view).boxes.items() if not k.startswith("e")}
    theirs = {key: Rect(*rect) for key, rect in run_script(render.html(graph), _RECTS, tmp_path).items()}
    assert theirs.keys() == ours.keys()
    keys = sorted(theirs)
    assert not [(a, b) for i, a in enumerate(keys) for b in keys[:i] if overlap(theirs[a], theirs[b])]
    if seed is None:  # the captions of the page are wider, which shifts things a little
        assert {k: r.y for k, r in theirs.items()} == pytest.approx({k: r.y for k, r in ours.items()}, abs=4)


_HEADS = """
const press = (node, key) => node.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
const now = () => ({
  name: document.getElementById("name").textContent, pressed: document.querySelectorAll("#heads [aria-pressed=true]").length,
  rows: [...document.querySelectorAll("#strongest tbody tr")].map(r => [...r.cells].slice(0, 3).map(c => c.textContent)),
  image: document.getElementById("big").src.length, hash: location.hash, query: document.getElementById("query").value,
});
const out = [now()];
const buttons = document.querySelectorAll("#heads button");
buttons[0].click(); out.push(now());
buttons[0].focus(); press(buttons[0], "ArrowDown"); press(document.activeElement, "ArrowRight"); out.push(now());
const query = document.getElementById("query");
query.value = "2"; query.dispatchEvent(new Event("change")); out.push(now());
location.hash = "#head=0.2&query=3"; await new Promise(done => setTimeout(done, 50)); out.push(now());
return {out, tabs: [...buttons].filter(b => b.tabIndex >= 0).length};
"""


def test_every_head_and_query_of_the_attention_page_can_be_chosen(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(4), (2, 3, 4))
    tokens = ["a", "<b>", "c", "d"]
    page = viz.attention(weights, tokens, layer=1, head=1, row=1, top_k=3).html
    got = run_script(page, _HEADS, tmp_path)
    assert "error" not in got, got
    assert got["tabs"] == 1  # one stop for the keyboard; arrows go on from there
    for shown, (layer, head, row) in zip(
        got["out"], [(1, 1, 1), (0, 0, 1), (1, 1, 1), (1, 1, 2), (0, 2, 3)], strict=True
    ):
        assert shown["name"].startswith(f"Layer {layer}, head {head}:")
        assert (shown["pressed"], shown["query"]) == (1, str(row))
        assert shown["hash"] == f"#head={layer}.{head}&query={row}"
        strongest = np.argsort(-weights[layer, head, row])[:3]
        assert shown["rows"] == [[tokens[j], str(j), f"{weights[layer, head, row, j]:.4f}"] for j in strongest]
