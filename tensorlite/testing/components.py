"""Complete checks of modules and of optimizers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.mode import no_grad
from .backends import TENSORLITE, Torch, tensors_in
from .checking import gradcheck
from .report import GradReport


def check_module(module: Any, *inputs: Any, seed: int = 0, **options: Any) -> GradReport:
    """Check a module in float64: gradients of inputs and of every parameter, and that its state makes a copy compute the same.

    The options are those of `gradcheck`. Raises GradcheckError for a wrong gradient, AssertionError for a state_dict that does not restore.
    """
    from ..func import functional_call

    b = TENSORLITE
    arguments = [b.leaf(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in inputs]
    parameters = dict(module.named_parameters())
    names = list(parameters)
    module.eval()

    def f(*values: Any) -> Any:
        given, rest = dict(zip(names, values, strict=False)), values[len(names) :]
        return functional_call(module, given, tuple(rest))

    leaves = [b.leaf(p._data.copy()) for p in parameters.values()]
    result = gradcheck(f, [*leaves, *arguments], seed=seed, **options)
    _state_restores(module, arguments)
    return result


def _state_restores(module: Any, inputs: Sequence[Any]) -> None:
    with no_grad():
        before = [t._data.copy() for t in tensors_in(module(*inputs), TENSORLITE)]
        state = {k: v.clone() for k, v in module.state_dict().items()}
        for p in module.parameters():
            p._data[...] = p._data + 1
        module.load_state_dict(state)
        after = [t._data for t in tensors_in(module(*inputs), TENSORLITE)]
    for k, (a, c) in enumerate(zip(before, after, strict=True)):
        if not np.array_equal(a, c, equal_nan=True):
            raise AssertionError(
                f"output {k} of {type(module).__name__} is another after its state_dict was saved and loaded"
            )


def check_optimizer(
    make: Callable[..., Any] | str, options: dict[str, Any] | None = None, *, steps: int = 6, seed: int = 0
) -> None:
    """Check an optimizer on two parameters, one of which gets no gradient in some steps.

    It must follow torch's optimizer of the same name step by step (where torch is installed and has it), leave parameters without gradient
    alone, and go on identically after its state was saved and loaded. `make` is the name of a class in `tensorlite.optim`, or the class.

    Raises AssertionError that says which step differs and by how much.
    """
    from .. import optim

    options = options or {}
    factory = getattr(optim, make) if isinstance(make, str) else make
    rng = np.random.default_rng(seed)
    start = [rng.standard_normal((2, 3)), rng.standard_normal(4)]
    grads = [
        [rng.standard_normal(p.shape) if k == 0 or t % 3 else None for k, p in enumerate(start)] for t in range(steps)
    ]
    path = _steps(TENSORLITE, factory, options, start, grads)
    restored = _steps(TENSORLITE, factory, options, start, grads, reload_at=steps // 2)
    _same_path(path, restored, 0.0, "after its state was saved and loaded")
    if importlib.util.find_spec("torch") is not None:
        torch = Torch()
        other = getattr(torch.torch.optim, factory.__name__, None)
        if other is not None:
            _same_path(path, _steps(torch, other, options, start, grads), 1e-10, "from torch's")


def _steps(
    backend: Any, factory: Any, options: dict[str, Any], start: list[Any], grads: list[list[Any]], reload_at: int = -1
) -> list[list[Any]]:
    parameters = [backend.leaf(p.copy()) for p in start]
    optimizer = factory(parameters, **options)
    path = []
    for t, row in enumerate(grads):
        if t == reload_at:
            state = optimizer.state_dict()
            optimizer = factory(parameters, **options)
            optimizer.load_state_dict(state)
        for p, g in zip(parameters, row, strict=True):
            p.grad = None if g is None else backend.leaf(g.copy(), False)
        before = [np.array(backend.array(p)) for p in parameters]
        optimizer.step()
        after = [np.array(backend.array(p)) for p in parameters]
        for k, g in enumerate(row):
            if g is None and not np.array_equal(before[k], after[k]):
                raise AssertionError(f"step {t} changed parameter {k}, which has no gradient")
        path.append(after)
    return path


def _same_path(a: list[list[Any]], b: list[list[Any]], tolerance: float, what: str) -> None:
    for t, (row, other) in enumerate(zip(a, b, strict=True)):
        for k, (x, y) in enumerate(zip(row, other, strict=True)):
            off = float(np.abs(x - y).max())
            if off > tolerance * (1 + float(np.abs(y).max())):
                raise AssertionError(f"step {t}: parameter {k} differs by {off:.3g} {what}")
