"""Reverse-mode automatic differentiation.

`graph` holds what is recorded, `record` records, `engine` walks back; `inplace` keeps histories right when memory is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import engine
from .graph import Node, RemovableHandle, Variable, wrap
from .mode import enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled
from .record import grad_fn

__all__ = [
    "Node",
    "RemovableHandle",
    "backward",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]

_LAZY = {
    "Function": "function",
    "detect_anomaly": "anomaly",
    "set_detect_anomaly": "anomaly",
    "is_anomaly_enabled": "anomaly",
    "gradcheck": "checking",
    "gradgradcheck": "checking",
    "GradcheckError": "checking",
    "memory_report": "memory",
    "functional": "",
    "graph": "",
    "function": "",
    "forward_ad": "",
}


def backward(
    tensors: Variable | Sequence[Variable],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *,
    inputs: Variable | Sequence[Variable] | None = None,
) -> None:
    """Add the gradients of `tensors` to `.grad` of the leaves they were computed from.

    Args:
        tensors: what to differentiate; a scalar needs no cotangent.
        grad_tensors: for each tensor a cotangent of its shape, or None for a scalar (1 is used).
        retain_graph: keep what the graph saved, so that it can be walked again. Default: the value of `create_graph`.
        create_graph: record the backward pass, so that gradients can be differentiated in turn.
        inputs: add gradients to these tensors only.

    Raises:
        RuntimeError: no tensor requires grad, a cotangent is missing or misshapen, or the graph was freed by an earlier pass.
    """
    outputs = _as_list(tensors)
    cotangents = _cotangents(outputs, grad_tensors)
    engine.backward(outputs, cotangents, retain_graph, create_graph, None if inputs is None else _as_list(inputs))


def grad(
    outputs: Variable | Sequence[Variable],
    inputs: Variable | Sequence[Variable],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs`, as a tuple; `.grad` attributes are left alone.

    With `is_grads_batched` every cotangent has a further first dim, and so has every gradient: one backward pass for each place along it.
    An input that the outputs do not depend on raises RuntimeError, gives None with `allow_unused`, or zeros with `materialize_grads`.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    outs, ins = _as_list(outputs), _as_list(inputs)
    if not ins:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if is_grads_batched:
        from .batched import batched

        def one(cotangents: list[Any], last: bool) -> tuple[Any, ...]:
            g, keep = _cotangents(outs, cotangents), retain_graph if last else True
            return engine.grad(outs, ins, g, keep, create_graph, bool(allow_unused), materialize_grads)

        return batched(one, outs, [grad_outputs] if isinstance(grad_outputs, Variable | None) else list(grad_outputs))
    cotangents = _cotangents(outs, grad_outputs)
    return engine.grad(outs, ins, cotangents, retain_graph, create_graph, bool(allow_unused), materialize_grads)


def _as_list(tensors: Any) -> list[Variable]:
    items = [tensors] if isinstance(tensors, Variable) else list(tensors)
    for t in items:
        if not isinstance(t, Variable):
            raise TypeError(f"expected tensors, got {type(t).__name__}")
        grad_fn(t)  # brings the history of a view up to date
    return items


def _cotangents(outputs: list[Variable], given: Any) -> list[Any]:
    cotangents = [given] if given is None or isinstance(given, Variable) else list(given)
    if given is None:
        cotangents = [None] * len(outputs)
    if len(cotangents) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(cotangents)} gradients")
    result = []
    for i, (t, g) in enumerate(zip(outputs, cotangents, strict=True)):
        if not t._rg:
            raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        if g is None:
            if t._data.size != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if t._data.dtype.kind == "c":
                raise RuntimeError(
                    f"grad can be implicitly created only for real scalar outputs but got {t._data.dtype}"
                )
            g = wrap(np.ones(t._data.shape, t._data.dtype))
        if not isinstance(g, Variable):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
        if g._data.shape != t._data.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {list(g._data.shape)} and output[{i}] has a shape of {list(t._data.shape)}."
            )
        if (g._data.dtype.kind == "c") != (t._data.dtype.kind == "c"):
            raise RuntimeError(
                f"For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: grad_output[{i}] has a dtype of {g._data.dtype} and output[{i}] has a dtype of {t._data.dtype}."
            )
        if g._data.dtype != t._data.dtype:
            g = g.to(t._data.dtype)  # type: ignore[attr-defined]
        result.append(g)
    return result


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'tensorlite.autograd' has no attribute '{name}'")
    import importlib

    module = importlib.import_module(f"{__name__}.{_LAZY[name] or name}")
    value = module if not _LAZY[name] else getattr(module, name)
    globals()[name] = value
    return value
