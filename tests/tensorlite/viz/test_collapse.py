from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.viz.collapse import MAX_VISIBLE, collapse
from tensorlite.viz.ir import Graph
from tensorlite.viz.view import View

from .samples import Sketch, random_graph, transformer

HOW = st.sampled_from(["auto", "none", "max", 0, 1, 2])


def view_of(graph: Graph, how: object, fold: bool = True) -> View:
    if isinstance(how, int):
        return collapse(graph, depth=how, fold_repeats=fold)
    return collapse(graph, str(how), fold_repeats=fold)


def assert_conserves(graph: Graph, view: View) -> None:
    assert sum(box.inner for box in view.boxes) + sum(link.edges for link in view.links) == len(graph.edges)
    assert sum(box.params for box in view.boxes) == graph.params
    assert sum(box.flops for box in view.boxes) == graph.flops
    members = [node for box in view.boxes for node in box.members]
    assert len(members) == len(set(members))
    assert {n.id for n in graph.nodes if n.kind in {"op", "input", "param"}} <= set(members)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), HOW, st.booleans())
def test_views_conserve_edges_parameters_and_flops(seed: int, how: object, fold: bool) -> None:
    graph = random_graph(seed, 60)
    assert_conserves(graph, view_of(graph, how, fold))


@pytest.mark.parametrize("how", ["auto", "none", "max", 1, 2])
@pytest.mark.parametrize("shared", [False, True])
def test_transformer_views_conserve(how: object, shared: bool) -> None:
    graph = transformer(shared=shared)
    assert_conserves(graph, view_of(graph, how))
    assert_conserves(graph, view_of(graph, how, fold=False))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), HOW)
def test_links_join_visible_boxes_and_groups_nest(seed: int, how: object) -> None:
    view = view_of(random_graph(seed, 60), how)
    boxes, groups = {box.key for box in view.boxes}, {group.key for group in view.groups}
    assert all(link.src in boxes and link.dst in boxes and link.src != link.dst for link in view.links)
    assert all(box.group is None or box.group in groups for box in view.boxes)
    seen: set[str] = set()
    for group in view.groups:
        assert group.parent is None or group.parent in seen
        seen.add(group.key)


def visible(view: View) -> int:
    return sum(box.kind != "entry" for box in view.boxes)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_auto_shows_few_boxes_of_a_large_graph(seed: int) -> None:
    assert visible(collapse(random_graph(seed, 800))) <= MAX_VISIBLE


def test_repeated_layers_are_drawn_once_with_their_own_weights() -> None:
    view = collapse(transformer(4), "none")
    [group] = [group for group in view.groups if group.repeats > 1]
    assert group.title == "layers.0 … layers.3"
    assert group.subtitle.startswith("4 × EncoderLayer · own weights each")
    loops = [link for link in view.links if link.kind == "loop"]
    assert len(loops) == 1
    assert sum(link.kind == "skip" for link in view.links) == 2


def test_shared_weights_are_named_and_counted_once() -> None:
    graph = transformer(4, shared=True)
    [group] = [group for group in collapse(graph, "none").groups if group.repeats > 1]
    assert "shared weights ×4" in group.subtitle
    assert graph.params == transformer(1).params


def test_different_layers_are_not_folded() -> None:
    s = Sketch("m")
    x = s.leaf("input", "x", (2, 4))
    for i, act in enumerate(["relu", "tanh"]):
        with s.call(f"layers.{i}", "Layer"):
            x = s.add(act, s.add("matmul", x, x))
    assert all(group.repeats == 1 for group in collapse(s.graph(x), "none").groups)


def test_parallel_siblings_on_different_inputs_are_not_folded() -> None:
    s = Sketch("m")
    ends = []
    for i in range(2):
        x = s.leaf("input", f"x{i}", (2, 4))
        with s.call(f"towers.{i}", "Tower"):
            ends.append(s.add("relu", s.add("exp", x)))
    assert all(group.repeats == 1 for group in collapse(s.graph(*ends), "none").groups)


def test_parallel_heads_on_one_input_are_folded() -> None:
    s = Sketch("m")
    x = s.leaf("input", "x", (2, 4))
    ends = []
    for i in range(3):
        with s.call(f"heads.{i}", "Head"):
            ends.append(s.add("relu", s.add("exp", x)))
    graph = s.graph(s.add("cat", *ends))
    assert [group.repeats for group in collapse(graph, "none").groups] == [3]
    assert_conserves(graph, collapse(graph, "none"))


def test_a_copy_that_is_used_twice_keeps_operand_order() -> None:
    """sub(a, b) and sub(b, a) differ: an order-free hash would fold them."""
    s = Sketch("m")
    x = s.leaf("input", "x", (2,))
    for i, flip in enumerate([False, True]):
        with s.call(f"layers.{i}", "Layer"):
            a, b = s.add("exp", x), s.add("relu", x)
            x = s.add("sub", b, a) if flip else s.add("sub", a, b)
    assert all(group.repeats == 1 for group in collapse(s.graph(x), "none").groups)


def test_an_unrolled_cell_folds_with_its_time_slices() -> None:
    s = Sketch("rnn")
    x, h = s.leaf("input", "x", (5, 4)), s.leaf("input", "h", (4,))
    w = s.leaf("param", "cell.weight", (4, 4))
    states = []
    for t in range(5):
        step = s.add("getitem", x, shape=(4,), attrs=(("index", str(t)),))
        with s.call("cell", "Cell"):
            h = s.add("add", s.add("matmul", step, w, shape=(4,)), h, shape=(4,))
            h = s.add("tanh", h, shape=(4,))
        states.append(h)
    graph = s.graph(s.add("stack", *states))
    view = collapse(graph, "none")
    assert_conserves(graph, view)
    assert [group.repeats for group in view.groups] == [5]
    assert sum(box.title == "getitem" for box in view.boxes) == 1


