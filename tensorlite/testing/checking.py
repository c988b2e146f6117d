"""`gradcheck`: the gradient that backward computes against a numeric derivative, with an error bar, a place and a culprit.

The numeric derivative is a complex step where the function allows it (exact to rounding), else Richardson extrapolation with an error
estimate. Directions and cotangents are Gaussian; the tolerance is relative to the sum of the terms, not to their (cancelling) total. A failure
is reported only if a second, independent estimate agrees with the first; otherwise the verdict is "inconclusive".
"""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.checking import GradcheckError
from .backends import Backend, Tensorlite, backend_of
from .judging import Check, gaussian
from .report import NO_GRADIENT, GradReport

KINKS = ("detect", "assume", "subgradient", "convention")
METHODS = ("auto", "complex", "richardson")


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    method: str = "auto",
    directions: int = 2,
    full: bool | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    kinks: str = "detect",
    order: int = 1,
    seed: int | None = None,
    report: str = "raise",
    blame: bool = True,
) -> GradReport:
    """Does backward compute the derivative of `f` at `inputs`? `f` takes and returns tensors of tensorlite, or of torch.

    Args:
        inputs: tensors (those that require grad are checked; if none does, all float ones are) and anything else `f` takes; arrays are
            made into tensors.
        method: "auto", "complex" or "richardson".
        directions: how many random directions. `full` also tries every element; by default when there are at most 64.
        rtol, atol: allowed difference, `atol + rtol * sum |gradient * direction|`; by default what the method can resolve.
        kinks: at a point where `f` is not differentiable: "detect" holds still the elements that lead over the kink, checks the others
            and gives the verdict "kink" if these are right; "assume" tells hypothesis to draw another point; "subgradient" requires the
            gradient to lie between the one-sided derivatives; "convention" requires the documented value of each op (see
            `tensorlite.testing.conventions`).
        order: 2 checks the gradient of the gradient.
        seed: of directions and cotangents; by default drawn from the inputs' bytes.
        report: "raise" raises GradcheckError on failure, "return" only returns the report.
        blame: on failure, look for the op at fault.

    Raises:
        GradcheckError: with the report as its message.
        ValueError: nothing to check, an unknown option, or an `f` that gives other values when it is called again.
    """
    _require_options(method, directions, kinks, order, seed, report)
    if kinks == "assume" and importlib.util.find_spec("hypothesis") is None:
        raise ImportError(
            "gradcheck: kinks='assume' needs hypothesis, which is not installed: pip install 'claimsformer[testing]'"
        )
    given = list(inputs) if isinstance(inputs, tuple | list) else [inputs]
    backend = backend_of(given)
    arguments = prepared(given, backend, "gradcheck")
    if seed is None:
        seed = _drawn_seed(arguments, backend)
    function, points = f, arguments
    if order == 2:
        function, points = _gradient_function(f, arguments, backend, np.random.default_rng(seed))
    check = Check(function, points, backend, method, directions, full, rtol, atol, kinks, seed)
    result = check.run()
    result.order = order
    if not result.ok and blame and check.judged and isinstance(backend, Tensorlite):
        from .blaming import blame as find

        result.blame = find(f, arguments, seed, order)
        if result.blame.op == NO_GRADIENT:
            result.hint = ""  # whatever it looks like is chance
    if not result.ok and report == "raise":
        raise GradcheckError("\n" + str(result))
    return result


def gradgradcheck(f: Callable[..., Any], inputs: Any, **options: Any) -> GradReport:
    """`gradcheck` of the gradient of `f`: second derivatives, with respect to the inputs and to the cotangents."""
    return gradcheck(f, inputs, **{"order": 2, **options})


# -- options and inputs -----------------------------------------------------------------------------------------------


def _require_options(method: str, directions: int, kinks: str, order: int, seed: int | None, report: str) -> None:
    if kinks not in KINKS or report not in ("raise", "return") or order not in (1, 2) or method not in METHODS:
        raise ValueError(
            f"gradcheck: kinks is one of {KINKS}, method one of {METHODS}, report 'raise' or 'return', order 1 or 2; "
            f"got {kinks!r}, {method!r}, {report!r}, {order!r}"
        )
    if directions < 1 or (seed is not None and seed < 0):
        raise ValueError(
            f"gradcheck: expected at least one direction and a seed that is not negative, got directions={directions}, seed={seed}"
        )


def prepared(inputs: Sequence[Any], backend: Backend, caller: str) -> list[Any]:
    """Arrays as tensors; where no tensor requires grad, leaves that do. A tensor that is given twice becomes two inputs."""
    items = [_as_tensor(x, backend, i, caller) for i, x in enumerate(inputs)]
    if not any(backend.needs_grad(x) for x in items):
        items = [
            backend.leaf(backend.array(x)) if backend.is_tensor(x) and backend.array(x).dtype.kind in "fc" else x
            for x in items
        ]
    if not any(backend.needs_grad(x) for x in items):
        raise ValueError(f"{caller}: no input is a floating-point tensor, so there is no gradient to check")
    seen: set[int] = set()
    for i, x in enumerate(items):
        if backend.needs_grad(x) and id(x) in seen:
            items[i] = backend.leaf(backend.array(x).copy())
        seen.add(id(x))
    return items


def _as_tensor(x: Any, backend: Backend, position: int, caller: str) -> Any:
    if isinstance(x, np.ndarray | np.generic):
        array = np.asarray(x)
        return backend.leaf(array, array.dtype.kind in "fc") if array.dtype.kind in "fciub" else x
    if isinstance(x, tuple | list | dict) and any(_is_value(v, backend) for v in _items(x)):
        raise ValueError(
            f"{caller}: input {position} is a {type(x).__name__} that holds tensors, which would go unchecked; "
            f"give the tensors one by one: {caller}(lambda a, b: f([a, b]), [a, b])"
        )
    return x


def _items(x: Any) -> list[Any]:
    if isinstance(x, dict):
        x = list(x.values())
    return [v for item in x for v in _items(item)] if isinstance(x, tuple | list) else [x]


def _is_value(x: Any, backend: Backend) -> bool:
    return backend.needs_grad(x) or (isinstance(x, np.ndarray) and x.dtype.kind in "fc")


def _drawn_seed(inputs: Sequence[Any], backend: Backend) -> int:
    total = 0
    for x in inputs:
        if backend.is_tensor(x):
            total = zlib.crc32(np.ascontiguousarray(backend.array(x)).tobytes(), total)
    return total


def _gradient_function(
    f: Callable[..., Any], inputs: list[Any], backend: Backend, rng: np.random.Generator
) -> tuple[Callable[..., Any], list[Any]]:
    """The gradient of `f` as a function of the inputs and the cotangents, and the arguments to check it at."""
    outs = [o for o in backend.run(f, inputs) if backend.needs_grad(o)]
    cotangents = [backend.leaf(gaussian(rng, backend.array(o)).astype(backend.array(o).dtype)) for o in outs]
    n = len(inputs)
    checked = [backend.needs_grad(x) for x in inputs]

    def gradient(*args: Any) -> Any:
        own = [
            x if not c or backend.needs_grad(x) else backend.leaf(backend.array(x))
            for x, c in zip(args[:n], checked, strict=True)
        ]
        with np.errstate(all="ignore"):
            ys = [o for o in backend.run(f, own) if backend.needs_grad(o)]
            wanted = [x for x, c in zip(own, checked, strict=True) if c]
            grads = backend.gradients(ys, wanted, list(args[n:]), create_graph=True)
        return [x * 0 if g is None else g for g, x in zip(grads, wanted, strict=True)]

    return gradient, [*inputs, *cotangents]
