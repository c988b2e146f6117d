"""Function transforms in torch.func's form: grad, vjp, jvp, jacobians, hessian, vmap and functional_call.

`vmap` runs the function once per element of the batch and stacks the results: the meaning is torch's, the speed is a loop's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .autograd import functional
from .autograd import grad as take_grad
from .autograd.graph import Variable, wrap
from .autograd.mode import enable_grad
from .ops.table import OPS

__all__ = ["functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "vjp", "vmap"]


def _map(function: Callable[[Any], Any], tree: Any) -> Any:
    """`function` on every tensor of nested tuples, lists and dicts."""
    if isinstance(tree, Variable):
        return function(tree)
    if isinstance(tree, dict):
        return {k: _map(function, v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        items = [_map(function, v) for v in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


def _tensors(tree: Any) -> list[Variable]:
    found: list[Variable] = []
    _map(found.append, tree)
    return found


def _others(tree: Any) -> list[Any]:
    """What nested tuples, lists and dicts hold beside tensors."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        return [other for v in tree for other in _others(v)]
    return [] if isinstance(tree, Variable) else [tree]


def _numbers(argnums: int | tuple[int, ...], args: tuple[Any, ...]) -> tuple[int, ...]:
    numbers = (argnums,) if isinstance(argnums, int) else argnums
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"Got argnum={n}, but only {len(args)} positional inputs")
    return tuple(n % len(args) for n in numbers)


def _tracked(x: Variable) -> Variable:
    """A tensor that requires grad: with the outer history if there is one, so that transforms nest."""
    if x._rg:
        return x.clone()  # type: ignore[attr-defined,no-any-return]
    t: Variable = wrap(x._data)
    t._rg = True
    return t


