"""Random programs of `tensorlite.testing` never crash a renderer, and what is drawn is what was computed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as hs

import tensorlite as tl
from tensorlite import viz
from tensorlite.testing import Program, random_programs, st
from tensorlite.viz import render
from tensorlite.viz.layout import builtin

from .test_collapse import assert_conserves
from .test_layout import assert_tidy
from .test_renderers import RENDERERS


def leaves(program: Program) -> list[Any]:
    return [tl.tensor(leaf, requires_grad=True) for leaf in program.leaves]


def assert_draws(graph: viz.Graph, **options: Any) -> None:
    view = render.view(graph, **options)
    assert_conserves(graph, view)
    assert_tidy(view, builtin(view))
    for name, draw in RENDERERS.items():
        assert draw(graph, **options) == draw(graph, **options), name
    ET.fromstring(RENDERERS["svg"](graph, **options))
    assert viz.Graph.from_dict(graph.to_dict()) == graph


@given(st.programs(max_ops=6), hs.sampled_from(["auto", "none", "max"]), hs.sampled_from([2, 5, 40]))
def test_every_renderer_draws_every_program(program: Program, how: str, limit: int) -> None:
    assert_draws(viz.graph(program.function(), *leaves(program), backward=True), collapse=how, max_visible=limit)


@pytest.mark.parametrize("color_by", ["grad_norm", "flops", "nan", "dead"])
def test_numbers_and_gradients_draw_on_long_programs(color_by: str) -> None:
    for program in random_programs(3, seed=7, max_ops=40):
        graph = viz.graph(program.function(), *leaves(program), backward=True)
        assert_draws(graph, color_by=color_by, direction="backward")


def test_what_is_drawn_is_what_was_computed() -> None:
    for program in random_programs(60, seed=3, max_ops=12):
        drawn = viz.graph(program.function(), *leaves(program))
        verified = drawn.verify()
        assert verified == sum(node.kind == "op" for node in drawn.nodes)
        assert not verified.taken


def test_the_graph_behind_outputs_draws_too() -> None:
    for program in random_programs(20, seed=5, max_ops=12):
        outputs = program.function()(*leaves(program))
        assert_draws(viz.graph([t for t in outputs if t.requires_grad]))
