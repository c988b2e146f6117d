"""gradcheck and gradgradcheck with torch's signature: does `backward` compute the derivative of the forward?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import grad as take_grad
from .graph import Variable, wrap
from .mode import enable_grad
from .numeric import directional, outputs_of


class GradcheckError(RuntimeError):
    """A gradient that disagrees with the numerical derivative."""


_FULL_BELOW = 64  # up to so many input elements every one is checked on its own; beyond, random directions are


def gradcheck(
    func: Callable[..., Any],
    inputs: Variable | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
    seed: int = 0,
) -> bool:
    """Compare the gradients of `func` with numerical derivatives, for random cotangents.

    The derivative is taken by a complex step where `func` allows it, else by Richardson extrapolation; both are far more accurate than the
    difference quotient torch uses, so `eps` is accepted and not needed, and the tolerances are relative to the size of the terms that were
    summed: a gradient with one wrong element among thousands fails. Inputs must be float64 and require grad where they are to be checked.

    Raises:
        GradcheckError: what differs, at which input and element, analytic against numerical; with `raise_exception=False` False is returned.
        ValueError: no input requires grad.
    """
    try:
        _check(func, _as_inputs(inputs), atol, rtol, check_undefined_grad, nondet_tol, seed)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Variable | Sequence[Any],
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
    seed: int = 0,
) -> bool:
    """`gradcheck` of the gradient of `func`: second derivatives, with respect to the inputs and to the cotangents."""
    arguments = _as_inputs(inputs)
    outs = [o for o in outputs_of(func(*arguments)) if o._rg]
    rng = np.random.default_rng(seed)
    if grad_outputs is None:
        cotangents = [wrap(_gaussian(rng, o._data)) for o in outs]
    else:
        cotangents = [grad_outputs] if isinstance(grad_outputs, Variable) else list(grad_outputs)
    for c in cotangents:
        c._rg = True
    n = len(arguments)

    def gradient(*args: Any) -> Any:
        xs, vs = args[:n], args[n:]
        xs = tuple(
            x if not isinstance(x, Variable) or x._rg or not arguments[i]._rg else _required(x)
            for i, x in enumerate(xs)
        )
        with enable_grad():
            ys = [o for o in outputs_of(func(*xs)) if o._rg]
            wanted = [x for x in xs if isinstance(x, Variable) and x._rg]
            return take_grad(ys, wanted, list(vs), create_graph=True, allow_unused=True, materialize_grads=True)

    return gradcheck(
        gradient,
        (*arguments, *cotangents),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        seed=seed,
    )


def _required(x: Variable) -> Variable:
    t: Variable = wrap(x._data)
    t._rg = True
    return t


def _as_inputs(inputs: Any) -> list[Any]:
    items = [inputs] if isinstance(inputs, Variable) else list(inputs)
    checked = [x for x in items if isinstance(x, Variable) and x._rg]
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True."
        )
    for i, x in enumerate(items):
        if isinstance(x, Variable) and x._rg and x._data.dtype not in (np.float64, np.complex128):
            raise ValueError(
                f"gradcheck: input {i} is {x._data.dtype}; a numerical derivative is only meaningful in float64 (or complex128): convert it with .double()"
            )
    return items


def _gaussian(rng: np.random.Generator, like: Any) -> Any:
    x = rng.standard_normal(like.shape)
    return np.asarray(x + 1j * rng.standard_normal(like.shape) if like.dtype.kind == "c" else x, dtype=like.dtype)


def _check(
    func: Callable[..., Any], inputs: list[Any], atol: float, rtol: float, undefined: bool, nondet_tol: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    outs = [(i, o) for i, o in enumerate(outputs_of(func(*inputs))) if o._data.dtype.kind in "fc"]
    recorded = [(i, o) for i, o in outs if o._rg]
    tensors = [x for x in inputs if isinstance(x, Variable)]
    checked = [(i, x) for i, x in enumerate(tensors) if x._rg]
    for k, out in recorded:
        v = _gaussian(rng, out._data)
        grads = _gradient(out, [x for _, x in checked], v)
        again = _gradient(out, [x for _, x in checked], v)
        for (i, x), g, g2 in zip(checked, grads, again, strict=True):
            if not np.array_equal(g, g2, equal_nan=True) and np.nanmax(np.abs(g - g2)) > nondet_tol:
                raise GradcheckError(
                    f"Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different values (input {i})"
                )
            if g.dtype != x._data.dtype or g.shape != x._data.shape:
                raise GradcheckError(
                    f"the gradient of input {i} is {g.dtype}{list(g.shape)}, expected {x._data.dtype}{list(x._data.shape)}"
                )
        if undefined:
            for (i, _), g in zip(checked, _gradient(out, [x for _, x in checked], np.zeros_like(v)), strict=True):
                if np.any(g[np.isfinite(g)] != 0):
                    raise GradcheckError(
                        f"backward not multiplied by grad_output: a zero cotangent of output {k} gives a gradient of input {i} that is not zero"
                    )
        for (i, x), g in zip(checked, grads, strict=True):
            _compare(func, inputs, tensors, i, x, g, k, v, rng, atol, rtol)
    for k, out in outs:
        if not out._rg:
            for i, x in checked:
                u = [_gaussian(rng, t._data) if t is x else None for t in tensors]
                d = directional(func, inputs, u)
                if np.abs(d.values[k]).max(initial=0) > atol:
                    raise GradcheckError(
                        f"Numerical gradient for function expected to be zero: output {k} does not require grad, but it depends on input {i}"
                    )


def _gradient(out: Variable, inputs: list[Variable], v: Any) -> list[Any]:
    """The gradients as arrays, after making sure that the backward left its cotangent alone and gave each input an array of its own."""
    cotangent = v.copy()
    grads = [
        g._data
        for g in take_grad(out, inputs, wrap(cotangent), retain_graph=True, allow_unused=True, materialize_grads=True)
    ]
    if not np.array_equal(cotangent, v, equal_nan=True):
        raise GradcheckError(
            "backward changed its cotangent in place; a gradient rule must return new arrays or views, and mutate nothing"
        )
    for i, g in enumerate(grads):
        for name, other in [
            ("the cotangent", cotangent),
            *((f"the gradient of input {j}", grads[j]) for j in range(i)),
        ]:
            if g.size and np.shares_memory(g, other):
                raise GradcheckError(f"the gradient of input {i} shares memory with {name}")
    return grads


def _compare(
    func: Callable[..., Any],
    inputs: list[Any],
    tensors: list[Variable],
    i: int,
    x: Variable,
    g: Any,
    k: int,
    v: Any,
    rng: np.random.Generator,
    atol: float,
    rtol: float,
) -> None:
    """Analytic against numerical <v, J u>, for unit directions if there are few, and for random ones in any case."""
    size = x._data.size
    parts = (1, 1j) if x._data.dtype.kind == "c" else (1,)
    directions: list[tuple[str, Any]] = [("in a random direction", _gaussian(rng, x._data)) for _ in range(2)]
    if size <= _FULL_BELOW:
        for flat in range(size):
            for part in parts:
                e = np.zeros(size, x._data.dtype)
                e[flat] = part
                place = list(map(int, np.unravel_index(flat, x._data.shape))) if x._data.ndim else []
                directions.append((f"at element {place}", e.reshape(x._data.shape)))
    for where, u in directions:
        found = directional(func, inputs, [u if t is x else None for t in tensors])
        value, error = found.values[k], found.errors[k]
        numeric = float(np.sum((np.conj(v) * value).real))
        analytic = float(np.sum((np.conj(g) * u).real))
        scale = float(np.sum(np.abs(g * u))) + float(np.sum(np.abs(v * value)))
        # Both methods leave far less than this, relative to the terms that are summed, whatever the caller would tolerate.
        precision = 1e-9 if found.method == "complex step" else 1e-6
        allowed = min(atol + rtol * abs(numeric), 0.01 * precision + precision * scale) + 10 * float(
            np.sum(np.abs(v * error))
        )
        if not abs(numeric - analytic) <= allowed and not (np.isnan(numeric) and np.isnan(analytic)):
            raise GradcheckError(
                f"Jacobian mismatch for output {k} with respect to input {i} {where}: "
                f"numerical {numeric:.12g} ({found.method}), analytical {analytic:.12g}, difference {abs(numeric - analytic):.3g}, allowed {allowed:.3g}"
            )
