"""The graph in the JSON layout of Google's Model Explorer."""

from __future__ import annotations

from typing import Any

from .ir import Graph, Node
from .metrics import count, dims


def model_explorer(graph: Graph) -> dict[str, Any]:
    """One graph collection with one graph; module paths become its namespaces."""
    return {"label": graph.name, "graphs": [{"id": graph.name, "nodes": [_node(graph, node) for node in graph.nodes]}]}


def _node(graph: Graph, node: Node) -> dict[str, Any]:
    attrs = {"shape": dims(node.shape), "dtype": node.dtype, "source": node.source, **dict(node.attrs)}
    if node.params:
        attrs["params"] = count(node.params)
    return {
        "id": str(node.id),
        "label": node.name or node.op,
        "namespace": _namespace(graph, node),
        "incomingEdges": [
            {"sourceNodeId": str(edge.src), "sourceNodeOutputId": "0", "targetNodeInputId": str(edge.slot)}
            for edge in graph.operands[node.id]
        ],
        "attrs": [{"key": key, "value": value} for key, value in attrs.items() if value],
        "outputsMetadata": [
            {"id": "0", "attrs": [{"key": "tensor_shape", "value": f"{node.dtype}[{dims(node.shape)}]"}]}
        ],
    }


def _namespace(graph: Graph, node: Node) -> str:
    names: list[str] = []
    module = node.module
    while module is not None:
        record = graph.modules[module]
        own = (record.path.rsplit(".", 1)[-1] or record.name).replace("/", "_")
        names.append(f"{own}#{record.call}" if record.call else own)
        module = record.parent
    return "/".join(reversed(names))
