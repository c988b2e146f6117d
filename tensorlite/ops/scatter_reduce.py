"""Scattering with a reduction: sum, product, mean, largest or smallest of what meets at one place."""

from __future__ import annotations

from typing import Any

import numpy as np

from .analytic import branch, conj, ordered
from .gather import cell_of, check_same_dtype, place_of, read, scatter_add, source_of, used
from .table import op


@op(inplace=True)
def scatter_reduce(x: Any, dim: Any, index: Any, src: Any, reduce: Any, include_self: Any = True) -> Any:
    """`src` scattered along `dim` and reduced where it meets: "sum", "prod", "mean", "amax" or "amin", with or without the old values of `x`."""
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}.")
    check_same_dtype(x, src, "scatter_reduce")
    out = np.array(x, copy=True)
    if not index.size:
        return out
    shape, index = cell_of(out.shape, index)
    place = place_of(shape, dim, index)
    target, values = out.reshape(shape), used(src if src.ndim else src.reshape(1), index)
    if not include_self:
        target[place] = _identity(reduce, x.dtype)
    if reduce == "mean":
        np.add.at(target, place, values)
        count = _hits(shape, place, include_self)
        target[...] = target // count if x.dtype.kind in "iu" else target / count.astype(x.real.dtype)
    elif reduce in ("amax", "amin"):
        ordered(x, "scatter_reduce")
        _extreme_at(target, place, values, reduce)
        branch(target[place].real == values.real)
    else:
        _REDUCTIONS[reduce].at(target, place, values)
    return out


_REDUCTIONS: dict[str, Any] = {
    "sum": np.add,
    "mean": np.add,
    "prod": np.multiply,
    "amax": np.maximum,
    "amin": np.minimum,
}


def _extreme_at(target: Any, place: Any, values: Any, reduce: str) -> None:
    _REDUCTIONS[reduce].at(target, place, values)


def _identity(reduce: str, dtype: Any) -> Any:
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    sign = -1 if reduce == "amax" else 1
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return info.min if sign < 0 else info.max
    return bool(sign > 0) if dtype.kind == "b" else sign * np.inf


def _hits(shape: Any, place: Any, include_self: Any) -> Any:
    """How many values meet in each cell; at least 1."""
    count = np.full(shape, int(bool(include_self)))
    np.add.at(count, place, 1)
    return np.maximum(count, 1)


def _touched(shape: Any, dim: Any, index: Any) -> Any:
    """The cells that are written to."""
    hit = np.zeros(shape or (1,), bool)
    if index.size:
        cells, index = cell_of(shape, index)
        hit[place_of(cells, dim, index)] = True
    return hit.reshape(shape)


def _scatter_reduce_grad(
    g: Any,
    needs: Any,
    x: Any,
    src: Any,
    out: Any,
    x_shape: Any,
    src_shape: Any,
    dim: Any,
    index: Any,
    reduce: Any,
    include_self: Any,
) -> Any:
    if not index.size:
        return [g, np.zeros(src_shape)]
    untouched = ~_touched(x_shape, dim, index)

    def kept(values: Any) -> Any:
        return values if include_self else np.where(untouched, values, 0)

    if reduce == "sum":
        return [g if include_self else np.where(untouched, g, 0), source_of(g, src_shape, dim, index)]
    if reduce == "mean":
        shape, cells = cell_of(x_shape, index)
        count = _hits(shape, place_of(shape, dim, cells), include_self).reshape(x_shape).astype(np.float32)
        gx = g / count
        return [gx if include_self else np.where(untouched, g, 0), source_of(gx, src_shape, dim, index)]
    if reduce == "prod":
        return _prod_grads(g, x, src, out, dim, index, include_self, untouched)
    # amax, amin: ties share the gradient evenly
    self_wins = (x == out) if include_self else untouched
    src_wins = src == source_of(out, src_shape, dim, index)
    ones = np.where(_plain(src_wins), 1.0, 0.0).astype(np.float32)
    start = np.where(_plain(self_wins), 1.0, 0.0).astype(np.float32)
    share = g / np.maximum(scatter_add.forward(start, dim, index, ones), 1)
    return [
        np.where(_plain(self_wins), share, 0),
        np.where(_plain(src_wins), source_of(share, src_shape, dim, index), 0),
    ]


def _plain(mask: Any) -> Any:
    return mask.detach().numpy() if hasattr(mask, "detach") else np.asarray(mask)


def _prod_grads(g: Any, x: Any, src: Any, out: Any, dim: Any, index: Any, include_self: Any, untouched: Any) -> Any:
    """Products of the others: the result over the value itself, and where the value is the one zero of its cell, the product of the rest."""
    x_zero, src_zero = _plain(x == 0), _plain(src == 0)
    filled = np.where(x_zero, 1, x)
    gx = (
        g * conj(scatter_reduce(filled, dim, index, src, "prod", include_self)) / conj(filled)
        if include_self
        else np.where(untouched, g, 0)
    )
    zeros = read(
        scatter_add.forward(np.zeros(x_zero.shape, np.int64), dim, index, src_zero.astype(np.int64)), dim, index
    )
    single = src_zero.copy().reshape(src_zero.shape or (1,))
    single[tuple(slice(0, n) for n in zeros.shape)] &= (zeros == 1).reshape(zeros.shape or (1,))
    single = single.reshape(src_zero.shape)
    rest = scatter_reduce(x, dim, index, np.where(single, 1, src), "prod", include_self)
    alone = source_of(g * conj(rest), src_zero.shape, dim, index)
    among = source_of(g * conj(out), src_zero.shape, dim, index) / conj(np.where(src_zero, 1, src))
    return [gx, np.where(single, alone, among)]


scatter_reduce.grad(_scatter_reduce_grad, wrt=("x", "src"))
