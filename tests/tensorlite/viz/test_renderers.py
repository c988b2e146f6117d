from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.viz import render
from tensorlite.viz.ir import Graph, Node
from tensorlite.viz.svg import curve

from .samples import random_graph, transformer

SVG = "{http://www.w3.org/2000/svg}"
RENDERERS: dict[str, Callable[..., str]] = {
    "svg": lambda graph, **o: render.svg(graph, engine="builtin", **o),
    "html": render.html,
    "dot": render.dot,
    "mermaid": render.mermaid,
    "text": render.text,
}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["auto", "none", "max"]))
def test_random_graphs_draw_everywhere_and_names_stay_text(seed: int, how: str) -> None:
    graph = random_graph(seed)
    for name, draw in RENDERERS.items():
        drawn = draw(graph, collapse=how)
        assert drawn == draw(graph, collapse=how), name
        drawn.encode("utf-8")
        if name in {"svg", "html"}:
            assert "<script>alert" not in drawn
    ET.fromstring(RENDERERS["svg"](graph, collapse=how))


@pytest.mark.parametrize("draw", list(RENDERERS))
def test_an_empty_graph_and_a_lone_node_draw(draw: str) -> None:
    assert RENDERERS[draw](Graph("empty", (), ()))
    assert RENDERERS[draw](Graph("one", (Node(0, "<x>"),), (), (), (0,)))


def test_a_module_named_script_is_text() -> None:
    graph = Graph("</title><script>alert(1)</script>", (Node(0, "x", name="a", kind="input"), Node(1, "</script>")), ())
    root = ET.fromstring(RENDERERS["svg"](graph))
    assert not list(root.iter(f"{SVG}script"))
    assert root.findtext(f"{SVG}title") == graph.name
    page = render.html(graph)
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert '"#60;' not in render.dot(graph)


def test_svg_is_accessible_and_complete() -> None:
    graph = transformer()
    view = render.view(graph)
    root = ET.fromstring(RENDERERS["svg"](graph))
    assert root.get("role") == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert description.text == graph.describe()
    assert {g.get("data-key") for g in root.iter(f"{SVG}g") if g.get("data-key")} == {box.key for box in view.boxes}
    arrows = [(p.get("data-src"), p.get("data-dst")) for p in root.iter(f"{SVG}path") if p.get("data-src")]
    assert sorted(arrows) == sorted((link.src, link.dst) for link in view.links)


def test_themes() -> None:
    graph = transformer(1)
    auto, light, dark = (RENDERERS["svg"](graph, theme=theme) for theme in ("auto", "light", "dark"))
    assert "prefers-color-scheme:dark" in auto
    assert "prefers-color-scheme" not in light + dark
    assert "#0F172A" in dark
    assert "#0F172A" not in light
    with pytest.raises(ValueError, match="theme must be"):
        RENDERERS["svg"](graph, theme="sepia")


def test_the_page_is_small_and_needs_no_network() -> None:
    page = render.html(transformer(4))
    assert len(page.encode()) < 100_000
    assert not re.search(r'<[^>]*\s(?:src|href)="(?!data:)', page)
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|importScripts|WebSocket|import)\s*\(", page)
    assert set(re.findall(r"https?://[^\"'\s<)]+", page)) == {"http://www.w3.org/2000/svg"}


def test_the_page_holds_every_box_and_opens_what_the_picture_opens() -> None:
    graph = transformer(4)
    found = re.search(r'<script id="graph-data" type="application/json">(.*?)</script>', render.html(graph, depth=1))
    assert found is not None
    data = json.loads(found.group(1))
    everything = render.view(graph, collapse="none")
    assert {box["key"] for box in data["boxes"]} == {box.key for box in everything.boxes}
    assert {group["key"] for group in data["groups"]} == {group.key for group in everything.groups}
    assert data["open"] == [group.key for group in render.view(graph, depth=1).groups]


def test_dot_escapes_and_uses_plain_labels() -> None:
    graph = Graph("t", (Node(0, 'a"b\\N\\l'), Node(1, "<b>")), ())
    source = render.dot(graph)
    assert 'label="a\\"b\\\\N\\\\l\\lscalar\\l"' in source
    assert not re.search(r"label=<", source)


@pytest.mark.skipif(shutil.which("dot") is None, reason="dot is not on PATH")
@pytest.mark.parametrize("seed", range(8))
def test_graphviz_accepts_the_dot(seed: int) -> None:
    graph = random_graph(seed) if seed else transformer()
    answer = subprocess.run(["dot", "-Tjson"], input=render.dot(graph).encode(), capture_output=True, check=True)
    names = {
        item["name"] for item in json.loads(answer.stdout).get("objects", ()) if not item["name"].startswith("cluster")
    }
    assert names == {box.key for box in render.view(graph).boxes}


def test_mermaid_has_every_box_and_arrow_and_no_raw_markup() -> None:
    graph = random_graph(11)
    view = render.view(graph)
    source = render.mermaid(graph)
    labels = re.findall(r'"([^"]*)"', source)
    assert all(not set(label.replace("<br/>", "")) & set('<>[]{}|"') for label in labels)
    assert len(re.findall(r" (?:-->|==>|-\.->)", source)) == len(view.links)
    assert source.count("subgraph ") == len(view.groups) == sum(line.strip() == "end" for line in source.splitlines())


def test_text_lists_operands() -> None:
    lines = render.text(transformer(), depth=1).splitlines()
    [add] = [line for line in lines if re.match(r"\d+ +add ", line)]
    number = {line.split()[-0]: line for line in lines[1:]}
    sources = add.split("← ")[1].split(", ")
    assert ["Embedding" in number[sources[0]], "positional table" in number[sources[1]]] == [True, True]


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "import hashlib\nfrom tests.tensorlite.viz.samples import random_graph\nfrom tensorlite.viz import render\n"
        "g = random_graph(5)\n"
        "parts = [render.svg(g, engine='builtin'), render.html(g), render.dot(g), render.mermaid(g), render.text(g)]\n"
        "print(hashlib.sha256(''.join(parts).encode()).hexdigest())"
    )
    root = Path(__file__).parents[3]
    runs = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=root, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


@pytest.mark.parametrize("suffix", [".svg", ".html", ".dot", ".gv", ".mmd", ".json", ".txt"])
def test_save(tmp_path: Path, suffix: str) -> None:
    path = transformer(1).save(tmp_path / f"model{suffix}")
    assert path.stat().st_size > 100


def test_save_names_the_suffixes_it_knows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.svg"):
        transformer(1).save(tmp_path / "model.jpg")


def test_png_without_a_converter_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"claimsformer\[viz\]"):
        render.png(transformer(1))
    with pytest.raises(RuntimeError, match="pygraphviz"):
        render.pdf(transformer(1))


def test_png_with_resvg() -> None:
    pytest.importorskip("resvg_py", reason="resvg_py is not installed")
    data = render.png(transformer(1), scale=1.0)
    assert data.startswith(b"\x89PNG")


def test_notebooks_get_svg_and_text() -> None:
    bundle = transformer(1)._repr_mimebundle_()
    assert bundle.keys() == {"image/svg+xml", "text/plain"}


def test_straight_pieces_are_lines() -> None:
    assert curve([(1, 0), (1, 3), (1, 6), (1, 9)]) == "M1 0V9"
    assert curve([(0, 0), (0, 5), (4, 5), (4, 9)]) == "M0 0C0 5 4 5 4 9"
