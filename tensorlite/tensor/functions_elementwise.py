"""Elementwise functions composed of ops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.inplace import apply_inplace
from ..autograd.record import apply
from ..dtypes import float32
from ..ops import basic, complex, elementwise, pairwise, special
from .compose import Exports, composed
from .properties import promote_types
from .tensor import Tensor

EXPORTS: Exports = {}
_export = composed(EXPORTS)
_function = composed(EXPORTS, method=False)


# -- division ----------------------------------------------------------------------------------------------------------


@_export
def true_divide(input: Any, other: Any) -> Any:
    """`input / other`; integers give the default float."""
    return apply(basic.div, (input, other))


@_export
def floor_divide(input: Any, other: Any) -> Any:
    """`input / other` rounded towards -inf."""
    return apply(basic.div, (input, other, "floor"))


# -- bounds ------------------------------------------------------------------------------------------------------------


@_export
def clamp_min(input: Tensor, min: Any) -> Any:
    """`input` where it is at least `min`, else `min`."""
    return apply(pairwise.clamp, (input, min))


@_export
def clamp_max(input: Tensor, max: Any) -> Any:
    """`input` where it is at most `max`, else `max`."""
    return apply(pairwise.clamp, (input, None, max))


def clamp_min_(self: Tensor, min: Any) -> Any:
    """`clamp_min`, in place."""
    return apply_inplace(pairwise.clamp, self, (min,))


def clamp_max_(self: Tensor, max: Any) -> Any:
    """`clamp_max`, in place."""
    return apply_inplace(pairwise.clamp, self, (None, max))


EXPORTS["clamp_min_"], EXPORTS["clamp_max_"] = (clamp_min_, True), (clamp_max_, True)


# -- comparing ---------------------------------------------------------------------------------------------------------


@_export
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    return bool(input._data.shape == other._data.shape and np.array_equal(input._data, other._data))


@_export
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether `|input - other| <= atol + rtol * |other|` for all elements."""
    return bool(apply(elementwise.isclose, (input, other, rtol, atol, equal_nan))._data.all())


# -- powers, exponents, logarithms -------------------------------------------------------------------------------------


@_export
def float_power(input: Any, exponent: Any) -> Any:
    """`input ** exponent` in float64 (complex128 for complex operands)."""
    parts = [v._data if isinstance(v, Tensor) else np.asarray(v) for v in (input, exponent)]
    target = np.complex128 if any(p.dtype.kind == "c" for p in parts) else np.float64
    wide = [v.to(target) if isinstance(v, Tensor) else target(v) for v in (input, exponent)]
    return apply(basic.pow, tuple(w.item() if isinstance(w, np.generic) else w for w in wide))


@_export
def ldexp(input: Any, other: Any) -> Any:
    """`input * 2 ** other`, in the dtype of `input` if that is floating and `other` a tensor of integers."""
    if (
        isinstance(input, Tensor)
        and input.is_floating_point()
        and isinstance(other, Tensor)
        and other.dtype.dtype.kind in "iu"
    ):
        wide = promote_types(input.dtype, float32)  # in float16 the power alone would overflow
        return apply(basic.mul, (input.to(wide), apply(basic.pow, (2.0, other.to(wide))))).to(input.dtype)
    return apply(basic.mul, (input, apply(basic.pow, (2.0, other))))


@_export
def mvlgamma(input: Tensor, p: int) -> Any:
    """Logarithm of the multivariate gamma function of dimension `p`."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    terms = apply(special.lgamma, (input.unsqueeze(-1) + _like(-0.5 * np.arange(p), input),))
    return terms.sum(-1) + p * (p - 1) / 4 * math.log(math.pi)


def _like(values: Any, x: Tensor) -> Tensor:
    from ..autograd.graph import wrap

    t: Tensor = wrap(values.astype(x._data.dtype if x._data.dtype.kind == "f" else np.float32))
    return t


@_function
def polygamma(n: int, input: Tensor) -> Any:
    """The n-th derivative of `digamma`."""
    return apply(special.polygamma, (input, n))


# -- complex numbers ---------------------------------------------------------------------------------------------------


@_function
def polar(abs: Tensor, angle: Tensor) -> Any:
    """The complex number of a modulus and an angle in radians."""
    return apply(complex.complex_, (abs * angle.cos(), abs * angle.sin()))


@_export
def positive(input: Tensor) -> Tensor:
    """`input` itself. Raises RuntimeError for booleans."""
    if input._data.dtype == np.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@_export
def resolve_conj(input: Tensor) -> Tensor:
    """`input` itself: conjugation is never pending."""
    return input


@_export
def resolve_neg(input: Tensor) -> Tensor:
    """`input` itself: negation is never pending."""
    return input


@_export
def is_conj(input: Tensor) -> bool:
    """Whether conjugation is pending; never, as it is done at once."""
    return False
