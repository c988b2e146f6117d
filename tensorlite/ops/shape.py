"""Ops that only rearrange: reshape, transpose, expand and their kin. Where NumPy can, they return views of the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import check_dim, check_dims
from .table import op, rest_argument


def _size(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if hasattr(shape, "__index__") else tuple(int(s) for s in shape)


def _infer(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """`shape` with its -1 worked out. Raises RuntimeError in torch's words."""
    unknown = [i for i, s in enumerate(shape) if s == -1]
    if len(unknown) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if any(s < -1 for s in shape):
        raise RuntimeError(f"invalid shape dimension {min(shape)}")
    known = 1
    for s in shape:
        known *= s if s != -1 else 1
    if unknown:
        if known == 0:
            if size == 0:
                raise RuntimeError(f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can be any value and is ambiguous")
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
        if size % known:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
        return tuple(size // known if s == -1 else s for s in shape)
    if known != size:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return shape


@op(view=True, numpy=np.reshape)
@rest_argument(1)
def reshape(x: Any, shape: Any) -> Any:
    """`x` with another shape; one size may be -1. A view where possible, else a copy."""
    return x.reshape(_infer(_size(shape), x.size))


reshape.grad(x=lambda g, x_shape: g.reshape(x_shape))


@op(view=True, namespaces=("Tensor",))
@rest_argument(1)
def view(x: Any, size: Any) -> Any:
    """`x` with another shape, sharing its memory. Raises RuntimeError where that would need a copy; `reshape` copies then."""
    out = x.reshape(_infer(_size(size), x.size))
    if out.size and out.base is not x and out.base is not x.base:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return out


view.grad(x=lambda g, x_shape: g.reshape(x_shape))


@op(view=True, numpy=np.swapaxes)
def transpose(x: Any, dim0: Any, dim1: Any) -> Any:
    """`x` with two dims swapped; a view."""
    return np.swapaxes(x, check_dim(dim0, x.ndim), check_dim(dim1, x.ndim)) if x.ndim else _check0(x, dim0, dim1)


def _check0(x: Any, *dims: Any) -> Any:
    for d in dims:
        check_dim(d, 0)
    return x.view()


transpose.grad(x=lambda g, dim0, dim1: np.swapaxes(g, dim0, dim1) if g.ndim else g)


@op(numpy=np.positive, namespaces=("torch", "Tensor"))
def clone(x: Any, memory_format: Any = None) -> Any:
    """A copy of `x` with memory of its own."""
    return x.copy()


clone.grad(x=lambda g: g)


@op(view=True)
@rest_argument(1)
def permute(x: Any, dims: Any) -> Any:
    """`x` with its dims in the given order; a view."""
    order = tuple(check_dim(d, x.ndim) for d in dims)
    if len(order) != x.ndim:
        raise RuntimeError(f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = {x.ndim} is not equal to len(dims) = {len(order)}")
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return np.transpose(x, order)


permute.grad(x=lambda g, dims: np.transpose(g, tuple(int(i) for i in np.argsort([d % g.ndim for d in dims]))) if g.ndim else g)


@op(view=True)
@rest_argument(1)
def expand(x: Any, size: Any) -> Any:
    """`x` repeated along dims of size 1, without copying; -1 keeps a size. A view whose elements share memory."""
    size = _size(size)
    lead = len(size) - x.ndim
    if lead < 0:
        raise RuntimeError(f"expand({{{list(x.shape)}}}, size={list(size)}): the number of sizes provided ({len(size)}) must be greater or equal to the number of dimensions in the tensor ({x.ndim})")
    target = tuple(x.shape[i - lead] if s == -1 and i >= lead else s for i, s in enumerate(size))
    for i, (n, s) in enumerate(zip(x.shape, target[lead:], strict=True)):
        if n not in (1, s):
            raise RuntimeError(f"The expanded size of the tensor ({s}) must match the existing size ({n}) at non-singleton dimension {i + lead}.  Target sizes: {list(size)}.  Tensor sizes: {list(x.shape)}")
    return np.broadcast_to(x, target)


def _sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    from .basic import sum_to_shape

    return sum_to_shape(g, shape)


expand.grad(x=lambda g, x_shape: _sum_to(g, x_shape))


@op(view=True, numpy=np.squeeze)
def squeeze(x: Any, dim: Any = None) -> Any:
    """`x` without its dims of size 1, or without the given ones where their size is 1; a view."""
    dims = tuple(i for i in check_dims(dim, x.ndim) if x.shape[i] == 1)
    return np.squeeze(x, dims) if dims else x.view()


squeeze.grad(x=lambda g, x_shape: g.reshape(x_shape))


@op(view=True, numpy=np.expand_dims)
def unsqueeze(x: Any, dim: Any) -> Any:
    """`x` with a dim of size 1 inserted at `dim`; a view."""
    return np.expand_dims(x, check_dim(dim, x.ndim + 1))


unsqueeze.grad(x=lambda g, x_shape: g.reshape(x_shape))


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
                raise RuntimeError(f"Sizes of tensors must match except in dimension {d}. Expected size {first.shape[k]} but got size {t.shape[k]} for tensor number {i} in the list.")
    return np.concatenate(kept, axis=d)


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
