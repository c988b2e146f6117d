"""Derivatives of functions: vjp, jvp, jacobian, hessian and their products with vectors, in torch.autograd.functional's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import grad
from .graph import Variable, wrap
from .mode import enable_grad

Tensors = Any  # a tensor, or a tuple of tensors


def _tuple(x: Any, name: str) -> tuple[bool, tuple[Variable, ...]]:
    single = isinstance(x, Variable)
    items = (x,) if single else tuple(x)
    for i, t in enumerate(items):
        if not isinstance(t, Variable):
            raise TypeError(
                f"the {name} must be either a tensor or a tuple of tensors, but the value at index {i} has type {type(t).__name__}"
            )
    return single, items


def _prepared(inputs: tuple[Variable, ...], create_graph: bool) -> tuple[Variable, ...]:
    """Inputs that require grad: views of the given ones when their history matters, fresh leaves otherwise."""
    result: list[Variable] = []
    for x in inputs:
        if create_graph and x._rg:
            result.append(x.view_as(x))  # type: ignore[attr-defined]
        else:
            t = wrap(x._data)
            t._rg = True
            result.append(t)
    return tuple(result)


def _run(
    func: Callable[..., Any], inputs: Any, create_graph: bool
) -> tuple[bool, bool, tuple[Variable, ...], tuple[Variable, ...]]:
    single_in, given = _tuple(inputs, "inputs given to the function")
    with enable_grad():
        xs = _prepared(given, create_graph)
        single_out, ys = _tuple(func(*xs), "outputs of the function")
    return single_in, single_out, xs, ys


def _grads(ys: Any, xs: Any, vs: Any, create_graph: bool, strict: bool, keep: bool = True) -> tuple[Any, ...]:
    pairs = [(y, v) for y, v in zip(ys, vs, strict=True) if y._rg]
    if not pairs:
        if strict:
            raise RuntimeError(
                "The output of the user-provided function is independent of the inputs. This is not allowed in strict mode."
            )
        return tuple(wrap(np.zeros_like(x._data)) for x in xs)
    with enable_grad():
        found = grad(
            [y for y, _ in pairs],
            xs,
            [v for _, v in pairs],
            retain_graph=keep,
            create_graph=create_graph,
            allow_unused=True,
        )
    if strict and any(g is None for g in found):
        i = next(i for i, g in enumerate(found) if g is None)
        raise RuntimeError(
            f"The output of the user-provided function is independent of input {i}. This is not allowed in strict mode."
        )
    return tuple(wrap(np.zeros_like(x._data)) if g is None else g for g, x in zip(found, xs, strict=True))


def _vectors(v: Any, like: tuple[Variable, ...], name: str) -> tuple[Variable, ...]:
    if v is None:
        if len(like) != 1 or like[0]._data.size != 1:
            raise RuntimeError(f"The vector v can only be None if the {name} is a single element")
        return (wrap(np.ones_like(like[0]._data)),)
    _, vs = _tuple(v, "v")
    if len(vs) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(vs)}.")
    for i, (a, b) in enumerate(zip(vs, like, strict=True)):
        if a._data.shape != b._data.shape:
            raise RuntimeError(
                f"Entry {i} in v has invalid size: should be {list(b._data.shape)} but got {list(a._data.shape)}."
            )
    return vs


def _one(single: bool, items: tuple[Any, ...]) -> Any:
    return items[0] if single else items


def _loose(items: tuple[Any, ...], create_graph: bool) -> tuple[Any, ...]:
    return items if create_graph else tuple(t.detach() if t._rg else t for t in items)


def vjp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), vᵀ J): the outputs and the product of a cotangent with the Jacobian."""
    single_in, single_out, xs, ys = _run(func, inputs, create_graph)
    grads = _grads(ys, xs, _vectors(v, ys, "user-provided function returns"), create_graph, strict)
    return _one(single_out, _loose(ys, create_graph)), _one(single_in, grads)


def jvp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), J v): the outputs and the product of the Jacobian with a tangent, by differentiating the vjp (which is linear) in its cotangent."""
    _, single_out, xs, ys = _run(func, inputs, create_graph)
    tangents = _vectors(v, xs, "input to the user-provided function")
    with enable_grad():
        dummies = tuple(_leaf(np.zeros_like(y._data)) for y in ys)
        pulled = _grads(ys, xs, dummies, True, strict)
    pairs = [(p, t) for p, t in zip(pulled, tangents, strict=True) if p._rg]
    if pairs:
        with enable_grad():
            found = grad(
                [p for p, _ in pairs],
                dummies,
                [t for _, t in pairs],
                create_graph=create_graph,
                allow_unused=True,
                materialize_grads=True,
            )
    else:
        found = tuple(wrap(np.zeros_like(y._data)) for y in ys)
    return _one(single_out, _loose(ys, create_graph)), _one(single_out, found)


def _leaf(data: Any) -> Variable:
    t: Variable = wrap(data)
    t._rg = True
    return t


def jacobian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian: for outputs (…o) and inputs (…i) a tensor of shape (…o, …i), nested in tuples where either is a tuple."""
    single_in, single_out, xs, ys = _run(func, inputs, create_graph)
    rows = []
    for y in ys:
        columns: list[list[Any]] = [[] for _ in xs]
        for flat in range(y._data.size):
            e = np.zeros(y._data.size, y._data.dtype)
            e[flat] = 1
            for column, g in zip(
                columns, _grads((y,), xs, (wrap(e.reshape(y._data.shape)),), create_graph, strict), strict=True
            ):
                column.append(g)
        rows.append(tuple(_stacked(c, y._data.shape, x._data) for c, x in zip(columns, xs, strict=True)))
    return _one(single_out, tuple(_one(single_in, row) for row in rows))


def _stacked(grads: list[Any], shape: tuple[int, ...], like: Any) -> Any:
    if not grads:
        return wrap(np.zeros((*shape, *like.shape), like.dtype))
    from ..ops.table import OPS

    return OPS["stack"](grads, 0).reshape((*shape, *like.shape))


def _scalar(func: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*xs: Any) -> Any:
        y = func(*xs)
        if not isinstance(y, Variable):
            raise RuntimeError("The function given to hessian should return a single Tensor")
        if y._data.size != 1:
            raise RuntimeError("The Tensor returned by the function given to hessian should contain a single element")
        return y.reshape(())  # type: ignore[attr-defined]

    return checked


def hessian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The matrix of second derivatives of a scalar function."""
    single, _ = _tuple(inputs, "inputs")

    def gradient(*xs: Any) -> Any:
        found = jacobian(_scalar(func), xs, create_graph=True)
        return found[0] if single else found

    return jacobian(gradient, inputs, create_graph=create_graph, strict=strict)


def vhp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), vᵀ H): the value and the product of a vector with the Hessian."""
    single_in, _, xs, ys = _run(_scalar(func), inputs, create_graph)
    vs = _vectors(v, xs, "input to the user-provided function")
    first = _grads(ys, xs, (wrap(np.ones((), ys[0]._data.dtype)),), True, strict)
    second = _grads(first, xs, vs, create_graph, strict)
    return _loose(ys, create_graph)[0], _one(single_in, second)


def hvp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), H v): the same as `vhp`, the Hessian being symmetric."""
    return vhp(func, inputs, v, create_graph, strict)
