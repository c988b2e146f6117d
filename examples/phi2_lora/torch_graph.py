"""PyTorch's own computation graph, read from `grad_fn`, in the form that tensorlite draws.

Autograd keeps only what a gradient passes through: frozen weights and the input do not appear.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tensorlite.viz import Edge, Graph, Node

from .recipe import Recipe
from .torch_engine import TorchEngine

__all__ = ["from_grad_fn", "graph_of_block"]


def from_grad_fn(output: torch.Tensor, names: Mapping[str, torch.Tensor]) -> Graph:
    """The graph behind a tensor; leaves get the names of the tensors in `names`."""
    name_of = {id(tensor): name for name, tensor in names.items()}
    order = _operands_first(output.grad_fn)
    number = {id(function): i for i, function in enumerate(order)}
    nodes, edges = [], []
    for i, function in enumerate(order):
        leaf = getattr(function, "variable", None)
        if leaf is not None:
            label = name_of.get(id(leaf), "leaf")
            nodes.append(Node(i, "param", "param", label, tuple(leaf.shape), params=leaf.numel()))
        else:
            nodes.append(Node(i, type(function).__name__.removesuffix("Backward0").removesuffix("Backward1")))
        operands = [f for f, _ in function.next_functions if f is not None]
        edges += [Edge(number[id(f)], i, slot) for slot, f in enumerate(operands)]
    return Graph("torch", tuple(nodes), tuple(edges), outputs=(len(order) - 1,))


def _operands_first(root: Any) -> list[Any]:
    """Every function once, after those whose results it uses; without recursion."""
    order: list[Any] = []
    seen: set[int] = set()
    waiting = [(root, False)]
    while waiting:
        function, complete = waiting.pop()
        if complete:
            order.append(function)
        elif id(function) not in seen:
            seen.add(id(function))
            waiting.append((function, True))
            waiting += [(f, False) for f, _ in function.next_functions if f is not None]
    return order


def graph_of_block(folder: Path, targets: tuple[str, ...] = ("q_proj", "v_proj")) -> Graph:
    """The first block of a Phi with fresh adapters, on four random tokens."""
    engine = TorchEngine(folder)
    engine.new_adapters(Recipe(targets=targets, dropout=0.0))
    inner = engine.model.get_base_model().model
    x = torch.randn(1, 4, inner.config.hidden_size, dtype=engine.dtype, device=engine.device)
    angles = inner.rotary_emb(x, torch.arange(4, device=engine.device)[None])
    out = inner.layers[0](x, position_embeddings=angles)
    return from_grad_fn(out[0] if isinstance(out, tuple) else out, dict(inner.layers[0].named_parameters()))
