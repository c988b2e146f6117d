"""Sampling an image or a volume at the points of a grid (Jaderberg et al., "Spatial Transformer Networks", 2015)."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...tensor import Tensor

_A = -0.75  # of the cubic convolution kernel (Keys, 1981)
_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


def _corners(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            f"Default {name} behavior has changed to align_corners=False since 1.3.0. "
            "Please specify align_corners=True if the old behavior is desired.",
            stacklevel=3,
        )
    return bool(align_corners)


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The points `(N, H, W, 2)` or `(N, D, H, W, 3)` that affine maps `theta` `(N, 2, 3)` or `(N, 3, 4)` take a regular grid of `size` to.

    Points are (x, y) or (x, y, z) in [-1, 1]; with `align_corners` -1 and 1 are the centres of the outer elements, else their outer edges.
    Raises ValueError for sizes that do not fit.
    """
    align = _corners("affine_grid", align_corners)
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    n, spatial = len(size) - 2, tuple(size[2:])
    if len(size) not in (4, 5):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {tuple(size)}."
        )
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (n, n + 1):
        raise ValueError(
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {tuple(size)}. Got {list(theta.shape)}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {tuple(size)}")
    base = np.ones((*spatial, n + 1), theta._data.dtype)
    for i, length in enumerate(spatial):
        steps = np.linspace(-1, 1, length) if length > 1 else np.zeros(1)
        steps = steps if align else steps * ((length - 1) / length)
        base[..., n - 1 - i] = steps.reshape((-1,) + (1,) * (n - 1 - i))
    points = wrap(base.reshape(1, -1, n + 1)) @ theta.mT
    return points.reshape((size[0], *spatial, n))  # type: ignore[no-any-return]


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """The values of `input` `(N, C, H, W)` at the points `grid` `(N, h, w, 2)`, as `(N, C, h, w)`; volumes likewise, with one dim more.

    Args:
        mode: "bilinear" (of volumes: trilinear), "nearest", or for images "bicubic".
        padding_mode: beyond the edge there is 0 ("zeros"), the element at the edge ("border"), or the mirror image ("reflection").
        align_corners: what -1 and 1 stand for, as in `affine_grid`.

    Raises:
        ValueError: another mode. RuntimeError: sizes that do not fit, or "bicubic" of a volume.
    """
    for what, given, known in (("mode", mode, _MODES), ("padding_mode", padding_mode, _PADDINGS)):
        if given not in known:
            raise ValueError(
                f"nn.functional.grid_sample(): expected {what} to be '{known[0]}', '{known[1]}', or '{known[2]}', but got: '{given}'"
            )
    _check_sizes(input, grid, mode)
    align = _corners("grid_sample", align_corners)
    sizes = tuple(input.shape[2:])
    places = [_place(grid[..., len(sizes) - 1 - i], n, align) for i, n in enumerate(sizes)]
    if mode == "bicubic":
        taps = [_cubic_taps(p, n, padding_mode, align) for p, n in zip(places, sizes, strict=True)]
    else:
        padded = [_padded(p, n, padding_mode, align) for p, n in zip(places, sizes, strict=True)]
        taps = [_nearest_tap(p) if mode == "nearest" else _linear_taps(p) for p in padded]
    return _weighted(input, taps, tuple(grid.shape[:-1]))


def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sample` with its modes given by their numbers, as `torch.grid_sampler` takes them."""
    return grid_sample(input, grid, _MODES[interpolation_mode], _PADDINGS[padding_mode], align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler
affine_grid_generator = affine_grid


def _check_sizes(input: Tensor, grid: Tensor, mode: str) -> None:
    got = f"but got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
    if input.ndim not in (4, 5) or input.ndim != grid.ndim:
        raise RuntimeError(f"grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, {got}")
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {got}")
    if grid.shape[-1] != input.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.ndim - 2} in last dimension, but got grid with sizes {list(grid.shape)}"
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(input.shape)}"
        )
    if input.dtype != grid.dtype:
        raise RuntimeError(
            f"grid_sampler(): expected input and grid to have same dtype, but input has {input.dtype} and grid has {grid.dtype}"
        )
    if not input.is_floating_point():
        raise NotImplementedError(f'"grid_sampler" not implemented for {input.dtype}; expected a floating dtype')
    if mode == "bicubic" and input.ndim != 4:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


# -- where: places are counted in elements, 0 the centre of the first ---------------------------------------------------------


def _place(x: Tensor, n: int, align: bool) -> Tensor:
    return (x + 1) * ((n - 1) / 2) if align else ((x + 1) * n - 1) / 2


def _like(values: Any, x: Tensor) -> Tensor:
    return wrap(np.asarray(values, x._data.dtype))  # type: ignore[no-any-return]


def _padded(x: Tensor, n: int, padding: str, align: bool) -> Tensor:
    """Places beyond the edge moved to where their value is taken from; nothing is taken from the place -2."""
    if padding == "reflection":
        x = _reflected(x, n, align)
    place = x._data
    if padding == "zeros":
        far = (np.abs(place) >= np.float64(2**30)) & np.isfinite(place)  # what is not a number stays: its value is NaN
        return x.masked_fill(wrap(far), -2.0) if far.any() else x
    inside = (place > 0) & (place < n - 1)
    return _choose(inside, x, np.clip(np.nan_to_num(place), 0, n - 1))


def _choose(condition: Any, x: Tensor, values: Any) -> Tensor:
    """`x` where the condition holds, else constants."""
    return x.masked_fill(wrap(~condition), 0.0) + _like(np.where(condition, 0, values), x)  # type: ignore[no-any-return]


def _reflected(x: Tensor, n: int, align: bool) -> Tensor:
    """Places beyond the edge mirrored at it, as often as it takes: the centre of the outer element with `align`, else its outer edge."""
    low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
    if span == 0:
        return x * 0
    sign = np.where(x._data < low, -1.0, 1.0)
    with np.errstate(invalid="ignore"):
        flips = np.floor(np.abs(x._data - low) / span)
    odd = np.mod(flips, 2) == 1
    slope = np.where(odd, -sign, sign)
    offset = np.where(odd, span * (1 + flips), -span * flips) + low - slope * low
    return x * _like(slope, x) + _like(offset, x)


# -- what: for each dim the elements that a value is made of, and their weights -----------------------------------------------

Taps = list[tuple[Any, Any]]


def _nearest_tap(x: Tensor) -> Taps:
    if not x.requires_grad:
        return [(np.rint(x._data), None)]
    return [(np.rint(x._data), x.masked_fill(wrap(np.ones((), bool)), 1.0))]  # a gradient of zero, but a gradient


def _linear_taps(x: Tensor) -> Taps:
    below = np.floor(x._data)
    with np.errstate(invalid="ignore"):
        part: Any = x - wrap(below)
    return [(below, 1 - part), (below + 1, part)]


def _cubic_taps(x: Tensor, n: int, padding: str, align: bool) -> Taps:
    below = np.floor(x._data)
    part: Any = x - wrap(below)
    distances = (part + 1, part, 1 - part, 2 - part)
    weights = (_outer(distances[0]), _inner(distances[1]), _inner(distances[2]), _outer(distances[3]))
    return [(_padded(wrap(below + k), n, padding, align)._data, w) for k, w in zip((-1, 0, 1, 2), weights, strict=True)]


def _inner(t: Any) -> Any:
    return ((_A + 2) * t - (_A + 3)) * t * t + 1


def _outer(t: Any) -> Any:
    return ((_A * t - 5 * _A) * t + 8 * _A) * t - 4 * _A


def _weighted(input: Tensor, taps: list[Taps], points: tuple[int, ...]) -> Tensor:
    """The sum over all combinations of taps of the element there times the product of the weights."""
    sizes = tuple(input.shape[2:])
    rows = input.movedim(1, -1).reshape((input.shape[0] * math.prod(sizes), input.shape[1]))
    first = np.arange(points[0]).reshape((-1,) + (1,) * (len(points) - 1)) * math.prod(sizes)
    out: Any = None
    for combination in itertools.product(*taps):
        index, inside, weight = first, np.ones(points, bool), None
        step = math.prod(sizes)
        for n, (place, factor) in zip(sizes, combination, strict=True):
            step //= n
            here = (place >= 0) & (place < n)
            inside &= here
            index = index + np.where(here, place, 0).astype(np.int64) * step
            weight = factor if weight is None else weight * factor
        kept = _like(inside, input)
        term = rows[index] * (kept if weight is None else weight * kept).unsqueeze(-1)
        out = term if out is None else out + term
    return out.movedim(-1, 1)  # type: ignore[no-any-return]
