"""Convolutions in any number of spatial dims, by im2col and matrix products.

Three bilinear ops are closed under differentiation, which gives every order of derivative: `convolution` (input, weight) -> output,
`convolution_input` (output cotangent, weight) -> input, which is also the transposed convolution, and `convolution_weight`
(output cotangent, input) -> weight. Windows are a strided view of the padded input, copied once into columns for BLAS.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .analytic import conj
from .linalg import product
from .shape import strided
from .table import op

Pairs = tuple[tuple[int, int], ...]


def output_size(n: int, pad: tuple[int, int], kernel: int, stride: int, dilation: int) -> int:
    """The number of places a window fits along one dim."""
    return (n + sum(pad) - dilation * (kernel - 1) - 1) // stride + 1


def windows(x: Any, kernel: Any, stride: Any, dilation: Any, out: Any) -> Any:
    """View `(N, C, *out, *kernel)` of an already padded `x (N, C, *spatial)`."""
    n, c = x.shape[:2]
    steps = x.strides[2:]
    return strided(
        x,
        (n, c, *out, *kernel),
        (
            *x.strides[:2],
            *(s * t for s, t in zip(steps, stride, strict=True)),
            *(s * d for s, d in zip(steps, dilation, strict=True)),
        ),
    )


def padded(x: Any, padding: Pairs, value: Any = 0) -> Any:
    """`x` with `padding` (before, after) around its spatial dims."""
    if not any(a or b for a, b in padding):
        return np.ascontiguousarray(x)
    return np.pad(x, ((0, 0), (0, 0), *padding), constant_values=value)


def _columns(x: Any, kernel: Any, stride: Any, padding: Pairs, dilation: Any, groups: int, out: Any) -> Any:
    """Columns `(N, groups, C/groups * kernel, places)`."""
    n, c = x.shape[:2]
    w = windows(padded(x, padding), kernel, stride, dilation, out)
    d = len(kernel)
    order = (0, 1, *range(2 + d, 2 + 2 * d), *range(2, 2 + d))
    return np.ascontiguousarray(w.transpose(order)).reshape(n, groups, c // groups * math.prod(kernel), math.prod(out))


def add_windows(columns: Any, shape: Any, kernel: Any, stride: Any, padding: Pairs, dilation: Any, out: Any) -> Any:
    """The transpose of taking windows: `(N, C, *kernel, *out)` added into zeros of `shape`, whose padding is cut off again."""
    n, c, *spatial = shape
    full = np.zeros((n, c, *(s + a + b for s, (a, b) in zip(spatial, padding, strict=True))), columns.dtype)
    for offset in np.ndindex(*kernel):
        place = tuple(
            slice(o * d, o * d + s * (m - 1) + 1, s) for o, d, s, m in zip(offset, dilation, stride, out, strict=True)
        )
        full[(slice(None), slice(None), *place)] += columns[(slice(None), slice(None), *offset)]
    cut = tuple(slice(a, a + s) for s, (a, _) in zip(spatial, padding, strict=True))
    return np.ascontiguousarray(full[(slice(None), slice(None), *cut)])  # as torch: programs call .view() on it


@op(namespaces=())
def convolution(x: Any, weight: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> Any:
    """Cross-correlation of `x (N, C, *spatial)` with `weight (O, C/groups, *kernel)`; `padding` is (before, after) for each dim."""
    kernel = weight.shape[2:]
    out = tuple(
        output_size(n, p, k, s, d) for n, p, k, s, d in zip(x.shape[2:], padding, kernel, stride, dilation, strict=True)
    )
    n, o = x.shape[0], weight.shape[0]
    if not math.prod(out) or not n or not o or not x.shape[1] or not math.prod(kernel):
        return np.zeros((n, o, *out), x.dtype)
    columns = _columns(x, kernel, stride, padding, dilation, groups, out)
    result = product(weight.reshape(groups, o // groups, -1), columns)
    return result.reshape(n, o, *out)


@op(namespaces=())
def convolution_input(g: Any, weight: Any, shape: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> Any:
    """The transpose of `convolution` in its input: `g (N, O, *out)` to an array of `shape`. Also the transposed convolution."""
    n, o, *out = g.shape
    kernel = weight.shape[2:]
    if not g.size or not weight.size or not math.prod(shape):
        return np.zeros(shape, g.dtype)
    flat = weight.reshape(groups, o // groups, -1)
    columns = product(np.swapaxes(flat, 1, 2), np.ascontiguousarray(g).reshape(n, groups, o // groups, -1))
    return add_windows(columns.reshape(n, shape[1], *kernel, *out), shape, kernel, stride, padding, dilation, out)


@op(namespaces=())
def convolution_weight(g: Any, x: Any, shape: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> Any:
    """The transpose of `convolution` in its weight: `g (N, O, *out)` and `x` to an array of `shape (O, C/groups, *kernel)`."""
    n, o, *out = g.shape
    if not g.size or not x.size or not math.prod(shape):
        return np.zeros(shape, g.dtype)
    columns = _columns(x, shape[2:], stride, padding, dilation, groups, out)  # (N, groups, K, L)
    rows = np.ascontiguousarray(g).reshape(n, groups, o // groups, -1)
    # one product for each sample: BLAS reads the transposed columns where they lie
    each = product(rows, np.swapaxes(columns, 2, 3))
    return (
        each.sum(0, dtype=np.float64 if each.dtype.kind == "f" else None).astype(each.dtype, copy=False).reshape(shape)
    )


convolution.grad(
    x=lambda g, weight, x_shape, stride, padding, dilation, groups: convolution_input(
        g, conj(weight), x_shape, stride, padding, dilation, groups
    ),
    weight=lambda g, x, weight_shape, stride, padding, dilation, groups: convolution_weight(
        g, conj(x), weight_shape, stride, padding, dilation, groups
    ),
)
# In the rules below the op's own first parameter is also called g: the cotangent is `h`.


def _fitted(out: Any, shape: Any) -> Any:
    """The first `shape` places: a transposed convolution with output padding is larger than its windows need."""
    return out if tuple(out.shape) == tuple(shape) else out[tuple(slice(0, n) for n in shape)]


def _input_rule(h: Any, weight: Any, g_shape: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> Any:
    return _fitted(convolution(h, conj(weight), stride, padding, dilation, groups), g_shape)


def _input_weight_rule(h: Any, g: Any, weight_shape: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> Any:
    return convolution_weight(conj(g), h, weight_shape, stride, padding, dilation, groups)


convolution_input.grad(g=_input_rule, weight=_input_weight_rule)


def _weight_rule(h: Any, x: Any, g_shape: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> Any:
    return _fitted(convolution(conj(x), h, stride, padding, dilation, groups), g_shape)


def _weight_input_rule(h: Any, g: Any, x_shape: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> Any:
    return convolution_input(conj(g), h, x_shape, stride, padding, dilation, groups)


convolution_weight.grad(g=_weight_rule, x=_weight_input_rule)