def grad_and_value(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns (gradient, value) of a scalar `func`; with `has_aux`, (gradient, (value, aux))."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        numbers = _numbers(argnums, args)
        with enable_grad():
            outer = any(t._rg for t in _tensors(args))
            arguments = list(args)
            for n in numbers:
                arguments[n] = _map(_tracked, args[n])
            wanted = [t for n in numbers for t in _tensors(arguments[n])]
            result = func(*arguments, **kwargs)
            value, aux = result if has_aux else (result, None)
            if not isinstance(value, Variable) or value._data.ndim:
                raise RuntimeError(
                    f"Expected f(*args) to return a scalar tensor, got {'a tensor with ' + str(value._data.ndim) + ' dims' if isinstance(value, Variable) else type(value).__name__}"
                )
            if value._rg:
                found = iter(take_grad(value, wanted, create_graph=outer, allow_unused=True, materialize_grads=True))
            else:
                found = iter([wrap(np.zeros_like(t._data)) for t in wanted])
        grads = tuple(_map(lambda _: next(found), arguments[n]) for n in numbers)
        shown = value if outer else value.detach()  # type: ignore[attr-defined]
        return grads[0] if isinstance(argnums, int) else grads, (shown, aux) if has_aux else shown

    return wrapper


def grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that computes the gradient of a scalar `func` with respect to its arguments `argnums`."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """(func(*primals), pull): `pull(cotangents)` gives the gradients of the primals."""
    with enable_grad():
        xs = tuple(_map(_tracked, p) for p in primals)
        result = func(*xs)
    out, aux = result if has_aux else (result, None)
    outs, wanted = _tensors(out), [t for x in xs for t in _tensors(x)]

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        vs = _tensors(cotangents)
        record = any(v._rg for v in vs) if create_graph is None else create_graph
        found = iter(
            take_grad(
                outs,
                wanted,
                vs,
                retain_graph=retain_graph,
                create_graph=record,
                allow_unused=True,
                materialize_grads=True,
            )
        )
        return tuple(_map(lambda _: next(found), x) for x in xs)

    shown = _map(lambda t: t.detach(), out)
    return (shown, pull, aux) if has_aux else (shown, pull)


def jvp(
    func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...], *, has_aux: bool = False
) -> tuple[Any, ...]:
    """(func(*primals), J tangents)."""
    kept: list[Any] = []

    def without_aux(*xs: Any) -> Any:
        if not has_aux:
            return func(*xs)
        out, aux = func(*xs)
        kept.append(aux)
        return out

    out, tangent = functional.jvp(without_aux, tuple(primals), tuple(tangents))
    return (out, tangent, kept[0]) if has_aux else (out, tangent)


def jacrev(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """A function that computes the Jacobian of `func` with respect to its arguments `argnums`."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        numbers = _numbers(argnums, args)

        def of_chosen(*chosen: Any) -> Any:
            arguments = list(args)
            for n, x in zip(numbers, chosen, strict=True):
                arguments[n] = x
            return func(*arguments, **kwargs)

        recorded = any(t._rg for t in _tensors(args))
        found = functional.jacobian(of_chosen, tuple(args[n] for n in numbers), create_graph=recorded)
        if not isinstance(argnums, int):
            return found
        return found[0] if len(found) == 1 and not isinstance(found[0], tuple) else tuple(row[0] for row in found)

    return wrapper


jacfwd = jacrev


def hessian(func: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that computes the Hessian of a scalar `func` with respect to one argument."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        def of_one(x: Any) -> Any:
            return func(*(x if i == argnums else a for i, a in enumerate(args)), **kwargs)

        return functional.hessian(of_one, args[argnums], create_graph=any(t._rg for t in _tensors(args)))

    return wrapper


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: int = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function that maps `func` over dim `in_dims` of its arguments (None: not mapped) and stacks the results along `out_dims`.

    The function is called once per element; with gradients, since slicing and stacking are recorded. Random numbers differ per element.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        dims = in_dims if isinstance(in_dims, tuple | list) else (in_dims,) * len(args)
        if len(dims) != len(args):
            raise ValueError(
                f"vmap: in_dims has {len(dims)} entries, but the function was called with {len(args)} arguments"
            )
        for a, d in zip(args, dims, strict=True):
            for t in [] if d is None else _tensors(a):
                if not -t._data.ndim <= d < t._data.ndim:
                    raise ValueError(
                        f"vmap: Got in_dim={d} for some input, but that input is a Tensor of dimensionality {t._data.ndim}; give in_dims=None for what is not mapped"
                    )
        sizes = {t._data.shape[d] for a, d in zip(args, dims, strict=True) if d is not None for t in _tensors(a)}
        if not sizes:
            raise ValueError("vmap: at least one argument must be mapped over; every in_dims entry is None")
        if len(sizes) > 1:
            raise ValueError(
                f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sorted(sizes)} for the mapped dimension"
            )
        results = [
            func(
                *(
                    a if d is None else _map(functools.partial(_select, d, i), a)
                    for a, d in zip(args, dims, strict=True)
                ),
                **kwargs,
            )
            for i in range(sizes.pop())
        ]
        if not results:
            raise ValueError("vmap: the mapped dimension has size 0; there is no result to give the output's shape")
        other = next(iter(_others(results[0])), None)
        if other is not None:
            raise ValueError(f"vmap: the function must only return Tensors, got type {type(other)}")
        columns = [_tensors(r) for r in results]
        stacked = iter([OPS["stack"](list(column), out_dims) for column in zip(*columns, strict=True)])
        return _map(lambda _: next(stacked), results[0])

    return wrapper


def _select(dim: int, i: int, t: Any) -> Any:
    return t.select(dim, i)


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    strict: bool = False,
) -> Any:
    """Call a module with other parameters and buffers than its own, given by name; the module is left as it was."""
    values: dict[str, Any] = {}
    for d in (
        parameter_and_buffer_dicts
        if isinstance(parameter_and_buffer_dicts, list | tuple)
        else [parameter_and_buffer_dicts]
    ):
        values.update(d)
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    unknown = sorted(set(values) - set(own))
    if unknown:
        raise RuntimeError(
            f"Unexpected key(s) for a functional call of '{type(module).__name__}': {unknown}; it has {sorted(own)}"
        )
    if strict and set(own) - set(values):
        raise RuntimeError(
            f"Missing key(s) for a strict functional call of '{type(module).__name__}': {sorted(set(own) - set(values))}"
        )
    places = []
    try:
        for name, value in values.items():
            path, _, leaf = name.rpartition(".")
            owner = module.get_submodule(path)
            store = owner._parameters if leaf in owner._parameters else owner._buffers
            places.append((store, leaf, store[leaf]))
            store[leaf] = value
        arguments = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*arguments, **(kwargs or {}))
    finally:
        for store, leaf, value in places:
            store[leaf] = value
