"""Activations: the nonlinearities of torch.nn.functional, one entry each.

Each branches on the real part of its input, so that a complex-step check passes through. At a kink the gradient is torch's: 0 for relu,
relu6 and hardtanh at their corners, the negative slope for leaky_relu at 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import check_dim
from ..kernels import gelu as gelu_kernel
from .analytic import branch, conj, lift, ordered, state
from .table import op

F = ("F",)


def _floating(x: Any, name: str) -> None:
    if x.dtype.kind not in "fc":
        raise RuntimeError(f'"{name}" not implemented for {x.dtype}; expected a floating-point tensor')


def sigmoid_of(x: Any) -> Any:
    """1 / (1 + e⁻ˣ) without overflow, for arrays of real or (in a complex step) complex numbers."""
    if x.dtype.kind == "c":
        return 1 / (1 + np.exp(-x))
    z = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, z) / (1 + z)


def softplus_of(x: Any) -> Any:
    """log(1 + eˣ) without overflow."""
    if x.dtype.kind == "c":
        return np.where(x.real > 0, x, 0) + np.log1p(np.exp(np.where(x.real > 0, -x, x)))
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# -- piecewise linear -----------------------------------------------------------------------------------------------------


@op(inplace=True)
def relu(x: Any) -> Any:
    """`max(x, 0)`; NaN stays NaN."""
    if x.dtype == np.bool_:
        raise RuntimeError("Boolean inputs not supported for relu")
    if x.dtype.kind == "c":
        return np.where(branch(ordered(x, "relu") <= 0), 0, x)
    branch(x > 0) if state.branches is not None else None
    return np.maximum(x, 0)


relu.grad(x=lambda g, out: g * (out > 0))


@op(namespaces=F, inplace=True)
def relu6(x: Any) -> Any:
    """`min(max(x, 0), 6)`."""
    return _clipped(x, 0, 6, "relu6")


def _clipped(x: Any, low: Any, high: Any, name: str) -> Any:
    r = ordered(x, name)
    below, above = branch(r < low), branch(r > high)
    return np.where(below, low, np.where(above, high, x)).astype(x.dtype, copy=False)


relu6.grad(x=lambda g, x: np.where((x > 0) & (x < 6), g, 0))


@op(namespaces=F, inplace=True)
def hardtanh(x: Any, min_val: Any = -1.0, max_val: Any = 1.0) -> Any:
    """`x` clipped to `[min_val, max_val]`."""
    if x.dtype == np.bool_ or (x.dtype.kind == "u" and min_val < 0):
        raise RuntimeError(f"hardtanh: cannot do hardtanh on {x.dtype} with min_val {min_val}")
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _clipped(x, min_val, max_val, "hardtanh")


hardtanh.grad(x=lambda g, x, min_val, max_val: np.where((x > min_val) & (x < max_val), g, 0))


@op(namespaces=F, inplace=True)
def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Any:
    """`x` where positive, else `negative_slope * x`."""
    _floating(x, "leaky_relu")
    return np.where(branch(ordered(x, "leaky_relu") > 0), x, x * negative_slope)


leaky_relu.grad(x=lambda g, x, negative_slope: np.where(x > 0, g, g * negative_slope))


@op(namespaces=F, inplace=True)
def threshold(x: Any, threshold: Any, value: Any) -> Any:
    """`x` where above `threshold`, else `value`."""
    below = branch(ordered(x, "threshold") <= threshold)
    return np.where(below, np.asarray(value, x.dtype), x)


threshold.grad(x=lambda g, x, threshold: np.where(x <= threshold, 0, g))


@op(namespaces=F)
def hardshrink(x: Any, lambd: Any = 0.5) -> Any:
    """`x` outside `[-lambd, lambd]`, 0 inside."""
    _floating(x, "hardshrink")
    r = ordered(x, "hardshrink")
    return np.where(branch((r >= -lambd) & (r <= lambd)), 0, x).astype(x.dtype, copy=False)


hardshrink.grad(x=lambda g, x, lambd: np.where((x >= -lambd) & (x <= lambd), 0, g))


@op(namespaces=F)
def softshrink(x: Any, lambd: Any = 0.5) -> Any:
    """`x` drawn towards 0 by `lambd`; 0 inside `[-lambd, lambd]`."""
    _floating(x, "softshrink")
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    r = ordered(x, "softshrink")
    shrunk = np.where(branch(r > lambd), x - lambd, np.where(branch(r < -lambd), x + lambd, 0))
    return np.where(r != r, x, shrunk).astype(x.dtype, copy=False)


softshrink.grad(x=lambda g, x, lambd: np.where((x >= -lambd) & (x <= lambd), 0, g))


@op(namespaces=F, inplace=True)
def hardsigmoid(x: Any) -> Any:
    """`relu6(x + 3) / 6`."""
    _floating(x, "hardsigmoid")
    return _clipped(x + 3, 0, 6, "hardsigmoid") / 6


hardsigmoid.grad(x=lambda g, x: np.where((x > -3) & (x < 3), g / 6, 0))


@op(namespaces=F, inplace=True)
def hardswish(x: Any) -> Any:
    """`x * relu6(x + 3) / 6`."""
    _floating(x, "hardswish")
    return x * _clipped(x + 3, 0, 6, "hardswish") / 6


hardswish.grad(x=lambda g, x: np.where(x <= -3, 0, np.where(x < 3, g * (x / 3 + 0.5), g)))


@op(namespaces=("torch", "Tensor", "F"), promote=None)
def prelu(x: Any, weight: Any) -> Any:
    """`x` where positive, else `weight * x`; `weight` holds one slope, or one for each channel (dim 1)."""
    return np.where(branch(ordered(x, "prelu") > 0), x, x * _slopes(weight, x.shape))


def _slopes(weight: Any, shape: Any) -> Any:
    if weight.shape and tuple(weight.shape) != (1,):
        channels = shape[1] if len(shape) > 1 else 1
        if len(weight.shape) != 1 or weight.shape[0] != channels:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.shape[0]} and channel size = {channels}."
            )
        return weight.reshape((-1,) + (1,) * (len(shape) - 2)) if len(shape) > 1 else weight
    return weight.reshape(()) if len(shape) == 0 else weight


def _prelu_weight_grad(g: Any, x: Any, weight_shape: Any) -> Any:
    each = g * np.where(x > 0, 0, x)
    if weight_shape and tuple(weight_shape) != (1,) and len(x.shape) > 1:
        return each.sum(tuple(i for i in range(len(x.shape)) if i != 1))
    return each.sum().reshape(weight_shape)


prelu.grad(x=lambda g, x, weight: np.where(x > 0, g, g * _slopes(weight, x.shape)), weight=_prelu_weight_grad)


# -- exponential ----------------------------------------------------------------------------------------------------------


def _elu(x: Any, alpha: Any, scale: Any, input_scale: Any) -> Any:
    positive = branch(ordered(x, "elu") > 0)
    tail = np.expm1(np.where(positive, 0, x) * input_scale) * (alpha * scale)
    return np.where(positive, x * scale, tail)


def _elu_grad(g: Any, x: Any, alpha: Any, scale: Any, input_scale: Any) -> Any:
    tail = np.exp(np.where(x > 0, 0, x) * input_scale) * (alpha * scale * input_scale)
    return np.where(x > 0, g * scale, g * tail)


@op(namespaces=F, inplace=True, quiet=True)
def elu(x: Any, alpha: Any = 1.0) -> Any:
    """`x` where positive, else `alpha (eˣ - 1)`."""
    _floating(x, "elu")
    return _elu(x, alpha, 1, 1)


elu.grad(x=lambda g, x, alpha: _elu_grad(g, x, alpha, 1, 1))

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@op(namespaces=("torch", "F"), inplace=True, quiet=True)
def selu(x: Any) -> Any:
    """ELU scaled so that activations keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    _floating(x, "selu")
    return _elu(x, _SELU_ALPHA, _SELU_SCALE, 1)


