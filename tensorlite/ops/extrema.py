"""Largest, smallest and middle: what picks one element of many.

Over all dims at once ties share the gradient evenly; along one dim it goes to the element whose index is returned (torch).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import check_dim
from .along import put_along
from .analytic import branch, ordered, state
from .reduce import dims_of, spread
from .table import Op, op


class Picked(NamedTuple):
    """Values, and the positions along the reduced dim they were found at."""

    values: Any
    indices: Any


class Extremes(NamedTuple):
    """The smallest and the largest value."""

    min: Any
    max: Any


def not_empty(x: Any, dims: tuple[int, ...], name: str) -> None:
    """Raises IndexError in torch's words if there is nothing to choose from."""
    for d in dims:
        if x.shape[d] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")


def hits(x: Any, out: Any, dim: Any, keepdim: Any) -> Any:
    """Where an element equals what was picked; NaN equals NaN here."""
    picked = spread(out, tuple(x.shape), dim, keepdim)
    return (x == picked) | ((x != x) & (picked != picked))


def share(g: Any, x: Any, out: Any, dim: Any, keepdim: Any) -> Any:
    """The cotangent in equal parts to all elements that equal the one picked."""
    mask = np.where(hits(x, out, dim, keepdim), 1.0, 0.0)
    dims = dims_of(dim, x.ndim)
    ties = mask.sum(dims) if dims else mask
    ties = spread(ties, tuple(x.shape), dim, False) if dims else mask
    return spread(g, tuple(x.shape), dim, keepdim) * (mask / ties)


def _extreme(name: str, function: Callable[..., Any], doc: str) -> Op:
    def forward(x: Any, dim: Any = (), keepdim: Any = False) -> Any:
        dims = dims_of(dim, x.ndim)
        if not dims or x.dtype.kind != "c":
            if x.size == 0:
                if len(dims) == x.ndim:
                    raise RuntimeError(
                        f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument."
                    )
                not_empty(x, dims, name)
            elif state.branches is not None:
                branch(x == function(x, axis=dims, keepdims=True))
            return function(x, axis=dims, keepdims=bool(keepdim)) if dims else x.copy()
        decisions = function(ordered(x, name), axis=dims, keepdims=True)
        first = np.where(branch(x.real == decisions), x, 0).sum(axis=dims, keepdims=bool(keepdim))
        return first / (x.real == decisions).sum(axis=dims, keepdims=bool(keepdim))

    forward.__name__, forward.__doc__ = name, doc
    return op(numpy=function)(forward).grad(x=share)


amax = _extreme("amax", np.max, "The largest element over `dim` (all dims by default); ties share the gradient.")
amin = _extreme("amin", np.min, "The smallest element over `dim` (all dims by default); ties share the gradient.")


@op(namespaces=(), n_outputs=2, nondiff_outputs=(1,), outputs=Picked, aux=True)
def max_along(x: Any, dim: Any, keepdim: Any = False) -> Any:
    """(values, indices) of the largest element along one dim; the first of equals, NaN before all."""
    return pick(x, dim, keepdim, np.argmax, "max")


@op(namespaces=(), n_outputs=2, nondiff_outputs=(1,), outputs=Picked, aux=True)
def min_along(x: Any, dim: Any, keepdim: Any = False) -> Any:
    """(values, indices) of the smallest element along one dim; the first of equals, NaN before all."""
    return pick(x, dim, keepdim, np.argmin, "min")


def pick(x: Any, dim: Any, keepdim: Any, choose: Callable[..., Any], name: str) -> Any:
    """((values, indices), indices) along one dim, where `choose(array, axis=-1)` says which element it is."""
    d = check_dim(dim, x.ndim)
    if x.ndim == 0:
        return (x.copy(), np.zeros((), np.int64)), None
    not_empty(x, (d,), name)
    indices = np.expand_dims(branch(choose(ordered(x, name), axis=d)), d).astype(np.int64, copy=False)
    values = np.take_along_axis(x, indices, d)
    return ((values, indices) if keepdim else (np.squeeze(values, d), np.squeeze(indices, d))), indices


def picked_grad(g: Any, aux: Any, x_shape: Any, dim: Any, keepdim: Any) -> Any:
    """The cotangent of the values, at the positions they came from."""
    if not x_shape:
        return g[0]
    d = dim % len(x_shape)
    return put_along(g[0].reshape(aux.shape), aux, d, x_shape[d])


max_along.grad(x=picked_grad)
min_along.grad(x=picked_grad)


