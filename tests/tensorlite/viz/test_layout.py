from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.viz.collapse import collapse
from tensorlite.viz.geometry import Layout, Point, Rect
from tensorlite.viz.layout import builtin
from tensorlite.viz.view import View

from .samples import Sketch, random_graph, transformer


def overlap(a: Rect, b: Rect) -> bool:
    return a.x < b.right - 0.01 and b.x < a.right - 0.01 and a.y < b.bottom - 0.01 and b.y < a.bottom - 0.01


def contains(outer: Rect, inner: Rect) -> bool:
    e = 0.02
    return (
        outer.x <= inner.x + e
        and inner.right <= outer.right + e
        and outer.y <= inner.y + e
        and inner.bottom <= outer.bottom + e
    )


def assert_tidy(view: View, layout: Layout) -> None:
    rects = {**layout.boxes, **layout.groups}
    parent = {**{box.key: box.group for box in view.boxes}, **{group.key: group.parent for group in view.groups}}
    inside: dict[str | None, list[str]] = {}
    for key, home in parent.items():
        inside.setdefault(home, []).append(key)
    for siblings in inside.values():
        for a, b in itertools.combinations(siblings, 2):
            assert not overlap(rects[a], rects[b]), (a, b)
    page = Rect(0, 0, layout.width, layout.height)
    for key, home in parent.items():
        assert contains(page if home is None else rects[home], rects[key]), key


def points_on(route: tuple[Point, ...]) -> list[Point]:
    found = []
    for i in range(0, len(route) - 3, 3):
        p0, p1, p2, p3 = route[i : i + 4]
        for k in range(9):
            t = k / 8
            w = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            found.append(tuple(sum(v * p[c] for v, p in zip(w, (p0, p1, p2, p3), strict=True)) for c in (0, 1)))
    return found  # type: ignore[return-value]


def assert_routes_keep_clear(view: View, layout: Layout) -> None:
    for link, route in zip(view.links, layout.routes, strict=True):
        for x, y in points_on(route.points):
            for key, rect in layout.boxes.items():
                inner = rect.x + 1 < x < rect.right - 1 and rect.y + 1 < y < rect.bottom - 1
                assert not inner or key in {link.src, link.dst}, (link, key)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["auto", "none", "max"]))
def test_boxes_never_overlap_and_stay_in_their_groups(seed: int, how: str) -> None:
    view = collapse(random_graph(seed, 50), how)
    layout = builtin(view)
    assert layout.boxes.keys() == {box.key for box in view.boxes}
    assert_tidy(view, layout)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_edges_keep_clear_of_other_boxes(seed: int) -> None:
    view = collapse(random_graph(seed, 30), "none")
    assert_routes_keep_clear(view, builtin(view))


@pytest.mark.parametrize("how", ["auto", "none", "max"])
@pytest.mark.parametrize("fold", [True, False])
def test_a_transformer_is_tidy(how: str, fold: bool) -> None:
    view = collapse(transformer(), how, fold_repeats=fold)
    layout = builtin(view)
    assert_tidy(view, layout)
    assert_routes_keep_clear(view, layout)


def test_routes_begin_and_end_at_their_boxes() -> None:
    view = collapse(transformer(), "none")
    layout = builtin(view)
    for link, route in zip(view.links, layout.routes, strict=True):
        (x0, y0), (x1, y1) = route.points[0], route.points[-1]
        start, end = layout.boxes[link.src], layout.boxes[link.dst]
        assert start.x - 0.1 <= x0 <= start.right + 0.1
        assert y0 == pytest.approx(start.bottom, abs=0.1)
        assert end.x - 0.1 <= x1 <= end.right + 0.1
        assert end.y - 0.1 <= y1 <= end.bottom + 0.1
        assert len(route.points) % 3 == 1


def test_the_main_path_of_a_transformer_is_straight() -> None:
    """From the last norm to the classifier each op stands exactly under the one before."""
    view = collapse(transformer(loss=False), lambda module: module.name in {"MultiHeadAttention", "FeedForward"})
    layout = builtin(view)
    middles = [layout.boxes[box.key] for box in view.boxes if box.title.startswith(("mean", "Linear classifier"))]
    assert len({round(rect.x + rect.width / 2, 1) for rect in middles}) == 1


def test_empty_and_single_graphs_have_a_layout() -> None:
    from tensorlite.viz.ir import Graph, Node

    empty = collapse(Graph("empty", (), ()))
    assert builtin(empty).boxes == {}
    single = collapse(Graph("one", (Node(0, "x"),), ()))
    assert len(builtin(single).boxes) == 1


def test_a_large_flat_graph_is_tidy_when_collapsed() -> None:
    view = collapse(random_graph(3, 3000, nasty=False))
    assert_tidy(view, builtin(view))


def test_terms_of_a_long_sum_wait_beside_their_additions() -> None:
    """One lane from the shared input instead of one a term, so waypoints grow with the sum and not with its square."""
    s = Sketch("sum")
    x = s.leaf("input", "x", (3,))
    total = s.add("mul", x)
    for _ in range(60):
        total = s.add("add", total, s.add("mul", x))
    view = collapse(s.graph(total), "none", fold_repeats=False)
    layout = builtin(view)
    assert_tidy(view, layout)
    assert_routes_keep_clear(view, layout)
    rows = [rect.y for rect in layout.boxes.values()]
    assert max(rows.count(y) for y in rows) <= 4


def test_ops_wired_at_random_are_searched_for_loops_and_drawn() -> None:
    s = Sketch("random")
    values, rng = [s.leaf("input", "x", (3,))], random.Random(0)
    for _ in range(300):
        values.append(s.add("mul", values[-1], rng.choice(values), shape=(3,)))
    view = collapse(s.graph(values[-1]), "none")
    assert_tidy(view, builtin(view))