selu.grad(x=lambda g, x: _elu_grad(g, x, _SELU_ALPHA, _SELU_SCALE, 1))


@op(namespaces=("torch", "F"), inplace=True, quiet=True)
def celu(x: Any, alpha: Any = 1.0) -> Any:
    """`x` where positive, else `alpha (exp(x / alpha) - 1)`."""
    _floating(x, "celu")
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _elu(x, alpha, 1, 1 / alpha)


celu.grad(x=lambda g, x, alpha: _elu_grad(g, x, alpha, 1, 1 / alpha))


def _silu_slope(x: Any) -> Any:
    from .table import OPS

    s = OPS["sigmoid"](x)
    return s * (1 + x * (1 - s))


@op(namespaces=F, inplace=True, quiet=True)
def silu(x: Any) -> Any:
    """`x sigmoid(x)`."""
    _floating(x, "silu")
    return x * sigmoid_of(x)


silu.grad(x=lambda g, x: g * conj(_silu_slope(x)))


@op(namespaces=F, inplace=True, quiet=True)
def mish(x: Any) -> Any:
    """`x tanh(softplus(x))`."""
    _floating(x, "mish")
    return x * np.tanh(softplus_of(x))


def _mish_slope(x: Any) -> Any:
    from .table import OPS

    t = np.tanh(softplus(x))
    return t + x * (1 - t * t) * OPS["sigmoid"](x)


