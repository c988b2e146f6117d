"""The two libraries whose functions can be checked: tensorlite, and torch where the caller already uses it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd import grad as take_grad
from ..autograd.graph import Variable, wrap
from ..autograd.mode import enable_grad, no_grad
from ..autograd.numeric import evaluate

Function = Callable[..., Any]


class Tensorlite:
    """Functions of tensorlite tensors."""

    name = "tensorlite"
    complex_step = True

    def is_tensor(self, x: Any) -> bool:
        return isinstance(x, Variable)

    def array(self, x: Any) -> Any:
        return x._data

    def needs_grad(self, x: Any) -> bool:
        return isinstance(x, Variable) and x._rg

    def leaf(self, array: Any, requires_grad: bool = True) -> Any:
        t = wrap(array)
        t._rg = requires_grad and array.dtype.kind in "fc"
        return t

    def evaluate(self, f: Function, inputs: Sequence[Any], arrays: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        return evaluate(f, inputs, arrays)

    def run(self, f: Function, inputs: Sequence[Any]) -> list[Any]:
        """The tensors in the result of `f`, with their history."""
        with enable_grad(), np.errstate(all="ignore"):
            return tensors_in(f(*inputs), self)

    def gradients(
        self, outputs: Sequence[Any], inputs: Sequence[Any], cotangents: Sequence[Any], create_graph: bool = False
    ) -> list[Any]:
        """One tensor or None for each input; the graph is kept."""
        found = take_grad(
            list(outputs),
            list(inputs),
            list(cotangents),
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
        return list(found)


class Torch:
    """Functions of torch tensors. tensorlite does not import torch: this class is used once somebody else has."""

    name = "torch"
    complex_step = True

    def __init__(self) -> None:
        self.torch = importlib.import_module("torch")

    def is_tensor(self, x: Any) -> bool:
        return isinstance(x, self.torch.Tensor)

    def array(self, x: Any) -> Any:
        return x.detach().numpy(force=True)

    def needs_grad(self, x: Any) -> bool:
        return self.is_tensor(x) and x.requires_grad

    def leaf(self, array: Any, requires_grad: bool = True) -> Any:
        array = np.asarray(array)
        strange = array.size and (not array.flags.writeable or any(s < 0 for s in array.strides))
        t = self.torch.from_numpy(array.copy() if strange else array)
        return t.requires_grad_(bool(requires_grad and array.dtype.kind in "fc"))

    def evaluate(self, f: Function, inputs: Sequence[Any], arrays: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        values = iter(arrays)
        arguments = [self.leaf(np.array(next(values)), False) if self.is_tensor(x) else x for x in inputs]
        with self.torch.no_grad():
            return [self.array(t) for t in tensors_in(f(*arguments), self)], []

    def run(self, f: Function, inputs: Sequence[Any]) -> list[Any]:
        with self.torch.enable_grad():
            return tensors_in(f(*inputs), self)

    def gradients(
        self, outputs: Sequence[Any], inputs: Sequence[Any], cotangents: Sequence[Any], create_graph: bool = False
    ) -> list[Any]:
        found = self.torch.autograd.grad(
            list(outputs),
            list(inputs),
            list(cotangents),
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
        return list(found)


Backend = Tensorlite | Torch
TENSORLITE = Tensorlite()


def backend_of(inputs: Sequence[Any]) -> Backend:
    """torch if one of the inputs is a torch tensor, else tensorlite."""
    torch = sys.modules.get("torch")
    if torch is not None and any(isinstance(x, torch.Tensor) for x in inputs):
        return Torch()
    return TENSORLITE


def tensors_in(result: Any, backend: Backend) -> list[Any]:
    """The tensors in a function's result, tuples and lists opened."""
    if backend.is_tensor(result):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, tuple | list):
        return [t for item in result for t in tensors_in(item, backend)]
    return []


def without_grad(backend: Backend) -> Any:
    """The `no_grad` context of the backend."""
    return no_grad() if isinstance(backend, Tensorlite) else backend.torch.no_grad()
