"""Joining and splitting: cat and stack, and their inverses, which give several views of one tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import check_dim
from ..kernels.elementwise import concatenate
from .table import op


@op(variadic=True, promote="arith", numpy=np.concatenate)
def cat(tensors: Any, dim: Any = 0) -> Any:
    """The tensors one after another along `dim`. dtypes are promoted; an empty 1-d tensor is skipped, as in torch."""
    if not tensors:
        raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
    kept = [t for t in tensors if t.shape != (0,)] or list(tensors[:1])
    first = kept[0]
    if first.ndim == 0:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    d = check_dim(dim, first.ndim)
    for i, t in enumerate(tensors):
        if t.shape == (0,):
            continue
        if t.ndim != first.ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {first.ndim} and {t.ndim}")
        for k in range(first.ndim):
            if k != d and t.shape[k] != first.shape[k]:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {d}. Expected size {first.shape[k]} but got size {t.shape[k]} for tensor number {i} in the list."
                )
    return np.asarray(np.concatenate(kept, axis=d), order="C")


def _cat_grad(g: Any, needs: Any, tensors_shape: Any, dim: Any) -> Any:
    grads, start = [], 0
    d = dim % g.ndim
    for shape, needed in zip(tensors_shape, needs, strict=True):
        if shape == (0,) and g.ndim != 1:
            grads.append(np.zeros((0,)) if needed else None)
            continue
        stop = start + shape[d]
        grads.append(g[(slice(None),) * d + (slice(start, stop),)] if needed else None)
        start = stop
    return grads


cat.grad(_cat_grad)


@op(variadic=True, promote="arith", numpy=np.stack)
def stack(tensors: Any, dim: Any = 0) -> Any:
    """The tensors side by side along a new dim; all must have the same shape."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = tensors[0].shape
    for i, t in enumerate(tensors):
        if t.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and {list(t.shape)} at entry {i}"
            )
    return np.stack(tensors, check_dim(dim, len(first) + 1))


def _stack_grad(g: Any, needs: Any, dim: Any) -> Any:
    before = (slice(None),) * (dim % g.ndim)
    return [g[(*before, i)] if needed else None for i, needed in enumerate(needs)]


stack.grad(_stack_grad)


# -- splitting ------------------------------------------------------------------------------------------------------------


def _pieces(x: Any, sizes: Any, dim: int) -> Any:
    before, start, out = (slice(None),) * dim, 0, []
    for n in sizes:
        out.append(x[(*before, slice(start, start + n))])
        start += n
    return tuple(out)


def _dim_to_split(x: Any, dim: Any, name: str) -> int:
    if x.ndim == 0:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor")
    return check_dim(dim, x.ndim)


def _joined(g: Any, dim: Any) -> Any:
    return concatenate(g, dim % g[0].ndim) if type(g[0]) is np.ndarray else np.concatenate(g, dim)


@op(n_outputs=0, multiview=True)
def split(x: Any, split_size_or_sections: Any, dim: Any = 0) -> Any:
    """Views of `x` along `dim`: pieces of one size (the last may be smaller), or of the given sizes."""
    d = _dim_to_split(x, dim, "split")
    n, size = x.shape[d], split_size_or_sections
    if not hasattr(size, "__index__"):
        sizes = [int(s) for s in size]
        if any(s < 0 for s in sizes):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={sizes}"
            )
        if sum(sizes) != n:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {d}), but got split_sizes={sizes}"
            )
        return _pieces(x, sizes, d)
    size = int(size)
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0:
        if n:
            raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
        return _pieces(x, [0], d)
    return _pieces(x, [min(size, n - i) for i in range(0, n, size)] or [0], d)


@op(n_outputs=0, multiview=True)
def split_with_sizes(x: Any, split_sizes: Any, dim: Any = 0) -> Any:
    """Views of `x` along `dim`, of the given sizes, which must add up to its size there."""
    return split.forward(x, list(split_sizes), dim)


@op(n_outputs=0, multiview=True)
def chunk(x: Any, chunks: Any, dim: Any = 0) -> Any:
    """At most `chunks` views of `x` along `dim`, all of one size but the last: 5 in 3 gives 2, 2, 1 and 4 in 3 gives 2, 2."""
    d = _dim_to_split(x, dim, "chunk")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = x.shape[d]
    size = -(-n // int(chunks))
    return _pieces(x, [0] * int(chunks), d) if size == 0 else split.forward(x, size, d)


@op(n_outputs=0, multiview=True)
def tensor_split(x: Any, indices_or_sections: Any, dim: Any = 0) -> Any:
    """Views of `x` along `dim`: that many of nearly equal size, or cut before each of the given indices."""
    if x.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    d = check_dim(dim, x.ndim)
    n, cuts = x.shape[d], indices_or_sections
    if isinstance(cuts, np.ndarray):
        cuts = int(cuts) if cuts.ndim == 0 else cuts.tolist()
    if hasattr(cuts, "__index__"):
        if cuts <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {cuts}")
        sizes = [n // cuts + (i < n % cuts) for i in range(cuts)]
        return _pieces(x, sizes, d)
    before = (slice(None),) * d
    return tuple(x[(*before, slice(a, b))] for a, b in zip([0, *cuts], [*cuts, n], strict=True))


for _splitting in (split, split_with_sizes, chunk):
    _splitting.grad(x=_joined)


def _tensor_split_grad(g: Any, x_shape: Any, indices_or_sections: Any, dim: Any) -> Any:
    cuts = indices_or_sections
    if hasattr(cuts, "__index__") or getattr(cuts, "ndim", 1) == 0:
        return concatenate(g, dim % g[0].ndim) if type(g[0]) is np.ndarray else np.concatenate(g, dim)
    from .index import put

    n, before, total = x_shape[dim], (slice(None),) * (dim % len(x_shape)), None
    for a, b, piece in zip([0, *cuts], [*cuts, n], g, strict=True):  # cuts may overlap
        part = put(piece, (*before, slice(a, b)), x_shape)
        total = part if total is None else total + part
    return total


tensor_split.grad(x=_tensor_split_grad)


@op(n_outputs=0, multiview=True)
def unbind(x: Any, dim: Any = 0) -> Any:
    """Views of `x` at each position along `dim`, without that dim."""
    if x.ndim == 0:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    d = check_dim(dim, x.ndim)
    before = (slice(None),) * d
    return tuple(x[(*before, i, ...)] for i in range(x.shape[d]))


unbind.grad(x=lambda g, dim, x_shape: np.stack(g, dim) if len(g) else np.zeros(x_shape))