mish.grad(x=lambda g, x: g * _mish_slope(x))


@op(namespaces=F, quiet=True)
def softplus(x: Any, beta: Any = 1.0, threshold: Any = 20.0) -> Any:
    """`log(1 + exp(beta x)) / beta`; `x` itself where `beta x` exceeds `threshold`."""
    _floating(x, "softplus")
    z = x * beta
    return np.where(branch(ordered(z, "softplus") > threshold), x, softplus_of(z) / beta)


def _softplus_grad(g: Any, x: Any, beta: Any, threshold: Any) -> Any:
    from .table import OPS

    return np.where(x * beta > threshold, g, g * OPS["sigmoid"](x * beta))


softplus.grad(x=_softplus_grad)


@op(namespaces=F, quiet=True)
def logsigmoid(x: Any) -> Any:
    """`log(sigmoid(x))`, without overflow."""
    _floating(x, "log_sigmoid")
    return -softplus_of(-x)


def _logsigmoid_grad(g: Any, x: Any) -> Any:
    from .table import OPS

    return g * OPS["sigmoid"](-x)


logsigmoid.grad(x=_logsigmoid_grad)


# -- gelu -----------------------------------------------------------------------------------------------------------------


def _erf(x: Any) -> Any:
    return gelu_kernel.erf(x)


_analytic_erf = lift(_erf, lambda x: np.exp(-x * x) * (2 / math.sqrt(math.pi)))


def gelu_definition(x: Any, approximate: Any) -> Any:
    """x Φ(x), or its tanh approximation, in ordinary ops."""
    from .table import OPS

    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + OPS["erf"](x * math.sqrt(0.5)))


@op(namespaces=F, inplace=True, quiet=True, aux=True, definition=gelu_definition)
def gelu(x: Any, approximate: Any = "none") -> Any:
    """`x Φ(x)` with Φ the normal distribution function, or its approximation by tanh (Hendrycks and Gimpel 2016)."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate}")
    _floating(x, "gelu")
    if x.dtype.kind == "c":
        ordered(x, "gelu")
        if approximate == "tanh":
            return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))), None
        return 0.5 * x * (1 + _analytic_erf(x * math.sqrt(0.5))), None
    return gelu_kernel.gelu_with_derivative(x, approximate)


gelu.grad(x=lambda g, x, approximate, aux: gelu_kernel.gelu_backward(np.asarray(g), x, approximate, aux))


# -- gates ----------------------------------------------------------------------------------------------------------------


@op(namespaces=F)
def glu(x: Any, dim: Any = -1) -> Any:
    """`a sigmoid(b)` with `a` and `b` the halves of `x` along `dim`."""
    if x.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    d = check_dim(dim, x.ndim)
    if x.shape[d] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {d} is size {x.shape[d]}")
    a, b = np.split(x, 2, d)
    return a * sigmoid_of(b)


def _glu_grad(g: Any, x: Any, dim: Any) -> Any:
    from .table import OPS

    d = dim % len(x.shape)
    half, before = x.shape[d] // 2, (slice(None),) * d
    a, s = x[(*before, slice(0, half))], OPS["sigmoid"](x[(*before, slice(half, None))])
    return np.concatenate([g * s, g * a * s * (1 - s)], d)


glu.grad(x=_glu_grad)
