"""Pooling in any number of spatial dims. Inputs are `(N, C, *spatial)`; every size is a tuple with one entry for each spatial dim."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .analytic import branch, ordered
from .conv import add_windows, windows
from .gather import gather, scatter_add
from .table import op


def pooled_size(n: int, kernel: int, stride: int, pad: int, dilation: int, ceil_mode: Any) -> int:
    """The number of windows along one dim. With `ceil_mode` a last one may hang over the end, if it starts inside."""
    span = n + 2 * pad - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (count - 1) * stride >= n + pad:
        count -= 1
    return count


def _sizes(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, name: str) -> tuple[int, ...]:
    for k, p in zip(kernel, padding, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if 2 * p > k:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation=1"
            )
    if any(k <= 0 for k in kernel):
        raise RuntimeError(f"{name}: kernel size should be greater than zero, but got {tuple(kernel)}")
    if any(s <= 0 for s in stride):
        raise RuntimeError(f"{name}: stride should be greater than zero, but got {tuple(stride)}")
    if any(d <= 0 for d in dilation):
        raise RuntimeError(f"{name}: dilation should be greater than zero, but got {tuple(dilation)}")
    out = tuple(
        pooled_size(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    )
    if any(m < 1 for m in out):
        raise RuntimeError(
            f"Given input size: {tuple(x.shape[1:])}. Calculated output size: {(x.shape[1], *out)}. Output size is too small"
        )
    return out


def _overhang(n: int, kernel: int, stride: int, pad: int, dilation: int, out: int) -> int:
    """Padding needed behind so that the last window fits."""
    return max((out - 1) * stride + dilation * (kernel - 1) + 1 - n - pad, 0)


def _pairs(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, out: Any) -> tuple[tuple[int, int], ...]:
    spatial = x.shape[2:]
    return tuple(
        (p, _overhang(n, k, s, p, d, m))
        for n, k, s, p, d, m in zip(spatial, kernel, stride, padding, dilation, out, strict=True)
    )


def _lowest(dtype: Any) -> Any:
    return -np.inf if dtype.kind in "fc" else np.iinfo(dtype).min


@op(namespaces=(), n_outputs=2, nondiff_outputs=(1,), aux=True)
def max_pool(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any) -> Any:
    """The largest value of each window, and where it lies: its flat position among the spatial dims. NaN counts as largest."""
    out = _sizes(x, kernel, stride, padding, dilation, ceil_mode, "max_pool")
    values = ordered(x, "max_pool")
    pairs = _pairs(x, kernel, stride, padding, dilation, out)
    full = (
        np.pad(values, ((0, 0), (0, 0), *pairs), constant_values=_lowest(values.dtype))
        if any(map(any, pairs))
        else np.ascontiguousarray(values)
    )
    view = windows(full, kernel, stride, dilation, out)
    best = (
        branch(view.reshape(*view.shape[: 2 + len(out)], math.prod(kernel)).argmax(-1))
        if view.size
        else np.zeros(view.shape[: 2 + len(out)], np.int64)
    )
    position = np.zeros(best.shape, np.int64)
    offsets = np.unravel_index(best, kernel)
    for axis, n in enumerate(x.shape[2:]):
        start = (np.arange(out[axis]) * stride[axis] - padding[axis]).reshape((-1,) + (1,) * (len(out) - axis - 1))
        position = position * n + np.clip(start + offsets[axis] * dilation[axis], 0, n - 1)
    flat = x.reshape(*x.shape[:2], -1)
    picked = np.take_along_axis(flat, position.reshape(*x.shape[:2], -1), 2).reshape(best.shape)
    return (picked, position), position


def _unpool(g: Any, x_shape: Any, aux: Any) -> Any:
    n, c, *spatial = x_shape
    index = aux.reshape(n, c, -1)
    zeros = np.zeros((n, c, math.prod(spatial)), g[0].dtype)
    return scatter_add(zeros, 2, index, g[0].reshape((n, c, -1))).reshape(tuple(x_shape))


max_pool.grad(x=_unpool)


@op(namespaces=(), n_outputs=2, nondiff_outputs=(1,), aux=True)
def adaptive_max_pool(x: Any, size: Any) -> Any:
    """The largest value of each cell of a grid of `size` laid over the spatial dims, and where it lies."""
    values = ordered(x, "adaptive_max_pool")
    spatial = x.shape[2:]
    position = np.zeros((*x.shape[:2], *size), np.int64)
    for cell in np.ndindex(*size):
        bounds = [cell_bounds(n, m, i) for n, m, i in zip(spatial, size, cell, strict=True)]
        block = values[(slice(None), slice(None), *(slice(a, b) for a, b in bounds))]
        best = branch(block.reshape(*x.shape[:2], -1).argmax(-1))
        flat = np.zeros(best.shape, np.int64)
        for n, (a, _), offset in zip(spatial, bounds, np.unravel_index(best, block.shape[2:]), strict=True):
            flat = flat * n + a + offset
        position[(slice(None), slice(None), *cell)] = flat
    picked = np.take_along_axis(x.reshape(*x.shape[:2], -1), position.reshape(*x.shape[:2], -1), 2).reshape(
        position.shape
    )
    return (picked, position), position


adaptive_max_pool.grad(x=_unpool)


@op(namespaces=())
def max_unpool(x: Any, index: Any, size: Any) -> Any:
    """Zeros of `(N, C, *size)` with `x` at the flat positions `index`. Values that max pooling found twice are equal: each gets the gradient."""
    n, c = x.shape[:2]
    total = math.prod(size)
    flat = index.reshape(n, c, -1)
    if flat.size and (flat.min() < 0 or flat.max() >= total):
        raise RuntimeError(
            f"found an invalid max index: {flat.max()} (output volumes are of size {'x'.join(map(str, size))})"
        )
    out = np.zeros((n, c, total), x.dtype)
    np.put_along_axis(out, flat, x.reshape(n, c, -1), 2)
    return out.reshape(n, c, *size)


def _max_unpool_grad(g: Any, x_shape: Any, index: Any) -> Any:
    n, c = x_shape[:2]
    return gather(g.reshape((n, c, -1)), 2, index.reshape(n, c, -1)).reshape(tuple(x_shape))


max_unpool.grad(x=_max_unpool_grad)


def cell_bounds(n: int, size: int, i: int) -> tuple[int, int]:
    """Where cell `i` of `size` begins and ends when it is laid over `n` elements; neighbours may overlap."""
    return i * n // size, -(-((i + 1) * n) // size)


@op(namespaces=())
def avg_pool(
    x: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: Any, count_include_pad: Any, divisor_override: Any
) -> Any:
    """The mean of each window; padding counts as zeros, unless `count_include_pad` is false."""
    ones = (1,) * len(kernel)
    out = _sizes(x, kernel, stride, padding, ones, ceil_mode, "avg_pool")
    pairs = _pairs(x, kernel, stride, padding, ones, out)
    full = np.pad(x, ((0, 0), (0, 0), *pairs)) if any(map(any, pairs)) else np.ascontiguousarray(x)
    total = windows(full, kernel, stride, ones, out).sum(
        tuple(range(2 + len(out), 2 + 2 * len(out))), dtype=_wide(x.dtype)
    )
    count = _divisors(x.shape[2:], kernel, stride, padding, out, count_include_pad, divisor_override)
    return np.asarray(np.trunc(total / count) if x.dtype.kind in "iu" else total / count).astype(x.dtype)


def _wide(dtype: Any) -> Any:
    return np.float64 if dtype.kind == "f" else dtype


def _divisors(
    spatial: Any, kernel: Any, stride: Any, padding: Any, out: Any, count_include_pad: Any, divisor_override: Any
) -> Any:
    """How many elements each window counts."""
    if divisor_override is not None:
        if divisor_override == 0:
            raise RuntimeError("divisor must be not zero")
        return divisor_override
    count: Any = 1
    for axis, (n, k, s, p, m) in enumerate(zip(spatial, kernel, stride, padding, out, strict=True)):
        start = np.arange(m) * s - p
        end = np.minimum(start + k, n + p)
        size = end - start if count_include_pad else np.minimum(end, n) - np.maximum(start, 0)
        count = count * size.reshape((-1,) + (1,) * (len(out) - axis - 1))
    return count


@op(namespaces=())
def avg_pool_input(
    g: Any,
    shape: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: Any,
    count_include_pad: Any,
    divisor_override: Any,
) -> Any:
    """The transpose of `avg_pool`."""
    out = g.shape[2:]
    ones = (1,) * len(kernel)
    count = _divisors(shape[2:], kernel, stride, padding, out, count_include_pad, divisor_override)
    share = (g / count).astype(g.dtype).reshape(*g.shape[:2], *ones, *out)
    pairs = _pairs(np.empty(shape, bool), kernel, stride, padding, ones, out)
    return add_windows(np.broadcast_to(share, (*g.shape[:2], *kernel, *out)), shape, kernel, stride, pairs, ones, out)


def _avg_rule(
    g: Any,
    x_shape: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: Any,
    count_include_pad: Any,
    divisor_override: Any,
) -> Any:
    return avg_pool_input(g, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg_input_rule(
    h: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: Any, count_include_pad: Any, divisor_override: Any
) -> Any:
    return avg_pool(h, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


avg_pool.grad(x=_avg_rule)
avg_pool_input.grad(g=_avg_input_rule)


# -- windows as columns ---------------------------------------------------------------------------------------------------


@op(namespaces=())
def im2col(x: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """The windows of `x (N, C, H, W)` as columns: `(N, C * kernel, places)`."""
    pairs = tuple((p, p) for p in padding)
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, k, s, d in zip(x.shape[2:], padding, kernel, stride, dilation, strict=True)
    )
    if any(m < 1 for m in out):
        raise RuntimeError(
            f"Given input with spatial size {tuple(x.shape[2:])}, the calculated shape of the array of sliding blocks {out} is too small"
        )
    full = np.pad(x, ((0, 0), (0, 0), *pairs))
    view = windows(full, kernel, stride, dilation, out)
    return view.transpose(0, 1, 4, 5, 2, 3).reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(out))


@op(namespaces=())
def col2im(x: Any, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """The transpose of `im2col`: columns `(N, C * kernel, places)` added into an image of `size`."""
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, k, s, d in zip(size, padding, kernel, stride, dilation, strict=True)
    )
    if math.prod(out) != x.shape[2]:
        raise RuntimeError(
            f"Given output_size={tuple(size)}, kernel_size={tuple(kernel)}, expected size of input's dimension 2 to match the calculated number of sliding blocks {math.prod(out)}, but got input.size(2)={x.shape[2]}."
        )
    if x.shape[1] % math.prod(kernel):
        raise RuntimeError(
            f"Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)={x.shape[1]} and kernel_size={tuple(kernel)}."
        )
    channels = x.shape[1] // math.prod(kernel)
    columns = x.reshape(x.shape[0], channels, *kernel, *out)
    return add_windows(
        columns, (x.shape[0], channels, *size), kernel, stride, tuple((p, p) for p in padding), dilation, out
    )


im2col.grad(
    x=lambda g, x_shape, kernel, dilation, padding, stride: col2im(
        g, tuple(x_shape[2:]), kernel, dilation, padding, stride
    )
)
col2im.grad(x=lambda g, kernel, dilation, padding, stride: im2col(g, kernel, dilation, padding, stride))
