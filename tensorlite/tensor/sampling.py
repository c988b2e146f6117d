"""Random tensors: uniform, normal, integers, permutations, and draws from distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.inplace import apply_inplace
from ..dtypes import get_default_dtype, to_numpy_dtype
from ..ops import fill as filling
from ..random import Generator, default_generator, source
from .creation import _finish, _like, check_device, sizes
from .tensor import Tensor


def get_rng_state() -> Tensor:
    """The state of the default generator, as a tensor of bytes."""
    return _state(default_generator)


def _state(self: Generator) -> Tensor:
    """The state as a tensor of bytes, to hand to `set_state`."""
    return _finish(self.state_bytes(), False)


Generator.get_state = _state  # type: ignore[attr-defined]


def _float(d: Any) -> np.dtype[Any]:
    return get_default_dtype().dtype if d is None else to_numpy_dtype(d)


def uniform_array(shape: tuple[int, ...], d: np.dtype[Any], generator: Generator | None) -> Any:
    """Uniform on [0, 1) as an ndarray."""
    if d.kind == "c":
        part = np.empty(0, d).real.dtype
        return (uniform_array(shape, part, generator) + 1j * uniform_array(shape, part, generator)).astype(d)
    if d.kind != "f":
        raise RuntimeError(f'"rand" not implemented for {d}; expected a floating dtype, use randint for integers')
    rng = source(generator)
    return (
        rng.random(shape, d.type)
        if d.itemsize >= 4
        else np.minimum(rng.random(shape, np.float32).astype(d), np.nextafter(d.type(1), d.type(0)))
    )


def normal_array(shape: tuple[int, ...], d: np.dtype[Any], generator: Generator | None) -> Any:
    """Standard normal as an ndarray; complex numbers have variance 1 in all."""
    if d.kind == "c":
        part = np.empty(0, d).real.dtype
        return ((normal_array(shape, part, generator) + 1j * normal_array(shape, part, generator)) * 0.5**0.5).astype(d)
    if d.kind != "f":
        raise RuntimeError(f'"randn" not implemented for {d}; expected a floating dtype')
    return source(generator).standard_normal(shape, d.type if d.itemsize >= 4 else np.float32).astype(d, copy=False)


def rand(
    *shape: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Uniform on [0, 1)."""
    check_device(device)
    return _finish(
        np.asarray(uniform_array(sizes(shape if size is None else (size,)), _float(dtype), generator)), requires_grad
    )


