"""Bernoulli, Categorical, Normal, Uniform and Independent, by the names of torch.distributions: sampling, log-probabilities, entropies and divergences.

Arguments are checked when a distribution is made. Constraints, transforms and the other families of torch.distributions are not here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes, no_grad
from .nn import functional as F
from .random import source
from .tensor import Size, Tensor
from .tensor.creation import as_tensor

__all__ = ["Bernoulli", "Categorical", "Distribution", "Independent", "Normal", "Uniform", "kl_divergence"]


class Distribution:
    """What distributions have in common. `batch_shape` counts independent distributions, `event_shape` is the shape of one draw."""

    has_rsample = False
    _given: tuple[str, ...] = ()  # the parameters that it was made of

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self.batch_shape = Size(batch_shape)
        self.event_shape = Size(event_shape)
        self._checks = validate_args is not False

    @property
    def mean(self) -> Tensor:
        raise NotImplementedError

    @property
    def variance(self) -> Tensor:
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()  # type: ignore[no-any-return]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A draw of shape `sample_shape + batch_shape`, without history."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A draw that can be differentiated with respect to the parameters. Raises NotImplementedError where there is none."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample(); use sample() and log_prob()")

    def log_prob(self, value: Tensor) -> Tensor:
        """The log of the density or probability of each value."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy of each distribution, in nats."""
        raise NotImplementedError

    def _shape(self, sample_shape: Any) -> tuple[int, ...]:
        return (*sample_shape, *self.batch_shape, *self.event_shape)

    def _require(self, name: str, value: Tensor, valid: Any, meaning: str) -> None:
        if self._checks and not bool(np.all(valid)):
            raise ValueError(
                f"{type(self).__name__}: expected {name} to be {meaning}, got a value that is not: shape {tuple(value.shape)}"
            )

    def __repr__(self) -> str:
        values = [(name, getattr(self, name)) for name in self._given]
        shown = ", ".join(f"{name}: {v.item() if v.numel() == 1 else v.shape}" for name, v in values)
        return f"{type(self).__name__}({shown})"


