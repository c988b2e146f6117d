"""Pooling over one, two or three spatial dims, of `(C, *spatial)` or `(N, C, *spatial)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...autograd.record import apply
from ...ops import pool as ops
from ...tensor import Tensor
from .conv import spread

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "fold",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "unfold",
]

Size = int | Sequence[int]


def _batched(input: Tensor, dims: int, name: str) -> tuple[Any, bool]:
    """The input with a batch dim, and whether it had none."""
    if input.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{name}: Expected {dims + 1}D or {dims + 2}D input, but got input of size: {list(input._data.shape)}"
        )
    single = input.ndim == dims + 1
    return (input.unsqueeze(0) if single else input), single


def _unbatched(out: Any, single: bool) -> Any:
    return out.squeeze(0) if single else out


def _max_pool(dims: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    name = f"max_pool{dims}d"

    def with_indices(
        input: Tensor,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
        return_indices: bool = True,
    ) -> Any:
        x, single = _batched(input, dims, name)
        kernel = spread(kernel_size, dims, "kernel_size")
        steps = (
            kernel
            if stride is None or (not isinstance(stride, int) and not len(stride))
            else spread(stride, dims, "stride")
        )
        pads, dilations = spread(padding, dims, "padding"), spread(dilation, dims, "dilation")
        values, indices = apply(ops.max_pool, (x, kernel, steps, pads, dilations, ceil_mode))
        return _unbatched(values, single), _unbatched(indices, single)

    def function(
        input: Tensor,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        found = with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
        return found if return_indices else found[0]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        "The largest value of each window; with `return_indices` also its flat position among the spatial dims."
    )
    with_indices.__name__ = with_indices.__qualname__ = name + "_with_indices"
    with_indices.__doc__ = "The largest value of each window, and its flat position among the spatial dims."
    return function, with_indices


max_pool1d, max_pool1d_with_indices = _max_pool(1)
max_pool2d, max_pool2d_with_indices = _max_pool(2)
max_pool3d, max_pool3d_with_indices = _max_pool(3)


def _avg_pool(dims: int) -> Callable[..., Tensor]:
    def function(
        input: Tensor,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:
        x, single = _batched(input, dims, f"avg_pool{dims}d")
        kernel = spread(kernel_size, dims, "kernel_size")
        steps = (
            kernel
            if stride is None or (not isinstance(stride, int) and not len(stride))
            else spread(stride, dims, "stride")
        )
        pads = spread(padding, dims, "padding")
        out = apply(ops.avg_pool, (x, kernel, steps, pads, ceil_mode, count_include_pad, divisor_override))
        return _unbatched(out, single)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = f"avg_pool{dims}d"
    function.__doc__ = "The mean of each window; padding counts as zeros unless `count_include_pad` is false."
    return function


avg_pool1d, avg_pool2d, avg_pool3d = (_avg_pool(d) for d in (1, 2, 3))


def _lp_pool(dims: int) -> Callable[..., Tensor]:
    def function(
        input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> Tensor:
        kernel = spread(kernel_size, dims, "kernel_size")
        mean: Any = _AVG[dims](input.pow(norm_type), kernel, stride, 0, ceil_mode)
        return (mean.sign() * abs(mean).relu() * math.prod(kernel)).pow(1.0 / norm_type)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = f"lp_pool{dims}d"
    function.__doc__ = "The p-norm of each window, without the modulus: `(Σ xᵖ)^(1/p)`."
    return function


_AVG = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}
lp_pool1d, lp_pool2d, lp_pool3d = (_lp_pool(d) for d in (1, 2, 3))


# -- adaptive -------------------------------------------------------------------------------------------------------------


def _target(x: Any, size: Any, dims: int) -> tuple[int, ...]:
    sizes = (size,) * dims if size is None or isinstance(size, int) else tuple(size)
    if len(sizes) == 1:
        sizes = sizes * dims
    return tuple(int(n) if s is None else int(s) for s, n in zip(sizes, x._data.shape[2:], strict=True))


def along_dims(x: Any, matrices: Sequence[Any]) -> Any:
    """`x (N, C, *spatial)` with a matrix (out, in) applied along each spatial dim."""
    for axis, matrix in enumerate(matrices):
        if matrix is None:
            continue
        m = wrap(np.asarray(matrix, x._data.dtype))
        if axis == len(matrices) - 1:
            x = x @ m.t()
        else:
            x = (x.transpose(axis + 2, -1) @ m.t()).transpose(axis + 2, -1)
    return x


def _averaging(n: int, size: int) -> Any:
    matrix = np.zeros((size, n))
    for i in range(size):
        a, b = ops.cell_bounds(n, size, i)
        matrix[i, a:b] = 1 / (b - a)
    return matrix


def _adaptive_avg(dims: int) -> Callable[..., Tensor]:
    def function(input: Tensor, output_size: Any) -> Tensor:
        x, single = _batched(input, dims, f"adaptive_avg_pool{dims}d")
        sizes = _target(x, output_size, dims)
        matrices = [_averaging(n, m) for n, m in zip(x._data.shape[2:], sizes, strict=True)]
        return _unbatched(along_dims(x, matrices), single)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = f"adaptive_avg_pool{dims}d"
    function.__doc__ = "The means of a grid of cells of `output_size` laid over the spatial dims; None keeps a size."
    return function


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (_adaptive_avg(d) for d in (1, 2, 3))


def _adaptive_max(dims: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def with_indices(input: Tensor, output_size: Any, return_indices: bool = True) -> Any:
        x, single = _batched(input, dims, f"adaptive_max_pool{dims}d")
        values, indices = apply(ops.adaptive_max_pool, (x, _target(x, output_size, dims)))
        return _unbatched(values, single), _unbatched(indices, single)

    def function(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        found = with_indices(input, output_size)
        return found if return_indices else found[0]

    function.__name__ = function.__qualname__ = f"adaptive_max_pool{dims}d"
    function.__doc__ = (
        "The largest values of a grid of cells of `output_size`; with `return_indices` also where they lie."
    )
    with_indices.__name__ = with_indices.__qualname__ = f"adaptive_max_pool{dims}d_with_indices"
    with_indices.__doc__ = "The largest values of a grid of cells of `output_size`, and where they lie."
    return function, with_indices


adaptive_max_pool1d, adaptive_max_pool1d_with_indices = _adaptive_max(1)
adaptive_max_pool2d, adaptive_max_pool2d_with_indices = _adaptive_max(2)
adaptive_max_pool3d, adaptive_max_pool3d_with_indices = _adaptive_max(3)


def _max_unpool(dims: int) -> Callable[..., Tensor]:
    def function(
        input: Tensor,
        indices: Tensor,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        output_size: Sequence[int] | None = None,
    ) -> Tensor:
        x, single = _batched(input, dims, f"max_unpool{dims}d")
        kernel = spread(kernel_size, dims, "kernel_size")
        steps = kernel if stride is None else spread(stride, dims, "stride")
        pads = spread(padding, dims, "padding")
        sizes = tuple(
            (n - 1) * s - 2 * p + k for n, s, p, k in zip(x._data.shape[2:], steps, pads, kernel, strict=True)
        )
        if output_size is not None:
            sizes = tuple(int(n) for n in output_size)[-dims:]
        index = indices._data.reshape(x._data.shape)
        return _unbatched(apply(ops.max_unpool, (x, index, sizes)), single)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = f"max_unpool{dims}d"
    function.__doc__ = "Zeros with each value where `max_pool` found it: the partial inverse of max pooling."
    return function


max_unpool1d, max_unpool2d, max_unpool3d = (_max_unpool(d) for d in (1, 2, 3))


# -- windows as columns ---------------------------------------------------------------------------------------------------


def unfold(input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> Tensor:
    """The windows of `(N, C, H, W)` as columns `(N, C * kernel, places)`."""
    x, single = _batched(input, 2, "unfold")
    args = (spread(v, 2, "size") for v in (kernel_size, dilation, padding, stride))
    return _unbatched(apply(ops.im2col, (x, *args)), single)  # type: ignore[no-any-return]


def fold(
    input: Tensor, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """Columns `(N, C * kernel, places)` added up into images of `output_size`: the transpose of `unfold`."""
    x, single = _batched(input, 1, "fold")
    args = (spread(v, 2, "size") for v in (output_size, kernel_size, dilation, padding, stride))
    return _unbatched(apply(ops.col2im, (x, *args)), single)  # type: ignore[no-any-return]
