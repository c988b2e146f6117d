"""Padding, resizing and rearranging of images and sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.record import apply
from ...ops import rearrange, slices
from ...tensor import Tensor
from .pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, along_dims


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with elements around it: `pad` holds (before, after) for the last dim, then for the one before it, and so on.

    `mode` is "constant" (negative sizes cut), "reflect", "replicate" or "circular".
    """
    if mode == "constant":
        return apply(rearrange.constant_pad, (input, tuple(pad), 0 if value is None else value))  # type: ignore[no-any-return]
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    pairs = rearrange.pad_pairs(pad, input.ndim)
    padded = len(pad) // 2
    if padded > 3 or input.ndim not in (padded + 1, padded + 2):
        raise NotImplementedError(
            f"Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: got {len(pad)} padding sizes for a {input.ndim}D input"
        )
    out: Any = input
    for dim, (before, after) in enumerate(pairs):
        if before or after:
            out = apply(slices.index_select, (out, dim, _sources(input._data.shape[dim], before, after, mode)))
    return out if out is not input else input.clone()  # type: ignore[no-any-return]


def _sources(n: int, before: int, after: int, mode: str) -> Any:
    """Where each element of a padded dim comes from."""
    places = np.arange(-before, n + after)
    if mode == "replicate":
        if n == 0:
            raise RuntimeError("replicate padding expects a non-empty dimension, got size 0")
        return np.clip(places, 0, n - 1)
    if mode == "circular":
        if before > n or after > n:
            raise RuntimeError(
                f"Padding value causes wrapping around more than once: padding ({before}, {after}) of a dimension of size {n}"
            )
        kept = np.arange(max(-before, 0), n - max(-after, 0))  # negative sizes cut first
        return kept[np.arange(-max(before, 0), len(kept) + max(after, 0)) % max(len(kept), 1)]
    if before >= n or after >= n:
        raise RuntimeError(
            f"Argument #4: Padding size should be less than the corresponding input dimension, but got: padding ({before}, {after}) at a dimension of size {n}"
        )
    return (n - 1) - np.abs((n - 1) - np.abs(places))


# -- resizing -------------------------------------------------------------------------------------------------------------


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """`(N, C, *spatial)` resized to `size`, or by `scale_factor`: "nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"."""
    dims = input.ndim - 2
    if dims not in (1, 2, 3):
        raise NotImplementedError(f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D)")
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "either size or scale_factor should be defined"
            if size is None
            else "only one of size or scale_factor should be defined"
        )
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    if antialias:
        raise NotImplementedError("interpolate: antialias=True is not available in tensorlite")
    spatial = input._data.shape[2:]
    sizes, scales = _target(spatial, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}[dims](input, sizes)
    if mode in ("nearest", "nearest-exact"):
        out: Any = input
        shift = 0.5 if mode == "nearest-exact" else 0.0
        for i, (n, m, scale) in enumerate(zip(spatial, sizes, scales, strict=True)):
            step = _step(n, m, scale)
            source = np.minimum(np.floor((np.arange(m) + shift) * step).astype(np.int64), n - 1)
            out = apply(slices.index_select, (out, i + 2, source))
        return out  # type: ignore[no-any-return]
    if {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}.get(mode) != dims:
        raise NotImplementedError(f"Got {input.ndim}D input, but {mode} mode needs another number of dims")
    weights = _cubic if mode == "bicubic" else _linear
    matrices = [weights(n, m, s, bool(align_corners)) for n, m, s in zip(spatial, sizes, scales, strict=True)]
    return along_dims(input, matrices)  # type: ignore[no-any-return]


def _target(spatial: Any, size: Any, scale_factor: Any, recompute: Any) -> tuple[list[int], list[Any]]:
    dims = len(spatial)
    if size is not None:
        sizes = [int(size)] * dims if hasattr(size, "__index__") else [int(s) for s in size]
        if len(sizes) != dims:
            raise ValueError(
                f"Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of {list(spatial)} and output size of {sizes}."
            )
        return sizes, [None] * dims
    factors = (
        [float(scale_factor)] * dims if isinstance(scale_factor, int | float) else [float(f) for f in scale_factor]
    )
    sizes = [math.floor(n * f) for n, f in zip(spatial, factors, strict=True)]
    return sizes, [None] * dims if recompute else factors


def _step(n: int, m: int, scale: float | None) -> float:
    """How far apart in the source two neighbours of the result lie."""
    return 1 / scale if scale else n / m


def _centres(n: int, m: int, scale: float | None, align_corners: bool) -> Any:
    if align_corners:
        return np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0.0)
    return (np.arange(m) + 0.5) * _step(n, m, scale) - 0.5


def _linear(n: int, m: int, scale: float | None, align_corners: bool) -> Any:
    centre = np.maximum(_centres(n, m, scale, align_corners), 0)
    low = np.minimum(np.floor(centre).astype(np.int64), n - 1)
    high = np.minimum(low + 1, n - 1)
    part = np.clip(centre - low, 0, 1)
    matrix = np.zeros((m, n))
    np.add.at(matrix, (np.arange(m), low), 1 - part)
    np.add.at(matrix, (np.arange(m), high), part)
    return matrix


def _cubic(n: int, m: int, scale: float | None, align_corners: bool) -> Any:
    """Keys' cubic convolution with a = -0.75; sources beyond the border are the border."""
    centre = _centres(n, m, scale, align_corners)
    low = np.floor(centre).astype(np.int64)
    t, a = centre - low, -0.75

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    matrix = np.zeros((m, n))
    for offset, w in zip((-1, 0, 1, 2), (far(t + 1), near(t), near(1 - t), far(2 - t)), strict=True):
        np.add.at(matrix, (np.arange(m), np.clip(low + offset, 0, n - 1)), w)
    return matrix


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """`interpolate` by its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with "nearest"."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with "bilinear" and `align_corners=True`."""
    return interpolate(input, size, scale_factor, "bilinear", True)


# -- rearranging ----------------------------------------------------------------------------------------------------------


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """`(*, C r², H, W)` to `(*, C, H r, W r)` (Shi et al. 2016)."""
    r = upscale_factor
    if input.ndim < 3:
        raise RuntimeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, c, h, w = input._data.shape
    if c % (r * r):
        raise RuntimeError(
            f"pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(lead)
    x: Any = input.reshape(*lead, c // (r * r), r, r, h, w)
    return x.permute(*range(n + 1), n + 3, n + 1, n + 4, n + 2).reshape(*lead, c // (r * r), h * r, w * r)  # type: ignore[no-any-return]


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """`(*, C, H r, W r)` to `(*, C r², H, W)`: the inverse of `pixel_shuffle`."""
    r = downscale_factor
    if input.ndim < 3:
        raise RuntimeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = input._data.shape
    if h % r or w % r:
        raise RuntimeError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but got {h}x{w} and {r}"
        )
    n = len(lead)
    x: Any = input.reshape(*lead, c, h // r, r, w // r, r)
    return x.permute(*range(n + 1), n + 2, n + 4, n + 1, n + 3).reshape(*lead, c * r * r, h // r, w // r)  # type: ignore[no-any-return]


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels (dim 1) of `groups` groups interleaved (Zhang et al. 2018)."""
    if input.ndim < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input._data.shape)}"
        )
    n, c, *rest = input._data.shape
    if groups <= 0 or c % groups:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups.")
    x: Any = input.reshape(n, groups, c // groups, *rest)
    return x.transpose(1, 2).reshape(n, c, *rest)  # type: ignore[no-any-return]
