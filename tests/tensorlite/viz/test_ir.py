from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.viz.ir import Edge, Graph, Module, Node, Summary, mark_skips

from .samples import random_graph, transformer


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_graph_survives_json(seed: int) -> None:
    graph = random_graph(seed)
    assert Graph.from_dict(json.loads(graph.to_json())) == graph


def test_non_finite_summaries_survive_strict_json() -> None:
    node = Node(0, "x", value=Summary.of(np.array([np.nan, np.inf])), seconds=math.inf)
    again = Graph.from_dict(json.loads(Graph("g", (node,), ()).to_json(), parse_constant=pytest.fail)).nodes[0]
    assert again.value is not None
    assert math.isnan(again.value.mean)
    assert (again.value.nan, again.value.inf, again.seconds) == (1, 1, math.inf)


@pytest.mark.parametrize(
    ("nodes", "edges", "modules", "outputs", "message"),
    [
        ((Node(1, "x"),), (), (), (), "node ids"),
        ((Node(0, "x"), Node(1, "y")), (Edge(1, 0),), (), (), "smaller to a larger"),
        ((Node(0, "x"),), (Edge(0, 0),), (), (), "smaller to a larger"),
        ((Node(0, "x", module=0),), (), (), (), "does not exist"),
        ((Node(0, "x", kind="tensor"),), (), (), (), "kind must be"),  # type: ignore[arg-type]
        ((), (), (Module(0, "a", "A", parent=0),), (), "parents first"),
        ((), (), (), (0,), "outputs"),
    ],
)
def test_malformed_graphs_are_refused(
    nodes: tuple[Node, ...],
    edges: tuple[Edge, ...],
    modules: tuple[Module, ...],
    outputs: tuple[int, ...],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        Graph("g", nodes, edges, modules, outputs)


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema"):
        Graph.from_dict({"schema": "something/2"})


def test_residual_edges_are_those_around_other_ops() -> None:
    nodes = [Node(0, "input", "input"), Node(1, "relu"), Node(2, "add"), Node(3, "mul"), Node(4, "add")]
    edges = [Edge(0, 1), Edge(1, 2, 0), Edge(0, 2, 1), Edge(0, 3, 0), Edge(2, 3, 1), Edge(3, 4, 0), Edge(3, 4, 1)]
    assert [edge.is_skip for edge in mark_skips(nodes, edges)] == [False, False, True, False, False, False, False]


def test_summary_of_awkward_arrays() -> None:
    summary = Summary.of(np.array([3.0, -4.0, 0.0, np.nan, np.inf]))
    assert (summary.minimum, summary.maximum, summary.norm) == (-4.0, 3.0, 5.0)
    assert (summary.nan, summary.inf, summary.zero, summary.size) == (1, 1, 1, 5)
    assert Summary.of(np.zeros((0, 3))).size == 0
    assert Summary.of(np.array(True)).mean == 1.0
    assert Summary.of(np.array([3 + 4j])).maximum == 5.0


def test_the_description_counts() -> None:
    words = transformer().describe()
    assert "8 residual connections" in words
    assert "token ids 2×16 i64" in words


def test_model_explorer_export_has_every_edge() -> None:
    graph = transformer()
    nodes = graph.to_model_explorer()["graphs"][0]["nodes"]
    assert sum(len(node["incomingEdges"]) for node in nodes) == len(graph.edges)
    assert any(node["namespace"].endswith(["layers", "3"][-1] + "/self_attn/q_proj") for node in nodes)