def _argument(name: str, choose: Callable[..., Any], doc: str) -> Op:
    def forward(x: Any, dim: Any = None, keepdim: Any = False) -> Any:
        if dim is None:
            if x.size == 0:
                raise IndexError(
                    f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument."
                )
            index = np.asarray(choose(ordered(x, name)), np.int64)
            return index.reshape((1,) * x.ndim) if keepdim else index
        d = check_dim(dim, x.ndim)
        if x.ndim == 0:
            return np.zeros((), np.int64)
        not_empty(x, (d,), name)
        return np.asarray(choose(ordered(x, name), axis=d, keepdims=bool(keepdim)), np.int64)

    forward.__name__, forward.__doc__ = name, doc
    return op(numpy=choose)(forward)


argmax = _argument(
    "argmax",
    np.argmax,
    "The index of the largest element, the first of equals; over the flattened tensor if `dim` is None.",
)
argmin = _argument(
    "argmin",
    np.argmin,
    "The index of the smallest element, the first of equals; over the flattened tensor if `dim` is None.",
)


# -- the middle ---------------------------------------------------------------------------------------------------------


def _choose_kth(rank: Callable[[int, Any], Any]) -> Callable[..., Any]:
    """The position of the element with `rank(n, number of NaNs)` elements below it."""

    def choose(x: Any, axis: int) -> Any:
        order = np.argsort(x, axis=axis, kind="stable")
        nans = np.isnan(x).sum(axis=axis, keepdims=True) if x.dtype.kind == "f" else np.zeros(1, np.int64)
        position = np.broadcast_to(
            rank(x.shape[axis], nans), tuple(1 if i == axis else n for i, n in enumerate(x.shape))
        )
        return np.squeeze(np.take_along_axis(order, position, axis), axis)

    return choose


def _lower_median(n: int, nans: Any) -> Any:
    return np.where(nans > 0, n - nans, (n - 1) // 2)  # the first NaN, if there is one


def _lower_nanmedian(n: int, nans: Any) -> Any:
    return np.maximum(n - nans - 1, 0) // 2


def _middle(name: str, rank: Callable[[int, Any], Any], doc: str) -> tuple[Op, Op]:
    choose = _choose_kth(rank)

    def along(x: Any, dim: Any, keepdim: Any = False) -> Any:
        return pick(x, dim, keepdim, choose, name)

    def over_all(x: Any) -> Any:
        if x.size == 0:
            return np.asarray(np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min, x.dtype)
        flat = x.reshape(-1)
        r = ordered(flat, name)
        place = choose(r, axis=0)
        if state.branches is not None:
            branch(r == r[place])
        return flat[place].reshape(())

    along.__name__, along.__doc__ = name + "_along", doc + " Along one dim, with its index."
    over_all.__name__, over_all.__doc__ = name + "_all", doc + " Over all elements; ties share the gradient."
    first = op(namespaces=(), n_outputs=2, nondiff_outputs=(1,), outputs=Picked, aux=True)(along)
    second = op(namespaces=())(over_all)
    return first.grad(x=picked_grad), second.grad(x=lambda g, x, out: share(g, x, out, None, False))


median_along, median_all = _middle(
    "median", _lower_median, "The lower of the two middle elements; NaN if there is one."
)
nanmedian_along, nanmedian_all = _middle(
    "nanmedian", _lower_nanmedian, "The lower of the two middle elements, NaNs left out."
)


@op(n_outputs=2, nondiff_outputs=(1,), outputs=Picked, aux=True)
def kthvalue(x: Any, k: Any, dim: Any = -1, keepdim: Any = False) -> Any:
    """(values, indices) of the k-th smallest element along `dim`, counted from 1."""
    n = x.shape[check_dim(dim, x.ndim)] if x.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError("kthvalue(): selected number k out of range for dimension " + str(dim))
    return pick(x, dim, keepdim, _choose_kth(lambda n, nans: np.asarray(k - 1)), "kthvalue")


kthvalue.grad(x=picked_grad)


@op(n_outputs=2, nondiff_outputs=(1,), outputs=Picked, aux=True)
def mode(x: Any, dim: Any = -1, keepdim: Any = False) -> Any:
    """(values, indices) of the most frequent element along `dim`, the smallest of equally frequent ones, at its last position."""
    return pick(x, dim, keepdim, _most_frequent, "mode")


def _most_frequent(x: Any, axis: int) -> Any:
    moved = np.moveaxis(x, axis, -1)
    order = np.argsort(moved, axis=-1, kind="stable")
    ranked = np.take_along_axis(moved, order, -1)
    n = ranked.shape[-1]
    starts = np.concatenate([np.ones((*ranked.shape[:-1], 1), bool), ranked[..., 1:] != ranked[..., :-1]], -1)
    places = np.arange(n)
    run_start = np.maximum.accumulate(np.where(starts, places, 0), -1)
    last = np.argmax(places - run_start, -1)  # the first run that reaches the greatest length
    return np.take_along_axis(order, last[..., None], -1)[..., 0]


mode.grad(x=picked_grad)
