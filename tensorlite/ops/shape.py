"""Ops that only rearrange: reshape, transpose, expand and their kin. Where NumPy can, they return views of the same memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import check_dim, check_dims
from .table import op, rest_argument


def _size(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if hasattr(shape, "__index__") else tuple(map(int, shape))


def _infer(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """`shape` with its -1 worked out. Raises RuntimeError in torch's words."""
    if math.prod(shape) == size and min(shape, default=0) >= 0:
        return shape
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
                raise RuntimeError(
                    f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can be any value and is ambiguous"
                )
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


@op(view=True, namespaces=())
def view_as_dtype(x: Any, dtype: Any) -> Any:
    """The same memory read as another dtype; where its elements have another size, the last dim grows or shrinks. Not differentiable."""
    size, n = x.dtype.itemsize, dtype.itemsize
    if size == n:
        return x.view(dtype)
    if not x.ndim:
        raise RuntimeError(f"self.dim() cannot be 0 to view {x.dtype} as {dtype} (different element sizes)")
    if n > size and x.shape[-1] % (n // size):
        raise RuntimeError(
            f"self.size(-1) must be divisible by {n // size} to view {x.dtype} as {dtype} (different element sizes), but got {x.shape[-1]}"
        )
    if x.strides[-1] != size:
        raise RuntimeError(
            f"self.stride(-1) must be 1 to view {x.dtype} as {dtype} (different element sizes), but got {x.strides[-1] // size}"
        )
    return x.view(dtype)


@op(view=True, numpy=np.swapaxes)
def transpose(x: Any, dim0: Any, dim1: Any) -> Any:
    """`x` with two dims swapped; a view."""
    return x.swapaxes(check_dim(dim0, x.ndim), check_dim(dim1, x.ndim)) if x.ndim else _check0(x, dim0, dim1)


def _check0(x: Any, *dims: Any) -> Any:
    for d in dims:
        check_dim(d, 0)
    return x.view()


transpose.grad(x=lambda g, dim0, dim1: np.swapaxes(g, dim0, dim1) if g.ndim else g)


@op(numpy=np.positive, namespaces=("torch", "Tensor"))
def clone(x: Any, memory_format: Any = None) -> Any:
    """A copy of `x` with memory of its own, laid out like that of `x` (a transposed matrix stays one), or in order if asked for."""
    return x.copy(order="C" if memory_format == "contiguous_format" else "K")


clone.grad(x=lambda g: g)


@op(view=True)
@rest_argument(1)
def permute(x: Any, dims: Any) -> Any:
    """`x` with its dims in the given order; a view."""
    order = tuple(check_dim(d, x.ndim) for d in dims)
    if len(order) != x.ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = {x.ndim} is not equal to len(dims) = {len(order)}"
        )
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return np.transpose(x, order)


permute.grad(
    x=lambda g, dims: np.transpose(g, tuple(int(i) for i in np.argsort([d % g.ndim for d in dims]))) if g.ndim else g
)


@op(view=True)
@rest_argument(1)
def expand(x: Any, size: Any) -> Any:
    """`x` repeated along dims of size 1, without copying; -1 keeps a size. A view whose elements share memory."""
    size = _size(size)
    lead = len(size) - x.ndim
    if lead < 0:
        raise RuntimeError(
            f"expand({{{list(x.shape)}}}, size={list(size)}): the number of sizes provided ({len(size)}) must be greater or equal to the number of dimensions in the tensor ({x.ndim})"
        )
    target = tuple(x.shape[i - lead] if s == -1 and i >= lead else s for i, s in enumerate(size))
    for i, (n, s) in enumerate(zip(x.shape, target[lead:], strict=True)):
        if n not in (1, s):
            raise RuntimeError(
                f"The expanded size of the tensor ({s}) must match the existing size ({n}) at non-singleton dimension {i + lead}.  Target sizes: {list(size)}.  Tensor sizes: {list(x.shape)}"
            )
    out = np.broadcast_to(x, target)
    out.flags.writeable = x.flags.writeable  # elements that share memory are guarded where they are written to
    return out


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


@op(view=True, numpy=np.moveaxis)
def movedim(x: Any, source: Any, destination: Any) -> Any:
    """`x` with the dims `source` moved to the places `destination`; a view."""
    src = [source] if hasattr(source, "__index__") else list(source)
    dst = [destination] if hasattr(destination, "__index__") else list(destination)
    if len(src) != len(dst):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({src} dims) should contain the same number of dims as destination ({dst} dims)"
        )
    src, dst = [check_dim(d, x.ndim) for d in src], [check_dim(d, x.ndim) for d in dst]
    for name, dims in (("source", src), ("destination", dst)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({dims})")
    return np.moveaxis(x, src, dst) if x.ndim else x.view()


movedim.grad(x=lambda g, source, destination: np.moveaxis(g, destination, source))


@op(view=True)
def unflatten(x: Any, dim: Any, sizes: Any) -> Any:
    """`x` with one dim spread over several, of the given sizes (one may be -1); a view."""
    d = check_dim(dim, x.ndim)
    sizes = _size(sizes)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        inner = _infer(sizes, x.shape[d])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} ({x.shape[d]}) in the input tensor"
        ) from None
    return x.reshape((*x.shape[:d], *inner, *x.shape[d + 1 :]))


unflatten.grad(x=lambda g, x_shape: g.reshape(x_shape))


