"""Convolutions and transposed convolutions over one, two or three spatial dims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...autograd.record import apply
from ...ops import conv as ops
from ...tensor import Tensor

Size = int | Sequence[int]


def spread(value: Any, dims: int, name: str) -> tuple[int, ...]:
    """One number for each spatial dim."""
    if hasattr(value, "__index__"):
        return (int(value),) * dims
    sizes = tuple(int(v) for v in value)
    if len(sizes) == 1:
        return sizes * dims
    if len(sizes) != dims:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {dims} values to match the convolution dimensions, but got {name}={list(sizes)}"
        )
    return sizes


def _padding(
    padding: Any, dims: int, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> ops.Pairs:
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * dims
        if padding != "same":
            raise RuntimeError(f"Invalid padding string: '{padding}'; expected 'valid' or 'same'")
        if any(s != 1 for s in stride):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    sizes = spread(padding, dims, "padding")
    if any(p < 0 for p in sizes):
        raise RuntimeError("negative padding is not supported")
    return tuple((p, p) for p in sizes)


def _checked(input: Tensor, weight: Tensor, bias: Tensor | None, dims: int, groups: int, transposed: bool) -> None:
    name = f"conv{'_transpose' if transposed else ''}{dims}d"
    if input.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got input of size: {list(input._data.shape)}"
        )
    w = weight._data.shape
    if len(w) != dims + 2:
        raise RuntimeError(f"{name}: expected a {dims + 2}-dimensional weight, but got weight of size {list(w)}")
    if groups <= 0:
        raise RuntimeError(f"non-positive groups is not supported, got {groups}")
    channels = input._data.shape[-dims - 1]
    expected = w[0] if transposed else w[1] * groups
    if channels != expected:
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}groups={groups}, weight of size {list(w)}, expected input{list(input._data.shape)} to have {expected} channels, but got {channels} channels instead"
        )
    if w[0] % groups:
        raise RuntimeError(
            f"expected weight to be divisible by {groups} at dimension 0, but got weight of size {list(w)} instead"
        )
    features = w[1] * groups if transposed else w[0]
    if bias is not None and bias._data.shape != (features,):
        raise RuntimeError(
            f"Given weight of size {list(w)}, expected bias to be 1-dimensional with {features} elements, but got bias of size {list(bias._data.shape)} instead"
        )
    for p in (weight, bias):
        if p is not None and p._data.dtype != input._data.dtype:
            raise RuntimeError(f"Input type ({input.dtype}) and weight and bias type ({p.dtype}) should be the same")


def _with_bias(out: Any, bias: Tensor | None, dims: int) -> Any:
    return out if bias is None else out + bias.reshape((-1,) + (1,) * dims)


def _convolution(dims: int) -> Callable[..., Tensor]:
    def function(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> Tensor:
        _checked(input, weight, bias, dims, groups, False)
        steps, dilations = spread(stride, dims, "stride"), spread(dilation, dims, "dilation")
        if any(s <= 0 for s in steps) or any(d <= 0 for d in dilations):
            raise RuntimeError(
                f"non-positive stride or dilation is not supported, got stride={steps}, dilation={dilations}"
            )
        kernel = weight._data.shape[2:]
        pairs = _padding(padding, dims, kernel, steps, dilations)
        padded = [n + a + b for n, (a, b) in zip(input._data.shape[-dims:], pairs, strict=True)]
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
        if any(n < k for n, k in zip(padded, reach, strict=True)):
            raise RuntimeError(
                f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel size: ({' x '.join(map(str, reach))}). "
                "Kernel size can't be greater than actual input size"
            )
        single = input.ndim == dims + 1
        x: Any = input.unsqueeze(0) if single else input
        out = _with_bias(apply(ops.convolution, (x, weight, steps, pairs, dilations, groups)), bias, dims)
        return out.squeeze(0) if single else out  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = f"conv{dims}d"
    shapes = ", ".join(f"d{i}" for i in range(1, dims + 1))
    function.__doc__ = f"""Cross-correlation of `(N, C, {shapes})` with `weight (O, C / groups, *kernel)`; `padding` is a size, "valid" or "same"."""
    return function


def _transposed(dims: int) -> Callable[..., Tensor]:
    def function(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        dilation: Size = 1,
    ) -> Tensor:
        _checked(input, weight, bias, dims, groups, True)
        steps, dilations = spread(stride, dims, "stride"), spread(dilation, dims, "dilation")
        extra, pads = spread(output_padding, dims, "output_padding"), spread(padding, dims, "padding")
        for e, s, d in zip(extra, steps, dilations, strict=True):
            if e >= s and e >= d:
                raise RuntimeError(
                    f"output padding must be smaller than either stride or dilation, but got output_padding={extra}, stride={steps}, dilation={dilations}"
                )
        kernel = weight._data.shape[2:]
        single = input.ndim == dims + 1
        x: Any = input.unsqueeze(0) if single else input
        sizes = tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + e + 1
            for n, s, p, d, k, e in zip(x._data.shape[2:], steps, pads, dilations, kernel, extra, strict=True)
        )
        shape = (x._data.shape[0], weight._data.shape[1] * groups, *sizes)
        # Behind, the padding gives way to output_padding, so that the windows of the result are those of the input.
        pairs = tuple((p, p) for p in pads)
        out = _with_bias(apply(ops.convolution_input, (x, weight, shape, steps, pairs, dilations, groups)), bias, dims)
        return out.squeeze(0) if single else out  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = f"conv_transpose{dims}d"
    function.__doc__ = f"The transpose of `conv{dims}d` in its input: `weight` is `(C, O / groups, *kernel)`."
    return function


conv1d, conv2d, conv3d = (_convolution(d) for d in (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = (_transposed(d) for d in (1, 2, 3))
