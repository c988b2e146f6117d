"""Samplers: in which order a DataLoader visits the examples, and in which batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from ...random import Generator, source

T_co = TypeVar("T_co", covariant=True)


def _random(generator: Generator | None) -> np.random.Generator:
    """The given generator's numbers, or a stream of its own that takes one draw from the default generator."""
    if generator is not None:
        return source(generator)
    return np.random.Generator(np.random.PCG64(int(source(None).integers(2**63))))


class Sampler(Generic[T_co]):
    """An iterable of indices, or of lists of indices; subclasses write `__iter__`, and `__len__` where the number is known."""

    def __init__(self, data_source: Sized | None = None) -> None:
        pass

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} needs an __iter__")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, …"""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A random order, new in every epoch; with `replacement`, independent draws."""

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if num_samples is not None and (not isinstance(num_samples, int) or num_samples <= 0):
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        self.data_source, self.replacement, self._num_samples, self.generator = (
            data_source,
            replacement,
            num_samples,
            generator,
        )

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, wanted, random = len(self.data_source), self.num_samples, _random(self.generator)
        if n == 0:
            return
        if self.replacement:
            yield from random.integers(n, size=wanted).tolist()
            return
        for start in range(0, wanted, n):
            yield from random.permutation(n)[: wanted - start].tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in a random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for i in _random(self.generator).permutation(len(self.indices)):
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices drawn with probabilities proportional to `weights`."""

    def __init__(
        self, weights: Any, num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.weights = np.asarray(getattr(weights, "_data", weights), np.float64)
        if (
            self.weights.ndim != 1
            or not np.all(np.isfinite(self.weights))
            or np.any(self.weights < 0)
            or self.weights.sum() <= 0
        ):
            raise ValueError(
                f"weights should be a 1d sequence of finite, non-negative numbers with a positive sum, got shape {self.weights.shape}"
            )
        available = int(np.count_nonzero(self.weights))
        if not replacement and num_samples > available:
            raise ValueError(
                f"cannot draw {num_samples} indices without replacement: only {available} weights are positive"
            )
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self) -> Iterator[int]:
        p = self.weights / self.weights.sum()
        return iter(_random(self.generator).choice(len(p), self.num_samples, self.replacement, p).tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices from another sampler."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)


class LengthBucketSampler(Sampler[list[int]]):
    """Batches of examples of similar length, so that little is padded; use it as `batch_sampler`.

    The examples are shuffled, cut into pools of `pool_factor` batches, sorted by length within a pool, cut into batches, and the batches
    shuffled. A batch holds `batch_size` examples, or fewer: as many as keep (longest example) × (examples) at or below `max_tokens`.
    """

    def __init__(
        self, lengths: Any, batch_size: int, *, max_tokens: int | None = None, shuffle: bool = True, drop_last: bool = False,
        pool_factor: int = 100, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        if batch_size <= 0 or pool_factor <= 0:
            raise ValueError(
                f"batch_size and pool_factor should be positive, got batch_size={batch_size}, pool_factor={pool_factor}"
            )
        self.lengths = np.asarray(getattr(lengths, "_data", lengths), np.int64)
        if self.lengths.ndim != 1:
            raise ValueError(
                f"lengths should be one number for each example, got an array of shape {self.lengths.shape}"
            )
        if max_tokens is not None and self.lengths.size and self.lengths.max() > max_tokens:
            raise ValueError(f"max_tokens={max_tokens} is less than the longest example ({self.lengths.max()})")
        self.batch_size, self.max_tokens, self.shuffle = batch_size, max_tokens, shuffle
        self.drop_last, self.pool_factor, self.generator = drop_last, pool_factor, generator

    def __iter__(self) -> Iterator[list[int]]:
        n = len(self.lengths)
        if not self.shuffle:
            yield from self._cut(np.argsort(self.lengths, kind="stable"))
            return
        random = _random(self.generator)
        order = random.permutation(n)
        pool = self.batch_size * self.pool_factor
        batches: list[list[int]] = []
        for start in range(0, n, pool):
            part = order[start : start + pool]
            batches.extend(self._cut(part[np.argsort(self.lengths[part], kind="stable")]))
        for i in random.permutation(len(batches)):
            yield batches[i]

    def _cut(self, order: Any) -> list[list[int]]:
        batches: list[list[int]] = []
        batch: list[int] = []
        for index in order.tolist():
            too_many = self.max_tokens is not None and int(self.lengths[index]) * (len(batch) + 1) > self.max_tokens
            if batch and (too_many or len(batch) == self.batch_size):
                batches.append(batch)
                batch = []
            batch.append(index)
        if batch and not (self.drop_last and len(batch) < self.batch_size):
            batches.append(batch)
        return batches

    def __len__(self) -> int:
        """The number of batches; known only while it does not depend on the shuffling. Raises TypeError otherwise."""
        if self.shuffle and self.max_tokens is not None:
            raise TypeError("the number of batches depends on the shuffling when max_tokens is given")
        n, pool = len(self.lengths), self.batch_size * self.pool_factor
        if not self.shuffle:
            return len(self._cut(np.argsort(self.lengths, kind="stable")))
        cut: Callable[[int], int] = lambda m: m // self.batch_size if self.drop_last else math.ceil(m / self.batch_size)
        return (n // pool) * cut(pool) + cut(n % pool)
