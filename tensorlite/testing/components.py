"""Complete checks of modules and of optimizers."""

from __future__ import annotations

import copy
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

    A copy of the module is checked, in `eval()`; the module itself stays as it is. The options are those of `gradcheck`.

    Raises GradcheckError for a wrong gradient, AssertionError for a state_dict that does not restore, TypeError for what is not a module.
    """
    from ..func import functional_call
    from ..nn import Module

    if not isinstance(module, Module):
        got = f"the class {module.__name__}; make one first" if isinstance(module, type) else type(module).__name__
        raise TypeError(f"check_module expects a tensorlite.nn.Module, got {got}")
    b = TENSORLITE
    copied = copy.deepcopy(module).double().eval()
    arguments = [_wide(x) for x in inputs]
    parameters = dict(copied.named_parameters())
    names = list(parameters)

    def f(*values: Any) -> Any:
        given, rest = dict(zip(names, values, strict=False)), values[len(names) :]
        return functional_call(copied, given, tuple(rest))

    leaves = [b.leaf(p._data.copy()) for p in parameters.values()]
    result = gradcheck(f, [*leaves, *arguments], seed=seed, **options)
    _state_restores(copied, arguments)
    return result


def _wide(x: Any) -> Any:
    array = x._data if TENSORLITE.is_tensor(x) else x
    if not isinstance(array, np.ndarray):
        return x
    return TENSORLITE.leaf(np.array(array, np.float64 if array.dtype.kind == "f" else array.dtype))


def _state_restores(module: Any, inputs: Sequence[Any]) -> None:
    with no_grad():
        before = [t._data.copy() for t in tensors_in(module(*inputs), TENSORLITE)]
        state = {k: v.clone() for k, v in module.state_dict().items()}
        for t in [*module.parameters(), *_saved_buffers(module)]:
            t._data[...] = t._data + 1
        module.load_state_dict(state)
        after = [t._data for t in tensors_in(module(*inputs), TENSORLITE)]
    for k, (a, c) in enumerate(zip(before, after, strict=True)):
        if not np.array_equal(a, c, equal_nan=a.dtype.kind in "fc"):
            raise AssertionError(
                f"output {k} of {type(module).__name__} is another after its state_dict was saved and loaded"
            )


def _saved_buffers(module: Any) -> list[Any]:
    return [
        t
        for m in module.modules()
        for name, t in m._buffers.items()
        if t is not None and name not in m._non_persistent_buffers_set and t._data.dtype.kind in "fc"
    ]


def check_optimizer(
    make: Callable[..., Any] | str, options: dict[str, Any] | None = None, *, steps: int = 6, seed: int = 0
) -> None:
    """Check an optimizer on two parameters, one of which gets no gradient in some steps.

    It must follow torch's optimizer of the same name step by step (where torch is installed and has it), leave parameters without gradient
    alone, and go on identically after its state was saved and loaded. `make` is the name of a class in `tensorlite.optim`, or the class.

    Raises AssertionError that says which step differs and by how much, ValueError for no steps or a name that is no optimizer.
    """
    if steps < 1:
        raise ValueError(f"check_optimizer expects at least one step, got steps={steps}")
    options = options or {}
    factory = _factory(make)
    rng = np.random.default_rng(seed)
    start = [rng.standard_normal((2, 3)), rng.standard_normal(4)]
    always = _needs_closure(factory)  # its direction is one of all parameters together
    grads = [
        [rng.standard_normal(p.shape) if always or k == 0 or t % 3 else None for k, p in enumerate(start)]
        for t in range(steps)
    ]
    path = _steps(TENSORLITE, factory, options, start, grads)
    restored = _steps(TENSORLITE, factory, options, start, grads, reload_at=steps // 2)
    _same_path(path, restored, 0.0, "after its state was saved and loaded")
    if importlib.util.find_spec("torch") is not None:
        torch = Torch()
        other = getattr(torch.torch.optim, factory.__name__, None)
        if other is not None:
            _same_path(path, _steps(torch, other, options, start, grads), 1e-10, "from torch's")


def _factory(make: Any) -> Any:
    from .. import optim

    known = {k: v for k, v in vars(optim).items() if isinstance(v, type) and issubclass(v, optim.Optimizer)}
    known.pop("Optimizer", None)
    if isinstance(make, str):
        if make not in known:
            raise ValueError(f"there is no optimizer {make!r} in tensorlite.optim; it has {', '.join(sorted(known))}")
        return known[make]
    if isinstance(make, optim.Optimizer) or not callable(make):
        raise TypeError(
            f"check_optimizer makes its own parameters: expected a name or a class, got an object of type {type(make).__name__}"
        )
    return make


def _needs_closure(factory: Any) -> bool:
    """LBFGS, of either library: it evaluates the loss several times in a step."""
    return any(c.__name__ == "LBFGS" for c in getattr(factory, "__mro__", ()))


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

        def closure(row: list[Any] = row) -> float:
            for p, g in zip(parameters, row, strict=True):
                p.grad = None if g is None else backend.leaf(g.copy(), False)
            return 1.0

        before = [np.array(backend.array(p)) for p in parameters]
        if _needs_closure(factory):
            optimizer.step(closure)
        else:
            closure()
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