class Categorical(Distribution):
    """Integers 0 … K-1 with probabilities `probs` (normalised along the last dim) or by `logits`, shape `(*batch, K)`."""

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        given = _one_of(probs, logits)
        if given.ndim < 1:
            raise ValueError(
                f"Categorical: expected a parameter with at least one dimension, got shape {tuple(given.shape)}"
            )
        super().__init__(given.shape[:-1], (), validate_args)
        self._given = ("logits",) if probs is None else ("probs",)
        data = given.detach().numpy()
        if probs is not None:
            self._require(
                "probs", given, (data >= 0).all() and (data.sum(-1) > 0).all(), "non-negative with a positive sum"
            )
            self.probs = given / given.sum(-1, keepdim=True)
            self.logits = _logits(self.probs, binary=False)
        else:
            self._require("logits", given, ~np.isnan(data), "real numbers")
            self.logits = given - given.logsumexp(-1, keepdim=True)
            self.probs = F.softmax(self.logits, -1)
        self._num_events = int(given.shape[-1])

    @property
    def mean(self) -> Tensor:
        return self.probs[..., 0] * math.nan  # type: ignore[no-any-return]

    variance = mean

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)  # type: ignore[no-any-return]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Integers of shape `sample_shape + batch_shape`."""
        shape = self._shape(sample_shape)
        count = math.prod(sample_shape)
        flat = self.probs.detach().reshape(-1, self._num_events)
        drawn = (
            flat.multinomial(count, True)
            if count and flat.numel()
            else as_tensor(np.zeros((len(flat), count), np.int64))
        )
        return drawn.T.reshape(shape)  # type: ignore[no-any-return]

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of integers that broadcast with `batch_shape`."""
        data = value.detach().numpy()
        self._require("value", value, (data >= 0) & (data < self._num_events), f"in 0 … {self._num_events - 1}")
        shape = np.broadcast_shapes(value.shape, self.batch_shape)
        index = value.long().expand(shape).unsqueeze(-1)
        return self.logits.expand((*shape, self._num_events)).gather(-1, index).squeeze(-1)  # type: ignore[no-any-return]

    def entropy(self) -> Tensor:
        """-Σ p log p; terms with p = 0 count as 0."""
        lowest = float(np.finfo(self.logits.dtype.dtype).min)
        return -(self.logits.clamp(min=lowest) * self.probs).sum(-1)  # type: ignore[no-any-return]


class Bernoulli(Distribution):
    """0 or 1, where 1 has probability `probs`, or `sigmoid(logits)`."""

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        given = _one_of(probs, logits)
        super().__init__(given.shape, (), validate_args)
        self._given = ("logits",) if probs is None else ("probs",)
        data = given.detach().numpy()
        if probs is not None:
            self._require("probs", given, (data >= 0) & (data <= 1), "in [0, 1]")
            self.probs, self.logits = given, _logits(given, binary=True)
        else:
            self._require("logits", given, ~np.isnan(data), "real numbers")
            self.probs, self.logits = given.sigmoid(), given

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Zeros and ones of shape `sample_shape + batch_shape`, in the dtype of the parameter."""
        return self.probs.detach().expand(self._shape(sample_shape)).bernoulli()  # type: ignore[no-any-return]

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of zeros and ones."""
        data = value.detach().numpy()
        self._require("value", value, (data == 0) | (data == 1), "0 or 1")
        logits, value = _broadcast(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        """-p log p - (1-p) log(1-p)."""
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")


class Normal(Distribution):
    """The normal distribution with mean `loc` and standard deviation `scale` > 0, which broadcast."""

    has_rsample = True
    _given = ("loc", "scale")

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = _broadcast(_real(loc), _real(scale))
        super().__init__(self.loc.shape, (), validate_args)
        self._require("loc", self.loc, ~np.isnan(self.loc.detach().numpy()), "real numbers")
        self._require("scale", self.scale, self.scale.detach().numpy() > 0, "positive")

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return self.scale**2

    @property
    def stddev(self) -> Tensor:
        return self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """`loc + ε·scale` with standard normal ε: differentiable in both parameters."""
        noise = source(None).standard_normal(self._shape(sample_shape)).astype(self.loc.dtype.dtype, copy=False)
        return self.loc + as_tensor(noise) * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        """-(x - μ)²/2σ² - log σ - log √(2π)."""
        z = (value - self.loc) / self.scale
        return -(z * z) / 2 - self.scale.log() - math.log(2 * math.pi) / 2  # type: ignore[no-any-return]

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw below the value."""
        return 0.5 * (1 + ((value - self.loc) / (self.scale * math.sqrt(2))).erf())  # type: ignore[no-any-return]

    def icdf(self, value: Tensor) -> Tensor:
        """The value below which a draw lies with this probability."""
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)  # type: ignore[no-any-return]

    def entropy(self) -> Tensor:
        """½ log(2πe σ²)."""
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()  # type: ignore[no-any-return]


