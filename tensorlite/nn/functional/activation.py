"""Activations. Each takes `inplace` where torch's does, and then changes its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...autograd.inplace import apply_inplace
from ...autograd.record import apply
from ...ops import activation as a
from ...ops import softmax as s
from ...ops.dropout import next_seed
from ...ops.table import OPS, Op
from ...tensor import Tensor

__all__ = [
    "celu",
    "celu_",
    "elu",
    "elu_",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rrelu",
    "rrelu_",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
]


def _run(op: Op, input: Tensor, inplace: bool, *args: Any) -> Tensor:
    return apply_inplace(op, input, args) if inplace else apply(op, (input, *args))  # type: ignore[no-any-return]


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(x, 0)`."""
    return _run(a.relu, input, inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(x, 0), 6)`."""
    return _run(a.relu6, input, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`x` where positive, else `negative_slope * x`."""
    return _run(a.leaky_relu, input, inplace, negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` where positive, else `alpha (eˣ - 1)`."""
    return _run(a.elu, input, inplace, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Scaled ELU (Klambauer et al. 2017)."""
    return _run(a.selu, input, inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` where positive, else `alpha (exp(x / alpha) - 1)`."""
    return _run(a.celu, input, inplace, alpha)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`x sigmoid(x)`."""
    return _run(a.silu, input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`x tanh(softplus(x))` (Misra 2019)."""
    return _run(a.mish, input, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` clipped to `[min_val, max_val]`."""
    return _run(a.hardtanh, input, inplace, min_val, max_val)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`x relu6(x + 3) / 6`."""
    return _run(a.hardswish, input, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu6(x + 3) / 6`."""
    return _run(a.hardsigmoid, input, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`x` where above `threshold`, else `value`."""
    return _run(a.threshold, input, inplace, threshold, value)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`x Φ(x)`, or with `approximate="tanh"` its approximation."""
    return _run(a.gelu, input, False, approximate)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta x)) / beta`; linear where `beta x` exceeds `threshold`."""
    return _run(a.softplus, input, False, beta, threshold)


def softsign(input: Tensor) -> Tensor:
    """`x / (1 + |x|)`."""
    return input / (abs(input) + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """`x - tanh(x)`."""
    return input - input.tanh()  # type: ignore[no-any-return]


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` outside `[-lambd, lambd]`, 0 inside."""
    return _run(a.hardshrink, input, False, lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` drawn towards 0 by `lambd`."""
    return _run(a.softshrink, input, False, lambd)


def logsigmoid(input: Tensor) -> Tensor:
    """`log(sigmoid(x))`."""
    return _run(a.logsigmoid, input, False)


def sigmoid(input: Tensor) -> Tensor:
    """`1 / (1 + e⁻ˣ)`."""
    return _run(OPS["sigmoid"], input, False)


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return _run(OPS["tanh"], input, False)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`x` where positive, else `weight * x`, with one slope or one for each channel."""
    return apply(a.prelu, (input, weight))  # type: ignore[no-any-return]


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """Leaky ReLU with slopes drawn from `[lower, upper]`; when not training, with their mean."""
    if lower > upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound, got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = np.random.Generator(np.random.PCG64(next_seed())).uniform(lower, upper, input._data.shape)
    factor = np.where(input._data > 0, 1, slopes).astype(input._data.dtype)
    return _run(OPS["mul"], input, inplace, wrap(factor))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """`a sigmoid(b)` with `a` and `b` the halves along `dim` (Dauphin et al. 2017)."""
    return apply(a.glu, (input, dim))  # type: ignore[no-any-return]


def _implicit_dim(ndim: int) -> int:
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`exp(x) / Σ exp(x)` along `dim`."""
    return apply(s.softmax, (input, _implicit_dim(input.ndim) if dim is None else dim, dtype))  # type: ignore[no-any-return]


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`log(softmax(x))` along `dim`."""
    return apply(s.log_softmax, (input, _implicit_dim(input.ndim) if dim is None else dim, dtype))  # type: ignore[no-any-return]


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`softmax(-x)` along `dim`."""
    return softmax(-input, dim, dtype=dtype)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A sample of the Gumbel-softmax distribution (Jang et al. 2017); `hard` makes it one-hot, with the soft gradient."""
    draw: Any = np.random.Generator(np.random.PCG64(next_seed())).gumbel(size=logits._data.shape)
    soft = softmax((logits + wrap(draw.astype(logits._data.dtype))) / tau, dim)
    if not hard:
        return soft
    best = np.expand_dims(soft._data.argmax(dim), dim)
    one_hot = np.zeros_like(soft._data)
    np.put_along_axis(one_hot, best, 1, dim)
    return wrap(one_hot) - soft.detach() + soft  # type: ignore[no-any-return]


def _inplace(function: Any) -> Callable[..., Tensor]:
    def changed(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(input, *args, inplace=True, **kwargs)  # type: ignore[no-any-return]

    changed.__name__ = changed.__qualname__ = function.__name__ + "_"
    changed.__doc__ = f"`{function.__name__}` in place."
    return changed


relu_, leaky_relu_, elu_, selu_, celu_, hardtanh_, threshold_, rrelu_ = map(
    _inplace, (relu, leaky_relu, elu, selu, celu, hardtanh, threshold, rrelu)
)
