"""Normalisation layers as functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.inplace import bump
from ...autograd.record import apply
from ...ops import norm as ops
from ...tensor import Tensor
from .pool import avg_pool3d


def _checked(input: Tensor, normalized_shape: Sequence[int], *parameters: Tensor | None) -> int:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = []"
        )
    for name, p in zip(("weight", "bias"), parameters, strict=False):
        if p is not None and p._data.shape != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(p._data.shape)} and normalized_shape = {list(shape)}"
            )
    if input._data.shape[max(input.ndim - len(shape), 0) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but got input of size{list(input._data.shape)}"
        )
    return len(shape)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """`(x - mean) / sqrt(var + eps) * weight + bias` over the last dims, which have `normalized_shape` (Ba et al. 2016)."""
    count = _checked(input, normalized_shape, weight, bias)
    return apply(ops.layer_norm, (input, weight, bias, eps, count))  # type: ignore[no-any-return]


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """`x / sqrt(mean(x²) + eps) * weight` over the last dims; `eps` is the dtype's epsilon by default, that of float32 for float16."""
    count = _checked(input, normalized_shape, weight)
    kind = input._data.real.dtype
    kind = np.dtype(np.float32) if kind == np.float16 else kind
    small = float(np.finfo(kind).eps) if eps is None and kind.kind == "f" else (eps or 0.0)
    return apply(ops.rms_norm, (input, weight, small, count))  # type: ignore[no-any-return]


def _affine(y: Any, weight: Tensor | None, bias: Tensor | None) -> Any:
    """Scale and shift of each channel (dim 1)."""
    shape = (1, -1) + (1,) * (y.ndim - 2)
    if weight is not None:
        y = y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def _update(running: Tensor | None, value: Any, momentum: float) -> None:
    if running is not None:
        running._data[...] = (1 - momentum) * running._data + momentum * value
        bump(running)


def _fixed(x: Any, mean: Tensor, var: Tensor, eps: float) -> Any:
    shape = (1, -1) + (1,) * (x.ndim - 2)
    m: Any = mean.reshape(shape)
    v: Any = var.reshape(shape)
    return (x - m) / (v + eps).sqrt()


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel (dim 1) brought to mean 0 and variance 1 over the batch, or by running statistics when not training.

    When training, `running_mean` and `running_var` (the unbiased variance) move towards those of the batch.

    Raises:
        ValueError: if there is only one value for each channel when training (Ioffe and Szegedy 2015).
    """
    sizes = input._data.shape
    if input.ndim < 2 and not input.numel():
        return input.clone()  # type: ignore[no-any-return]
    if input.ndim < 2:
        raise RuntimeError(f"batch_norm expects an input of at least 2 dims (N, C, ...), got size {list(sizes)}")
    for name, p in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if p is not None and p.numel() != sizes[1]:
            raise RuntimeError(f"{name} should contain {sizes[1]} elements not {p.numel()}")
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
        return _affine(_fixed(input, running_mean, running_var, eps), weight, bias)  # type: ignore[no-any-return]
    n = math.prod(sizes) // max(sizes[1], 1)
    if n == 1 and math.prod(sizes):
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(sizes)}")
    y, mean, var = apply(ops.standardize, (input, tuple(i for i in range(input.ndim) if i != 1), eps))
    if n:  # an empty batch leaves the statistics alone
        _update(running_mean, mean._data.reshape(-1), momentum)
        _update(running_var, var._data.reshape(-1) * (n / max(n - 1, 1)), momentum)
    return _affine(y, weight, bias)  # type: ignore[no-any-return]


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each sample brought to mean 0 and variance 1 over its spatial dims (Ulyanov et al. 2016)."""
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return _affine(_fixed(input, running_mean, running_var, eps), weight, bias)  # type: ignore[no-any-return]
    n = math.prod(input._data.shape[2:])
    if n == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {list(input._data.shape)}"
        )
    y, mean, var = apply(ops.standardize, (input, tuple(range(2, input.ndim)), eps))
    channels = input._data.shape[1]
    _update(running_mean, mean._data.reshape(-1, channels).mean(0), momentum)
    _update(running_var, var._data.reshape(-1, channels).mean(0) * (n / max(n - 1, 1)), momentum)
    return _affine(y, weight, bias)  # type: ignore[no-any-return]


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Each group of channels of each sample brought to mean 0 and variance 1 (Wu and He 2018)."""
    sizes = input._data.shape
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    if num_groups <= 0 or sizes[1] % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(sizes)} and num_groups={num_groups}"
        )
    for name, p in (("weight", weight), ("bias", bias)):
        if p is not None and p._data.shape != (sizes[1],):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape {list(p._data.shape)} and input of shape {list(sizes)}"
            )
    width = math.prod(sizes[1:]) // num_groups
    groups: Any = input.reshape(sizes[0], num_groups, width)
    y = apply(ops.standardize, (groups, (2,), eps))[0].reshape(sizes)
    return _affine(y, weight, bias)  # type: ignore[no-any-return]


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """`x / (k + alpha mean(x²))^beta` over `size` neighbouring channels (Krizhevsky et al. 2012)."""
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if not input.numel():
        return input
    x: Any = input
    n, c = x._data.shape[:2]
    squares = (x * x).reshape(n, 1, c, -1, 1)
    from .vision import pad

    around: Any = pad(squares, (0, 0, 0, 0, size // 2, (size - 1) // 2))
    mean: Any = avg_pool3d(around, (size, 1, 1), stride=1).reshape(x._data.shape)
    return x / (mean * alpha + k).pow(beta)  # type: ignore[no-any-return]
