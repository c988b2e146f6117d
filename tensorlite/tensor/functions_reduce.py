"""Reductions composed of ops, and those whose one torch name has several meanings: `max(x)`, `max(x, dim)`, `max(x, y)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.record import apply
from ..dtypes import get_default_dtype
from ..errors import check_dim
from ..ops import along, complex, extrema, pairwise, reduce
from ..ops.compare import where
from ..ops.sort import sort as sort_op
from ..ops.table import Op
from .compose import Exports, composed
from .tensor import Tensor

EXPORTS: Exports = {}
_export = composed(EXPORTS)
_function = composed(EXPORTS, method=False)


# -- one name, several meanings ----------------------------------------------------------------------------------------


def _largest(name: str, over_all: Op, along_one: Op, pairwise: Op) -> Callable[..., Any]:
    def function(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        if isinstance(dim, Tensor):
            other, dim = dim, None
        if other is not None:
            return apply(pairwise, (input, other))
        if dim is not None:
            return apply(along_one, (input, dim, keepdim))
        if input._data.size == 0:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument."
            )
        return apply(over_all, (input,))

    function.__name__ = name
    function.__doc__ = (
        f"`{name}(x)`, the {name}imum; `{name}(x, dim)`, (values, indices) along one dim; `{name}(x, y)`, elementwise."
    )
    return _export(function)


max = _largest("max", extrema.amax, extrema.max_along, pairwise.maximum)
min = _largest("min", extrema.amin, extrema.min_along, pairwise.minimum)


def _middle(name: str, over_all: Op, along_one: Op) -> Callable[..., Any]:
    def function(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        return apply(over_all, (input,)) if dim is None else apply(along_one, (input, dim, keepdim))

    function.__name__ = name
    function.__doc__ = along_one.__doc__
    return _export(function)


median = _middle("median", extrema.median_all, extrema.median_along)
nanmedian = _middle("nanmedian", extrema.nanmedian_all, extrema.nanmedian_along)


@_export
def aminmax(input: Tensor, *, dim: Any = None, keepdim: bool = False) -> Any:
    """(min, max) over one dim or all."""
    if input._data.size == 0 and dim is None:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    dims = () if dim is None else dim
    return extrema.Extremes(apply(extrema.amin, (input, dims, keepdim)), apply(extrema.amax, (input, dims, keepdim)))


# -- moments -----------------------------------------------------------------------------------------------------------


def _moment(name: str, op: Op, with_mean: bool) -> Callable[..., Any]:
    def function(
        input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
    ) -> Any:
        if isinstance(dim, bool):  # var(x, unbiased)
            dim, unbiased = None, dim
        if correction is None:
            correction = 1 if unbiased is None else int(unbiased)
        result = apply(op, (input, dim, correction, keepdim))
        return (result, apply(reduce.mean, (input, dim, keepdim))) if with_mean else result

    function.__name__ = name
    function.__doc__ = op.__doc__ if not with_mean else f"({op.name}, mean) over `dim`."
    return _export(function)


var = _moment("var", reduce.var, False)
std = _moment("std", reduce.std, False)
var_mean = _moment("var_mean", reduce.var, True)
std_mean = _moment("std_mean", reduce.std, True)


@_export
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Sum with NaN counted as 0."""
    if input._data.dtype.kind == "c":
        raise RuntimeError("nansum does not support complex inputs")
    kept = input if input._data.dtype.kind != "f" else np.where(np.isnan(input._data), 0, input)
    return apply(reduce.sum, (kept, dim, keepdim, dtype))


