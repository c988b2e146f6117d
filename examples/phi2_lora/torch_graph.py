"""PyTorch's own computation graph, read from `grad_fn`, in the form that tensorlite draws.

Autograd keeps only what a gradient passes through: frozen weights do not appear. What a module computed is told
by hooks: the functions that are new when it returns, and that no module inside it has claimed, are its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tensorlite.viz import Edge, Graph, Module, Node

from .recipe import Recipe
from .torch_engine import TorchEngine

__all__ = ["Calls", "from_grad_fn", "graph_of_block"]


class Calls:
    """Which module of `root` made which function of autograd, while it is used as `with Calls(root) as calls: root(x)`."""

    def __init__(self, root: torch.nn.Module) -> None:
        self.root = root
        self.modules: list[Module] = []
        self.module_of: dict[Any, int] = {}
        self._open: list[int] = []
        self._hooks: list[Any] = []

    def __enter__(self) -> Calls:
        for path, module in self.root.named_modules():
            if path:  # the whole needs no frame
                self._hooks.append(module.register_forward_pre_hook(self._opens(path), with_kwargs=True))
                self._hooks.append(module.register_forward_hook(self._closes))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _opens(self, path: str) -> Any:
        def enter(module: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            for given in [*arguments, *named.values()]:  # what was made before this module is not its own
                self._claim(given, self._open[-1] if self._open else None)
            parent = self._open[-1] if self._open else None
            call = sum(m.path == path for m in self.modules)
            self._open.append(len(self.modules))
            self.modules.append(Module(len(self.modules), path, type(module).__name__, call, parent))

        return enter

    def _closes(self, module: torch.nn.Module, arguments: Any, output: Any) -> None:
        self._claim(output, self._open.pop())

    def _claim(self, value: Any, owner: int | None) -> None:
        if isinstance(value, tuple | list):
            for part in value:
                self._claim(part, owner)
        waiting = [value.grad_fn] if isinstance(value, torch.Tensor) else []
        while waiting:
            function = waiting.pop()
            if function is None or function in self.module_of:
                continue
            self.module_of[function] = -1 if owner is None else owner
            waiting += [f for f, _ in function.next_functions]


def from_grad_fn(output: torch.Tensor, names: Mapping[str, torch.Tensor], calls: Calls | None = None) -> Graph:
    """The graph behind a tensor; leaves get the names of the tensors in `names`, functions the modules of `calls`."""
    name_of = {id(tensor): name for name, tensor in names.items()}
    order = _operands_first(output.grad_fn)
    number = {function: i for i, function in enumerate(order)}
    nodes, edges = [], []
    for i, function in enumerate(order):
        owner = -1 if calls is None else calls.module_of.get(function, -1)
        module = None if owner < 0 else owner
        leaf = getattr(function, "variable", None)
        if leaf is not None:
            label, shape = name_of.get(id(leaf), "leaf"), tuple(leaf.shape)
            if isinstance(leaf, torch.nn.Parameter):
                nodes.append(Node(i, "param", "param", label, shape, module=module, params=leaf.numel()))
            else:
                nodes.append(Node(i, "input", "input", label, shape))
        else:
            name = type(function).__name__.removesuffix("Backward0").removesuffix("Backward1")
            nodes.append(Node(i, name, shape=_shape(function), module=module))
        operands = [f for f, _ in function.next_functions if f is not None]
        edges += [Edge(number[f], i, slot) for slot, f in enumerate(operands)]
    modules = () if calls is None else tuple(calls.modules)
    return Graph("torch", tuple(nodes), tuple(edges), modules, outputs=(len(order) - 1,))


def _shape(function: Any) -> tuple[int, ...]:
    """Of what the function gets a gradient for, its first result."""
    results = getattr(function, "_input_metadata", ())
    return tuple(int(n) for n in results[0].shape) if results else ()


def _operands_first(root: Any) -> list[Any]:
    """Every function once, after those whose results it uses; without recursion."""
    order: list[Any] = []
    seen: set[Any] = set()
    waiting = [(root, False)]
    while waiting:
        function, complete = waiting.pop()
        if complete:
            order.append(function)
        elif function not in seen:
            seen.add(function)
            waiting.append((function, True))
            waiting += [(f, False) for f, _ in function.next_functions if f is not None]
    return order


def graph_of_block(folder: Path, targets: tuple[str, ...] = ("q_proj", "v_proj")) -> Graph:
    """The first block of a causal model with fresh adapters, on four random tokens with a gradient, as every later block has them."""
    engine = TorchEngine(folder)
    engine.new_adapters(Recipe(targets=targets, dropout=0.0))
    inner = engine.model.get_base_model().model
    block = inner.layers[0]
    x = torch.randn(1, 4, inner.config.hidden_size, dtype=engine.dtype, device=engine.device, requires_grad=True)
    angles = inner.rotary_emb(x, torch.arange(4, device=engine.device)[None])
    with Calls(block) as calls:
        out = block(x, position_embeddings=angles)
    return from_grad_fn(out[0] if isinstance(out, tuple) else out, {"x": x, **dict(block.named_parameters())}, calls)