def randn(
    *shape: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Standard normal."""
    check_device(device)
    return _finish(
        np.asarray(normal_array(sizes(shape if size is None else (size,)), _float(dtype), generator)), requires_grad
    )


def randint(
    *bounds_and_size: Any,
    low: int | None = None,
    high: int | None = None,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Whole numbers from `low` (0 by default) up to, not including, `high`: `randint(high, size)` or `randint(low, high, size)`."""
    check_device(device)
    given = list(bounds_and_size)
    if size is None:
        size = given.pop()
    if high is None:
        high = given.pop()
    if low is None:
        low = given.pop() if given else 0
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    d = np.dtype(np.int64) if dtype is None else to_numpy_dtype(dtype)
    return _finish(np.asarray(source(generator).integers(low, high, sizes((size,)))).astype(d), requires_grad)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The numbers 0 … n-1 in random order."""
    check_device(device)
    if n < 0:
        raise RuntimeError(f"randperm(): n must not be negative, got {n}")
    d = np.dtype(np.int64) if dtype is None else to_numpy_dtype(dtype)
    return _finish(source(generator).permutation(n).astype(d), requires_grad)


def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Uniform on [0, 1), with the shape and dtype of `input`."""
    return _finish(
        _laid_out_like(uniform_array(input._data.shape, _like(input, dtype), generator), input), requires_grad
    )


def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Standard normal, with the shape and dtype of `input`."""
    return _finish(
        _laid_out_like(normal_array(input._data.shape, _like(input, dtype), generator), input), requires_grad
    )


def _laid_out_like(values: Any, input: Tensor) -> Any:
    """The values in memory in the order of those of `input`: a transposed matrix for a transposed one."""
    out = np.empty_like(input._data, np.asarray(values).dtype)
    out[...] = values
    return out


def randint_like(
    input: Tensor,
    low_or_high: int,
    high: int | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Whole numbers with the shape and dtype of `input`."""
    low, high = (0, low_or_high) if high is None else (low_or_high, high)
    drawn = randint(low, high, input._data.shape, generator=generator, dtype=input.dtype if dtype is None else dtype)
    return _finish(_laid_out_like(drawn._data, input), False)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    out: Any = None,
) -> Tensor:
    """Normal with the given mean and standard deviation, each a number or a tensor; numbers alone need a `size`."""
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if size is None:
            raise TypeError("normal() of two numbers needs a size: normal(mean, std, size)")
        if std < 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
        drawn: Tensor = randn(size, generator=generator, dtype=dtype) * std + mean
        return drawn
    if np.any(np.asarray(std._data if isinstance(std, Tensor) else std) < 0):
        raise RuntimeError("normal expects all elements of std >= 0.0")
    shape = np.broadcast_shapes(*(v._data.shape for v in (mean, std) if isinstance(v, Tensor)))
    like = mean if isinstance(mean, Tensor) else std
    with_noise: Tensor = randn(shape, generator=generator, dtype=like.dtype) * std + mean
    return with_noise


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that `input` holds (or `p`), else 0. The gradient is zero."""
    chance = input._data if p is None else np.full(input._data.shape, p)
    if np.any((chance < 0) | (chance > 1)):
        raise RuntimeError(
            f"Expected p_in >= 0 && p_in <= 1 to be true, but got values from {chance.min()} to {chance.max()}"
        )
    return _finish((source(generator).random(chance.shape) < chance).astype(input._data.dtype), False)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn from rows of unnormalised probabilities. Raises RuntimeError for negative or infinite weights, or too few of them."""
    if input._data.dtype.kind != "f":
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype}")
    weights = input._data.astype(np.float64)
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    rows = np.atleast_2d(weights)
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not np.isfinite(rows).all() or (rows < 0).any():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (rows.sum(1) <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if not replacement and num_samples > rows.shape[1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    rng = source(generator)
    if replacement:
        cumulative = np.cumsum(rows, axis=1)
        draws = rng.random((len(rows), num_samples)) * cumulative[:, -1:]
        found = np.stack([np.searchsorted(c, d, side="right") for c, d in zip(cumulative, draws, strict=True)])
        found = np.minimum(found, rows.shape[1] - 1)
    else:
        with np.errstate(divide="ignore"):
            keys = np.where(
                rows > 0, rng.standard_exponential(rows.shape) / rows, np.inf
            )  # the smallest arrival times win
        found = np.argsort(keys, axis=1, kind="stable")[:, :num_samples]
    return _finish(np.ascontiguousarray(found.astype(np.int64)).reshape((*weights.shape[:-1], num_samples)), False)


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson with the rates that `input` holds. The gradient is zero."""
    return _finish(source(generator).poisson(input._data).astype(input._data.dtype), False)


# -- in place ---------------------------------------------------------------------------------------------------------


def _fill_with(t: Tensor, values: Any) -> Tensor:
    return apply_inplace(filling.fill_random, t, (np.asarray(values).astype(t._data.dtype),))  # type: ignore[no-any-return]


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers."""
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return _fill_with(self, normal_array(self._data.shape, self._data.dtype, generator) * std + mean)


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with uniform numbers from [a, b)."""
    if a > b:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
    return _fill_with(self, uniform_array(self._data.shape, self._data.dtype, generator) * (b - a) + a)


def random_(self: Tensor, low: int = 0, to: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Fill with whole numbers: below `to`, or from `low` up to `to`, or over all the dtype represents exactly."""
    kind = self._data.dtype
    if to is None:
        low, to = (
            (0, low)
            if low
            else (
                0,
                2
                if kind.kind == "b"
                else int(np.iinfo(kind).max)
                if kind.kind in "iu"
                else 2 ** (np.finfo(kind).nmant + 1),
            )
        )
    if low >= to:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={to}")
    return _fill_with(self, source(generator).integers(low, to, self._data.shape))


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 with probability `p` (a number or a tensor), else 0."""
    chance = p._data if isinstance(p, Tensor) else p
    return _fill_with(self, source(generator).random(self._data.shape) < chance)


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponential numbers of rate `lambd`."""
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return _fill_with(self, source(generator).standard_exponential(self._data.shape) / lambd)


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with the number of trials up to the first success."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    return _fill_with(self, source(generator).geometric(p, self._data.shape))


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with Cauchy numbers."""
    return _fill_with(self, source(generator).standard_cauchy(self._data.shape) * sigma + median)


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers whose logarithm is normal."""
    return _fill_with(self, np.exp(source(generator).standard_normal(self._data.shape) * std + mean))


for _method in (
    normal_,
    uniform_,
    random_,
    bernoulli_,
    exponential_,
    geometric_,
    cauchy_,
    log_normal_,
    bernoulli,
    multinomial,
):
    setattr(Tensor, _method.__name__, _method)