@_export
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Mean of what is not NaN."""
    if input._data.dtype.kind not in "fc":
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got " + str(input.dtype)
        )
    count = apply(reduce.sum, (wrap(~np.isnan(input._data)), dim, keepdim))
    return nansum(input, dim, keepdim, dtype=dtype) / count


@_function
def cov(input: Tensor, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """Covariance matrix of the rows (variables) over the columns (observations), with optional weights of the observations."""
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    for name, kinds, w in (("fweights", "iu", fweights), ("aweights", "f", aweights)):
        if w is None:
            continue
        if w.ndim > 1:
            raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions but got {w.ndim} dimensions")
        if w._data.dtype.kind not in kinds:
            raise RuntimeError(
                f"cov(): expected {name} to have {'integral' if kinds == 'iu' else 'floating point'} dtype but got {w.dtype}"
            )
        if w._data.size != (input._data.shape[-1] if input.ndim else 1):
            raise RuntimeError(
                f"cov(): expected {name} to have the same numel as there are observations in the input but got {w._data.size}"
            )
        if (w._data < 0).any():
            raise RuntimeError(f"cov(): {name} cannot be negative")
    x = input.reshape(1, -1) if input.ndim < 2 else input
    if x._data.dtype.kind in "biu":
        x = x.to(get_default_dtype())
    n = x.shape[1]
    weights = fweights
    if aweights is not None:
        weights = aweights if weights is None else weights * aweights
    if weights is None:
        total: Any = n
        mean = x.mean(1, True) if n else x.sum(1, True) * float("nan")
        normaliser: Any = n - correction
    else:
        total = weights.sum()
        mean = (x * weights).sum(1, True) / total
        normaliser = (
            total
            - correction
            * (total if aweights is None else (weights * aweights).sum())
            / (1 if aweights is None else total)
            if aweights is not None
            else total - correction
        )
    bounded = np.maximum(normaliser, 0) if not isinstance(normaliser, Tensor) else normaliser.clamp(min=0)
    centred = x - mean
    weighted = centred if weights is None else centred * weights
    product = weighted @ np.swapaxes(centred.conj() if x._data.dtype.kind == "c" else centred, 0, 1).to(weighted.dtype)
    return (product / (float(bounded) if not isinstance(bounded, Tensor) else bounded)).squeeze()


EXPORTS["cov"] = (EXPORTS["cov"][0], True)


@_export
def corrcoef(input: Tensor) -> Any:
    """Pearson's correlation matrix of the rows, held in [-1, 1]."""
    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    c = cov(input)
    if c.ndim == 0:
        return c / c
    variance = c.diagonal()
    deviation = (variance.real if c._data.dtype.kind == "c" else variance).sqrt()
    c = c / deviation.unsqueeze(1) / deviation.unsqueeze(0)
    if c._data.dtype.kind != "c":
        return c.clamp(-1, 1)
    return apply(complex.complex_, (c.real.clamp(-1, 1), c.imag.clamp(-1, 1)))


# -- order statistics --------------------------------------------------------------------------------------------------


def _quantile(input: Tensor, q: Any, dim: Any, keepdim: bool, interpolation: str, skip_nan: bool) -> Any:
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if input._data.dtype not in (np.float32, np.float64):
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if input._data.size == 0:
        raise RuntimeError("quantile() input tensor must be non-empty")
    if not isinstance(q, Tensor):
        q = wrap(np.asarray(q, input._data.dtype))
    if q._data.ndim > 1:
        raise RuntimeError("quantile() q must be a scalar or 1D tensor")
    if q._data.dtype != input._data.dtype:
        raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
    if ((q._data < 0) | (q._data > 1)).any():
        raise RuntimeError("quantile() q values must be in the range [0, 1]")
    ndim = input.ndim
    d = 0 if dim is None else check_dim(dim, ndim)
    x = (
        input.reshape(-1)
        if dim is None or ndim == 0
        else np.swapaxes(input.unsqueeze(-1), d, -1).squeeze(d)
        if ndim > 1
        else input
    )
    ordered = apply(sort_op, (x, -1))[0]
    nans = np.isnan(ordered._data).sum(-1, keepdims=True)
    n = ordered.shape[-1]
    last = np.where(nans > 0, n - 1 - nans, n - 1) if skip_nan else np.full_like(nans, n - 1)
    ranks = np.maximum(q.reshape(-1) * wrap(np.maximum(last, 0).astype(x._data.dtype)), 0)
    if not skip_nan:
        ranks = apply(where, (wrap(nans > 0), n - 1.0, ranks))  # a NaN, sorted to the end, is the result
    place = ranks._data
    if interpolation == "nearest":
        place = np.round(place)
    below = (np.ceil(place) if interpolation == "higher" else np.floor(place)).astype(np.int64)
    result = apply(along.take_along, (ordered, below, -1))
    if interpolation in ("linear", "midpoint"):
        above = apply(along.take_along, (ordered, np.ceil(place).astype(np.int64), -1))
        weight = ranks - wrap(below.astype(x._data.dtype))
        result = apply(pairwise.lerp, (result, above, 0.5 if interpolation == "midpoint" else weight))
    result = result.movedim(-1, 0) if result.ndim > 1 else result
    if keepdim:
        shape = (1,) * ndim if dim is None else tuple(1 if i == d else s for i, s in enumerate(input.shape))
        result = result.reshape((len(result), *shape))
    elif dim is None or ndim == 0:
        result = result.reshape((len(result),))
    return result if q.ndim else result.squeeze(0)


