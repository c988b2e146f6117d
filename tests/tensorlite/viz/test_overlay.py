from __future__ import annotations

import numpy as np
import pytest

from tensorlite.viz import render
from tensorlite.viz.ir import Edge, Graph, Node, Summary
from tensorlite.viz.overlay import COLOR_BY
from tensorlite.viz.svg import link_width

from .samples import random_graph, transformer


def chain() -> Graph:
    nodes = (
        Node(0, "input", "input", shape=(4,)),
        Node(1, "relu", shape=(4,), flops=4, nbytes=16, seconds=0.002, value=Summary.of([0, 0, 0, 1.0])),
        Node(2, "exp", shape=(4,), flops=8, nbytes=16, value=Summary.of([np.nan, np.inf, 1, 1])),
        Node(3, "relu", shape=(4,), flops=4, nbytes=16, value=Summary.of(np.zeros(4)), grad=Summary.of([3e4, 4e4])),
    )
    return Graph("chain", nodes, (Edge(0, 1), Edge(1, 2), Edge(2, 3)), (), (3,))


@pytest.mark.parametrize(
    ("color_by", "texts", "alarms"),
    [
        ("flops", ["4 FLOPs", "8 FLOPs", "4 FLOPs"], []),
        ("bytes", ["16 B", "16 B", "16 B"], []),
        ("time", ["2 ms"], []),
        ("nan", ["0 NaN or Inf", "2 NaN or Inf", "0 NaN or Inf"], ["n2"]),
        ("dead", ["75% zeros", "100% zeros"], ["n3"]),
        ("grad_norm", ["grad ‖·‖ 5e+04"], ["n3"]),
    ],
)
def test_the_numbers_are_printed(color_by: str, texts: list[str], alarms: list[str]) -> None:
    view = render.view(chain(), color_by=color_by)
    assert [box.overlay.text for box in view.boxes if box.overlay] == texts
    assert [box.key for box in view.boxes if box.overlay and box.overlay.alarm] == alarms
    svg = render.svg(chain(), color_by=color_by, engine="builtin")
    assert all(text in svg for text in texts)
    assert view.legend in svg


@pytest.mark.parametrize("color_by", COLOR_BY)
def test_overlays_never_crash_and_levels_are_shares(color_by: str) -> None:
    for seed in range(5):
        view = render.view(random_graph(seed), color_by=color_by)
        assert all(0 <= box.overlay.level <= 1 for box in view.boxes if box.overlay)


def test_an_overlay_without_recording_says_so() -> None:
    assert "nothing was recorded" in render.view(transformer(1), color_by="grad_norm").legend


def test_a_closed_module_sums_flops() -> None:
    graph = transformer()
    view = render.view(graph, depth=0, color_by="flops")
    assert sum(box.flops for box in view.boxes) == graph.flops


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="color_by must be one of"):
        render.view(chain(), color_by="mood")
    with pytest.raises(ValueError, match="direction must be"):
        render.view(chain(), direction="sideways")


def test_backward_arrows_carry_the_gradient_of_their_source() -> None:
    nodes = chain().nodes
    graph = Graph("g", (*nodes[:3], nodes[3], Node(4, "sum")), (*chain().edges, Edge(3, 4)))
    view = render.view(graph, direction="backward")
    assert [link.label for link in view.links] == ["", "", "", "5e+04"]
    assert "marker-start" in render.svg(graph, direction="backward", engine="builtin")


def test_pen_width_grows_with_the_logarithm() -> None:
    assert link_width(0.0) == link_width(float("nan")) == link_width(1e-12) == 1.0
    assert link_width(1.0) == 3.0
    assert link_width(1e9) == 4.0
