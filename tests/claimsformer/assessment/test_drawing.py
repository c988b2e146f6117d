"""The packaged claims transformer, drawn: nothing overlaps, nothing is lost, and every engine shows the same structure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import claimsformer.assessment
from claimsformer.assessment.bundle import load_demo_claims
from claimsformer.assessment.processor import ClaimsProcessor
from tensorlite import viz
from tensorlite.viz import engines, render

from ...tensorlite.viz.test_collapse import assert_conserves
from ...tensorlite.viz.test_layout import assert_routes_keep_clear, assert_tidy

FOLDER = Path(claimsformer.assessment.__file__).parent / "pretrained"


@pytest.fixture(scope="module")
def graph() -> viz.Graph:
    processor = ClaimsProcessor.load(FOLDER)
    claims, *_ = load_demo_claims(FOLDER)
    return viz.graph(processor.model, processor.encode(claims.head(4)))


@pytest.mark.parametrize("how", ["auto", "none", "max"])
def test_it_draws_without_any_engine(graph: viz.Graph, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    view = render.view(graph, collapse=how)
    layout = engines.place(view)
    assert layout.engine == "builtin"
    assert_tidy(view, layout)
    assert_routes_keep_clear(view, layout)
    assert_conserves(graph, view)
    ET.fromstring(render.svg(graph, collapse=how))
    assert render.html(graph, collapse=how)
    assert render.mermaid(graph, collapse=how)
    assert render.text(graph, collapse=how)


@pytest.mark.parametrize("engine", ["dot", "wasi"])
def test_graphviz_draws_the_same_structure(graph: viz.Graph, engine: str) -> None:
    if engine not in engines.available():
        pytest.skip(f"{engine} is not installed")

    def parts(drawn: str) -> set[tuple[str, ...]]:
        names = ("data-key", "data-group", "data-src", "data-dst")
        return {
            tuple(node.get(name, "") for name in names)
            for node in ET.fromstring(drawn).iter()
            if any(node.get(n) for n in names)
        }

    assert parts(render.svg(graph, engine=engine)) == parts(render.svg(graph, engine="builtin"))


def test_the_drawn_graph_replays(graph: viz.Graph) -> None:
    assert graph.verify() > 0