@_export
def quantile(input: Tensor, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear") -> Any:
    """The q-quantiles along `dim`; a 1-d `q` becomes the first dim of the result."""
    return _quantile(input, q, dim, keepdim, interpolation, False)


@_export
def nanquantile(input: Tensor, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear") -> Any:
    """`quantile` of what is not NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, True)


# -- differences and integrals -----------------------------------------------------------------------------------------


def _slice(x: Any, d: int, start: Any, stop: Any) -> Any:
    return x[(slice(None),) * d + (slice(start, stop),)]


@_export
def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The n-th difference of neighbours along `dim`."""
    if input.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    d = check_dim(dim, input.ndim)
    if n == 0:
        return input.clone()
    parts = [
        p if p.ndim else p.expand(tuple(1 if i == d else s for i, s in enumerate(input.shape)))
        for p in (prepend, input, append)
        if p is not None
    ]
    x: Any = input if len(parts) == 1 else np.concatenate(parts, d)
    for _ in range(builtin_min(n, x.shape[d])):
        x = (
            _slice(x, d, 1, None) ^ _slice(x, d, None, -1)
            if x._data.dtype == np.bool_
            else _slice(x, d, 1, None) - _slice(x, d, None, -1)
        )
    return x


def builtin_min(a: int, b: int) -> int:
    return a if a < b else b


def _trapezoids(y: Tensor, x: Any, dx: Any, dim: int) -> tuple[Any, int]:
    d = check_dim(dim, y.ndim)
    if x is not None:
        if x.ndim == 1:
            x = x.reshape(tuple(-1 if i == d else 1 for i in range(y.ndim)))
        elif x.ndim < y.ndim:
            x = x.reshape((1,) * (y.ndim - x.ndim) + tuple(x.shape))
        dx = _slice(x, d, 1, None) - _slice(x, d, None, -1)
    return (_slice(y, d, 1, None) + _slice(y, d, None, -1)) * dx / 2.0, d


@_function
def trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """Integral by the trapezoidal rule along `dim`, over the points `x` or steps of `dx`."""
    if y._data.shape[dim] == 0:
        return _slice(y, check_dim(dim, y.ndim), 0, 0).sum(dim)
    steps, d = _trapezoids(y, x, dx, dim)
    return steps.sum(d)


@_function
def cumulative_trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """Running integral by the trapezoidal rule along `dim`."""
    steps, d = _trapezoids(y, x, dx, dim)
    return steps.cumsum(d)


EXPORTS["trapz"] = EXPORTS["trapezoid"]


@_export
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each slice along `dim` whose `p`-norm is larger than `maxnorm` shortened to it. Raises RuntimeError for fewer than two dims."""
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    d = check_dim(dim, input.ndim)
    length = apply(reduce.vector_norm, (input, p, tuple(i for i in range(input.ndim) if i != d), True))
    return input * apply(where, (length > maxnorm, maxnorm / (length + 1e-7), 1.0))  # type: ignore[no-any-return]