class Uniform(Distribution):
    """The uniform distribution on [low, high), which broadcast."""

    has_rsample = True
    _given = ("low", "high")

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = _broadcast(_real(low), _real(high))
        super().__init__(self.low.shape, (), validate_args)
        self._require("high", self.high, self.low.detach().numpy() < self.high.detach().numpy(), "greater than low")

    @property
    def mean(self) -> Tensor:
        return (self.low + self.high) / 2

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low) ** 2 / 12

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """`low + u·(high - low)` with u in [0, 1): differentiable in both parameters."""
        part = source(None).random(self._shape(sample_shape)).astype(self.low.dtype.dtype, copy=False)
        return self.low + as_tensor(part) * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        """-log(high - low), and -∞ at `high`. Values outside of [low, high] raise ValueError."""
        data, low, high = (t.detach().numpy() for t in (value, self.low, self.high))
        self._require("value", value, (data >= low) & (data <= high), "within [low, high]")
        inside = ((value >= self.low) & (value < self.high)).to(self.low.dtype)
        return inside.log() - (self.high - self.low).log()  # type: ignore[no-any-return]

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw below the value."""
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)  # type: ignore[no-any-return]

    def icdf(self, value: Tensor) -> Tensor:
        """The value below which a draw lies with this probability."""
        return self.low + value * (self.high - self.low)

    def entropy(self) -> Tensor:
        """log(high - low)."""
        return (self.high - self.low).log()  # type: ignore[no-any-return]


class Independent(Distribution):
    """`base` with its last `reinterpreted_batch_ndims` batch dims taken as one event: log-probabilities and entropies are summed over them."""

    def __init__(self, base: Distribution, reinterpreted_batch_ndims: int, validate_args: bool | None = None) -> None:
        n, shape = reinterpreted_batch_ndims, base.batch_shape
        if n > len(shape):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), "
                f"actual {n} vs {len(shape)}: the batch shape is {tuple(shape)}"
            )
        super().__init__(shape[: len(shape) - n], (*shape[len(shape) - n :], *base.event_shape), validate_args)
        self.base_dist, self.reinterpreted_batch_ndims = base, n
        self.has_rsample = base.has_rsample

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A draw of the base, without history."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A draw of the base that can be differentiated with respect to its parameters."""
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of each event."""
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        """The sum of the entropies, in nats."""
        return self._summed(self.base_dist.entropy())

    def _summed(self, each: Tensor) -> Tensor:
        n = self.reinterpreted_batch_ndims
        return each.sum(tuple(range(-n, 0))) if n else each

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p‖q) in nats for two distributions of one family. Raises NotImplementedError for others."""
    if isinstance(p, Normal) and isinstance(q, Normal):
        ratio = (p.scale / q.scale) ** 2
        return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - ratio.log())  # type: ignore[no-any-return]
    if isinstance(p, Categorical) and isinstance(q, Categorical):
        terms = p.probs * (p.logits - q.logits)
        return terms.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0).sum(-1)  # type: ignore[no-any-return]
    if isinstance(p, Uniform) and isinstance(q, Uniform):
        outside = (q.low > p.low) | (q.high < p.high)
        return ((q.high - q.low) / (p.high - p.low)).log().masked_fill(outside, math.inf)  # type: ignore[no-any-return]
    if isinstance(p, Independent) and isinstance(q, Independent) and _same_dims(p, q):
        return p._summed(kl_divergence(p.base_dist, q.base_dist))
    if isinstance(p, Bernoulli) and isinstance(q, Bernoulli):
        return _bernoulli_kl(p, q)
    raise NotImplementedError(
        f"kl_divergence of {type(p).__name__} and {type(q).__name__} is not known; both must be of one family"
    )


def _same_dims(p: Independent, q: Independent) -> bool:
    return p.reinterpreted_batch_ndims == q.reinterpreted_batch_ndims


def _bernoulli_kl(p: Bernoulli, q: Bernoulli) -> Tensor:
    cross = F.softplus(-q.logits) * p.probs + F.softplus(q.logits) * (1 - p.probs)
    return cross - p.entropy()


def _one_of(probs: Any, logits: Any) -> Tensor:
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
    return _real(logits if probs is None else probs)


def _real(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else as_tensor(value, dtype=dtypes.get_default_dtype())


def _broadcast(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    shape = np.broadcast_shapes(a.shape, b.shape)
    return a.expand(shape), b.expand(shape)


def _logits(probs: Tensor, *, binary: bool) -> Tensor:
    """Logs of probabilities that are first kept away from 0 and 1 by the dtype's epsilon, as torch does."""
    eps = float(np.finfo(probs.dtype.dtype).eps)
    kept = probs.clamp(eps, 1 - eps)
    return kept.log() - (-kept).log1p() if binary else kept.log()  # type: ignore[no-any-return]


if not TYPE_CHECKING:  # a checker should not take any name for one that is here

    def __getattr__(name: str) -> Any:
        from .absent import error

        raise error(__name__, name)