@op(view=True)
def diagonal(x: Any, offset: Any = 0, dim1: Any = 0, dim2: Any = 1) -> Any:
    """The diagonal between `dim1` and `dim2` as the last dim; a view."""
    if x.ndim < 2:
        check_dim(dim1, x.ndim), check_dim(dim2, x.ndim)
    a, b = check_dim(dim1, x.ndim), check_dim(dim2, x.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    view = np.diagonal(x, offset, a, b)
    view.flags.writeable = x.flags.writeable  # NumPy hands out a read-only view
    return view


@op()
def diagonal_scatter(x: Any, src: Any, offset: Any = 0, dim1: Any = 0, dim2: Any = 1) -> Any:
    """A copy of `x` whose diagonal between `dim1` and `dim2` is `src`."""
    out = np.array(x, copy=True)
    target = diagonal.forward(out, offset, dim1, dim2)
    if target.shape != src.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = {list(target.shape)}"
        )
    target[...] = src
    return out


diagonal.grad(
    x=lambda g, x_shape, offset, dim1, dim2: diagonal_scatter(np.zeros(x_shape, g.dtype), g, offset, dim1, dim2)
)
diagonal_scatter.grad(
    x=lambda g, src_shape, offset, dim1, dim2: diagonal_scatter(g, np.zeros(src_shape, g.dtype), offset, dim1, dim2),
    src=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2),
)


@op()
def diag_embed(x: Any, offset: Any = 0, dim1: Any = -2, dim2: Any = -1) -> Any:
    """Zeros with the last dim of `x` on the diagonal between the new dims `dim1` and `dim2`."""
    ndim = x.ndim + 1
    a, b = check_dim(dim1, ndim), check_dim(dim2, ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = x.shape[-1] + abs(offset)
    rest = iter(x.shape[:-1])
    out = np.zeros(tuple(n if i in (a, b) else next(rest) for i in range(ndim)), x.dtype)
    diagonal.forward(out, offset, a, b)[...] = x
    return out


diag_embed.grad(x=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2))


def strided(x: Any, shape: tuple[int, ...], strides: tuple[int, ...], start: int = 0) -> Any:
    """The memory of `x` seen with another shape and strides (bytes). Unlike NumPy's `as_strided` its `base` is the memory's owner."""
    owner = x
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    offset = x.__array_interface__["data"][0] - owner.__array_interface__["data"][0] + start
    try:
        out: Any = np.ndarray(shape, x.dtype, owner, offset, strides)
    except (ValueError, TypeError):  # the owner's memory has holes, or belongs to somebody else
        return np.lib.stride_tricks.as_strided(x, shape, strides).copy()
    out.flags.writeable = x.flags.writeable
    return out


@op(view=True, namespaces=("Tensor",))
def unfold(x: Any, dimension: Any, size: Any, step: Any) -> Any:
    """Windows of `size` elements along a dim, every `step` elements, as a new last dim; a view."""
    d = check_dim(dimension, x.ndim)
    n = x.shape[d] if x.ndim else 1
    if size < 0 or size > n:
        raise RuntimeError(
            f"maximum size for tensor at dimension {d} is {n} but size is {size}"
            if size > n
            else f"size is {size} but must be >= 0"
        )
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not x.ndim:
        return x.reshape(1)[:size].copy() if size == 0 else x.reshape(1)
    shape = (*x.shape[:d], (n - size) // step + 1, *x.shape[d + 1 :], size)
    strides = (*x.strides[:d], x.strides[d] * step, *x.strides[d + 1 :], x.strides[d])
    return strided(x, shape, strides) if x.size else np.empty(shape, x.dtype)


@op(namespaces=())
def fold_windows(g: Any, shape: Any, dimension: Any, size: Any, step: Any) -> Any:
    """The transpose of `unfold`: each window added in where it came from."""
    out = np.zeros(shape, g.dtype)
    if not shape:
        return out + g.sum(-1).reshape(()) if size else out
    target = np.moveaxis(out, dimension, -1)
    windows = np.moveaxis(g, dimension, -2)  # (..., L, size)
    count = windows.shape[-2]
    for k in range(size):
        target[..., k : k + step * count : step][..., :count] += windows[..., k]
    return out


unfold.grad(
    x=lambda g, x_shape, dimension, size, step: fold_windows(g, x_shape, dimension % max(len(x_shape), 1), size, step)
)
fold_windows.grad(g=lambda g, dimension, size, step: unfold(g, dimension, size, step))


@op(view=True)
def as_strided(x: Any, size: Any, stride: Any, storage_offset: Any = None) -> Any:
    """The memory of a contiguous `x` seen with sizes and strides (elements). Raises RuntimeError where it would reach outside."""
    size, stride, offset = _size(size), tuple(int(s) for s in stride), int(storage_offset or 0)
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(s < 0 for s in stride):
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}")
    if not x.flags.c_contiguous:
        raise RuntimeError("as_strided: tensorlite expects a contiguous tensor here; call contiguous() first")
    reach = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if all(size) and reach >= x.size:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset} reach element {reach}, out of bounds for storage of size {x.size}"
        )
    if not all(size):
        return np.empty(size, x.dtype)
    return strided(x, size, tuple(s * x.itemsize for s in stride), offset * x.itemsize)


def _as_strided_grad(g: Any, x_shape: Any, size: Any, stride: Any, storage_offset: Any) -> Any:
    from .index import put

    ids = np.full(_size(size), int(storage_offset or 0))
    for axis, (n, s) in enumerate(zip(_size(size), stride, strict=True)):
        ids = ids + (np.arange(n) * int(s)).reshape((-1,) + (1,) * (len(size) - axis - 1))
    total = 1
    for n in x_shape:
        total *= n
    return put(g.reshape(-1), ids.reshape(-1), (total,)).reshape(x_shape)


as_strided.grad(x=_as_strided_grad)
