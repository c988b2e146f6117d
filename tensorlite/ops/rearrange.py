"""Ops that copy elements to other places: flip, roll, repeat, triangles, padding by a constant."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import check_dim
from .table import op, rest_argument


def _dims(dims: Any) -> tuple[int, ...]:
    return (int(dims),) if hasattr(dims, "__index__") else tuple(int(d) for d in dims)


@op()
@rest_argument(1)
def flip(x: Any, dims: Any) -> Any:
    """A copy of `x` with the order of elements along the dims turned round."""
    axes = tuple(check_dim(d, x.ndim) for d in _dims(dims))
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"dim {max(axes, key=axes.count)} appears multiple times in the list of dims")
    return np.flip(x, axes).copy() if x.ndim else x.copy()


flip.grad(x=lambda g, dims: flip(g, dims))


@op(numpy=np.roll)
def roll(x: Any, shifts: Any, dims: Any = None) -> Any:
    """A copy of `x` with elements shifted along dims (all of it as one row, if none is named); what leaves at one end enters at the other."""
    moves = _dims(shifts)
    if dims is None or (not hasattr(dims, "__index__") and not len(dims)):
        if len(moves) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(moves)}, dims:0")
        return np.roll(x, moves[0])
    axes = _dims(dims)
    if len(axes) != len(moves):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(moves)}, dims:{len(axes)}")
    if not x.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return np.roll(x, moves, tuple(check_dim(d, x.ndim) for d in axes))


roll.grad(x=lambda g, shifts, dims: roll(g, tuple(-s for s in _dims(shifts)), dims))


def _check_matrix(x: Any, name: str) -> None:
    if x.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


@op(inplace=True)
def tril(x: Any, diagonal: Any = 0) -> Any:
    """The lower triangles of the matrices in the last two dims; zero above `diagonal`."""
    _check_matrix(x, "tril")
    return np.tril(x, diagonal)


@op(inplace=True)
def triu(x: Any, diagonal: Any = 0) -> Any:
    """The upper triangles of the matrices in the last two dims; zero below `diagonal`."""
    _check_matrix(x, "triu")
    return np.triu(x, diagonal)


tril.grad(x=lambda g, diagonal: tril(g, diagonal))
triu.grad(x=lambda g, diagonal: triu(g, diagonal))


@op(namespaces=("Tensor",))
@rest_argument(1)
def repeat(x: Any, repeats: Any) -> Any:
    """Copies of `x` laid side by side, `repeats[i]` of them along dim i (NumPy's `tile`, not its `repeat`)."""
    times = _dims(repeats)
    if any(t < 0 for t in times):
        raise RuntimeError(f"Trying to create tensor with negative dimension in repeat{list(times)}")
    if len(times) < x.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    return np.tile(x, times)


def _repeat_grad(g: Any, x_shape: Any, repeats: Any) -> Any:
    times = _dims(repeats)
    lead = len(times) - len(x_shape)
    pairs = [(t, n) for t, n in zip(times, (1,) * lead + tuple(x_shape), strict=True)]
    if not times:
        return g
    return g.reshape(tuple(k for pair in pairs for k in pair)).sum(tuple(range(0, 2 * len(pairs), 2))).reshape(x_shape)


repeat.grad(x=_repeat_grad)


@op(numpy=np.repeat)
def repeat_interleave(x: Any, repeats: Any, dim: Any = None, output_size: Any = None) -> Any:
    """Each element of `x` repeated along `dim` (of the flattened `x`, if none is named), as often as `repeats` says, in place."""
    d, counts = _interleaving(x.shape, repeats, dim)
    out = np.repeat(x.reshape(-1) if dim is None else x if x.ndim else x.reshape(1), counts, axis=d)
    if output_size is not None and out.shape[d] != output_size:
        raise RuntimeError(
            f"allocated size does not match required size: output_size is {output_size}, got {out.shape[d]}"
        )
    return out


def _interleaving(shape: Any, repeats: Any, dim: Any) -> Any:
    d = 0 if dim is None else check_dim(dim, len(shape))
    counts = np.asarray(repeats)
    if counts.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if counts.dtype.kind not in "iu" and counts.size:
        raise RuntimeError("repeats has to be Long or Int tensor")
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    n = int(np.prod(shape)) if dim is None else shape[d] if shape else 1
    if counts.ndim == 1 and counts.size not in (1, n):
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and input.size({d}) = {n}"
        )
    return d, counts


def _repeat_interleave_grad(g: Any, x_shape: Any, repeats: Any, dim: Any) -> Any:
    from .index import put

    d, counts = _interleaving(x_shape, repeats, dim)
    flat = x_shape if dim is not None and x_shape else (int(np.prod(x_shape)),)
    source = np.repeat(np.arange(flat[d]), counts)
    return put(g, (*(slice(None),) * d, source), flat).reshape(x_shape)


repeat_interleave.grad(x=_repeat_interleave_grad)


@op(namespaces=(), name="constant_pad_nd")
def constant_pad(x: Any, pad: Any, value: Any = 0) -> Any:
    """`x` with `value` around it: `pad` holds (before, after) for the last dim, then for the one before it, and so on; negative sizes cut."""
    pairs = pad_pairs(pad, x.ndim)
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True))
    grown = [(max(a, 0), max(b, 0)) for a, b in pairs]
    for n, (a, b) in zip(x.shape, pairs, strict=True):
        if n + a + b < 0:
            raise RuntimeError(
                f"The input size {n}, plus negative padding {a} and {b}, resulted in a negative output size"
            )
    x = x[cut]
    out = np.full(
        tuple(n + a + b for n, (a, b) in zip(x.shape, grown, strict=True)), 0 if value is None else value, x.dtype
    )
    out[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, grown, strict=True))] = x
    return out


def pad_pairs(pad: Any, ndim: int) -> list[tuple[int, int]]:
    """(before, after) of each dim, first dim first."""
    pad = _dims(pad)
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length {len(pad)} and input of dimension {ndim}"
        )
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


constant_pad.grad(x=lambda g, pad: constant_pad(g, tuple(-p for p in _dims(pad)), 0))