def test_predicate_and_open() -> None:
    graph = transformer()
    view = collapse(graph, lambda module: module.name == "MultiHeadAttention")
    assert [box.title for box in view.boxes if box.kind == "module"] == ["▸ MultiHeadAttention"]
    view = collapse(graph, "max", open=["layers.0.self_attn"])
    assert {group.path for group in view.groups} == {"layers.0", "layers.0.self_attn"}


def test_unknown_collapse_is_refused() -> None:
    with pytest.raises(ValueError, match="collapse must be"):
        collapse(transformer(1), "some")


def test_show_params_draws_them() -> None:
    view = collapse(transformer(1), "none", show_params=True)
    assert sum(box.kind == "param" for box in view.boxes) == 21
    assert_conserves(transformer(1), view)


def test_a_tied_weight_is_drawn_because_two_ops_use_it() -> None:
    s = Sketch("m")
    ids, w = s.leaf("input", "ids", (3,)), s.leaf("param", "embedding.weight", (10, 4))
    x = s.add("embedding", ids, w)
    graph = s.graph(s.add("matmul", s.add("tanh", x), w))
    view = collapse(graph, "none")
    [tied] = [box for box in view.boxes if box.kind == "param"]
    assert sorted(link.dst for link in view.links if link.src == tied.key) == ["n2", "n4"]
    assert_conserves(graph, view)


@pytest.mark.parametrize("limit", [2, 3, 5, 16, 17, 39])
def test_any_limit_on_the_visible_boxes_ends_and_leaves_no_cycle(limit: int) -> None:
    s = Sketch("Chain")
    x = first = s.leaf("input", "x", (3,))
    for _ in range(60):
        x = s.add("add", s.add("sin", x), x)
    graph = s.graph(x)
    view = collapse(graph, max_visible=limit, fold_repeats=False)
    assert_conserves(graph, view)
    order = {key: i for i, key in enumerate(key for key, _ in sorted_boxes(view))}
    assert all(order[link.src] <= order[link.dst] for link in view.links if link.kind != "loop")
    assert first == 0
    assert visible(view) <= max(limit, 2) + 1


def sorted_boxes(view: View) -> list[tuple[str, int]]:
    """(key, first node) in the order of the graph; results last."""
    firsts = [(box.key, min(box.members, default=10**9)) for box in view.boxes]
    return sorted(firsts, key=lambda entry: entry[1])


def test_options_that_cannot_be_meant_are_refused() -> None:
    graph = transformer()
    for options, word in [
        ({"max_visible": 1}, "at least 2"),
        ({"depth": -1}, "negative"),
        ({"open": ["layers.9"]}, "layers.9; there are: layers.0"),
    ]:
        with pytest.raises(ValueError, match=word):
            collapse(graph, **options)
    assert visible(collapse(graph, depth=0, open="layers.0")) == visible(collapse(graph, depth=0, open=["layers.0"]))


def unrolled(rounds: int, *, skip_at: int = -1) -> Graph:
    """h = tanh(x + h) in one forward; at round `skip_at` the round before is passed over."""
    s = Sketch("Loop")
    x = s.leaf("input", "x", (3,))
    with s.call("", "Loop"):
        states = [s.add("neg", x, shape=(3,))]
        for k in range(rounds):
            h = s.add("mul", states[-2 if k == skip_at else -1], states[-1], shape=(3,))
            states.append(s.add("tanh", s.add("add", x, h, shape=(3,)), shape=(3,)))
    return s.graph(states[-1])


def titles(view: View) -> list[str]:
    return [f"{group.title}: {group.subtitle}" for group in view.groups]


def test_a_loop_over_ops_is_folded_into_one_round() -> None:
    graph = unrolled(20)
    view = collapse(graph)
    assert_conserves(graph, view)
    assert titles(view) == ["mul, add, tanh: 20 × round of ops · no weights"]
    assert visible(view) == 6
    assert [link.label for link in view.links if link.kind == "loop"] == ["runs 20 times"]
    assert len(collapse(graph, "none", fold_repeats=False).groups) == 0


def test_rounds_that_are_wired_differently_are_not_one_loop() -> None:
    view = collapse(unrolled(20, skip_at=12), "none")
    assert titles(view) == [
        "mul, add, tanh: 12 × round of ops · no weights",
        "mul, add, tanh: 7 × round of ops · no weights",
    ]


def test_blocks_that_alternate_are_folded_in_pairs() -> None:
    s = Sketch("Pairs")
    x = s.leaf("input", "x", (2, 16, 64))
    with s.call("", "Pairs"):
        for k in range(8):
            kind, act = ("Even", "relu") if k % 2 == 0 else ("Odd", "gelu")
            with s.call(f"layers.{k}", kind):
                h = s.linear(f"layers.{k}.linear", x, 64, 64)
                x = s.add("add", x, s.add(act, h))
    graph = s.graph(x)
    view = collapse(graph)
    assert_conserves(graph, view)
    assert titles(view)[0].startswith("layers.0, layers.1 … layers.6, layers.7: 4 × Even + Odd · own weights each")
    assert titles(view)[1:] == ["layers.0: Even · 4.16k params", "layers.1: Odd · 4.16k params"]
    closed = collapse(graph, lambda module: module.name == "Even + Odd")
    assert [box.title for box in closed.boxes] == ["x", "▸ layers.0, layers.1 … layers.6, layers.7", "output"]


def test_six_equal_blocks_stay_six_and_are_not_three_pairs() -> None:
    assert titles(collapse(transformer(6)))[0].startswith("layers.0 … layers.5: 6 × EncoderLayer")
