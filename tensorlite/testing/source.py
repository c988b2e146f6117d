"""Where random inputs come from: one description of them, drawn from hypothesis (which shrinks) or from NumPy (which is fast).

Everything is built from two primitives, an integer in a range and some bytes. Array elements come from a dyadic grid by default: two of them
are either equal or clearly apart, so a kink is hit exactly or not at all, and they print short.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
Shape = tuple[int, ...]

#: How grid values in [-2, 2) are moved into the domain of a function.
DOMAINS: dict[str, Callable[[Any], Any]] = {
    "real": lambda x: x,
    "positive": lambda x: np.abs(x) + 0.25,
    "nonzero": lambda x: x + np.where(x < 0, -0.5, 0.5),
    "unit": lambda x: np.clip(x, -2, 2) * 0.4375,
    "above_one": lambda x: np.abs(x) + 1.25,
    "probability": lambda x: (np.clip(x, -2, 2) + 2.25) / 4.5,
}
ELEMENTS = ("grid", "coarse", "floats", "extreme")


def _signed(raw: Any, bits: int) -> Any:
    """The lowest `bits` of each byte as a two's complement number; byte 0 is 0, so shrinking leads to zeros."""
    half = 1 << (bits - 1)
    return ((raw.astype(np.int64) & (2 * half - 1)) ^ half) - half


class Source:
    """Draws sizes, choices and arrays; subclasses provide `integer` and `raw`."""

    elements = "grid"

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        raise NotImplementedError

    def raw(self, n: int) -> Any:
        """`n` random bytes."""
        raise NotImplementedError

    # -- choices ------------------------------------------------------------------------------------------------------

    def boolean(self) -> bool:
        return bool(self.integer(0, 1))

    def choice(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def permutation(self, n: int) -> tuple[int, ...]:
        rest = list(range(n))
        return tuple(rest.pop(self.integer(0, len(rest) - 1)) for _ in range(n))

    def noninvolutive(self, n: int) -> tuple[int, ...]:
        """A permutation that differs from its inverse, where `n` allows (n >= 3)."""
        if n < 3:
            return self.permutation(n)
        perm = self.permutation(n)
        if any(perm[perm[i]] != i for i in range(n)):
            return perm
        a, b, c = perm[:3]
        cycle = list(range(n))
        cycle[a], cycle[b], cycle[c] = b, c, a
        return tuple(cycle)

    # -- shapes and axes ----------------------------------------------------------------------------------------------

    def shape(self, min_dims: int = 0, max_dims: int = 3, min_side: int = 1, max_side: int = 3) -> Shape:
        if min_dims == 0 < max_dims and self.integer(0, 7):
            min_dims = 1  # 0-d arrays are one case in eight, not one in four
        return tuple(self.integer(min_side, max_side) for _ in range(self.integer(min_dims, max_dims)))

    def axis(self, ndim: int) -> int:
        """A dim, counted from either end."""
        return self.integer(-ndim, ndim - 1) if ndim else 0

    def axes(self, ndim: int, min_count: int = 1) -> tuple[int, ...]:
        """Distinct dims, some counted from the end."""
        count = self.integer(min(min_count, ndim), ndim)
        return tuple(d - ndim if self.boolean() else d for d in self.permutation(ndim)[:count])

    def reduced(self, ndim: int) -> Any:
        """The `dim` of a reduction: None, one dim, or several."""
        kind = self.integer(0, 2)
        return None if kind == 0 or ndim == 0 else self.axis(ndim) if kind == 1 else self.axes(ndim)

    def broadcastable(self, n: int, patterns: Sequence[str] = ("same", "one", "missing")) -> list[Shape]:
        """`n` shapes that broadcast together; each axis of each is the full size, 1, or missing from the left."""
        full = self.shape(0, 3, 2 if self.integer(0, 3) else 1, 3)
        shapes = [self._pattern(full, patterns) for _ in range(n)]
        if "same" in patterns:
            shapes[self.integer(0, n - 1)] = full
        return shapes

    def _pattern(self, full: Shape, patterns: Sequence[str]) -> Shape:
        missing = self.integer(0, len(full)) if "missing" in patterns and self.boolean() else 0
        sides = [p for p in patterns if p != "missing"] or ["same"]
        return tuple(n if self.choice(sides) == "same" else 1 for n in full[missing:])

    def matmul_shapes(self) -> tuple[Shape, Shape]:
        """Operands of matmul, each batch axis in one of: both, one on the left, one on the right, missing on one side."""
        m, k, n = (self.integer(1, 3) for _ in range(3))
        if self.integer(0, 4) == 0:
            return ((k,), (k, n)) if self.boolean() else (((m, k), (k,)) if self.boolean() else ((k,), (k,)))
        left: list[int] = []
        right: list[int] = []
        batch = [self.integer(2, 3) for _ in range(self.integer(0, 2))]
        for size in batch:
            pattern = self.choice(("both", "left1", "right1"))
            left.append(1 if pattern == "left1" else size)
            right.append(1 if pattern == "right1" else size)
        if batch and self.boolean():
            cut = self.integer(1, len(batch))
            if self.boolean():
                left = left[cut:]
            else:
                right = right[cut:]
        return (*left, m, k), (*right, k, n)

    # -- arrays -------------------------------------------------------------------------------------------------------

    def array(self, shape: Shape, domain: str = "real") -> Any:
        """A float64 array of `shape` with elements in `domain` (see `DOMAINS`)."""
        return np.asarray(DOMAINS[domain](self.values(math.prod(shape))).reshape(shape))

    def values(self, n: int) -> Any:
        """`n` elements by the present kind: "grid" k/16, "coarse" k/2 (rich in ties), "floats" 2^-40..2, "extreme" 1e±30."""
        if self.elements == "grid":
            return _signed(self.raw(n), 6) / 16.0
        if self.elements == "coarse":
            return _signed(self.raw(n), 3) / 2.0
        raw = self.raw(2 * n).astype(np.int64)
        fraction, power = 1 + _signed(raw[:n], 8) / 256.0, raw[n:]
        sign = np.where(power & 1, -1.0, 1.0)
        if self.elements == "floats":
            return sign * fraction * 2.0 ** -np.where(power < 64, (power >> 1) * 1.25, power & 3) * (raw[:n] != 0)
        return sign * fraction * 10.0 ** np.where(raw[:n] & 4, ((power >> 1) % 61) - 30, 0)

    def indices(self, shape: Shape, size: int) -> Any:
        """Positions in `range(size)`, with duplicates."""
        return (self.raw(math.prod(shape)).astype(np.int64) % size).reshape(shape)

    def mask(self, shape: Shape) -> Any:
        """Booleans, about half of them true."""
        return (self.raw(math.prod(shape)) % 2 == 1).reshape(shape)

    def slice(self, n: int) -> slice:
        """A slice of `range(n)`, steps of either sign, possibly with open ends."""
        step = self.choice((1, 1, 2, -1, -2))
        if self.boolean():
            return slice(None, None, step)
        start = None if self.boolean() else self.integer(-n, n - 1)
        stop = None if self.boolean() else self.integer(-n, n)
        return slice(start, stop, step)

    def invertible(self, n: int, batch: Shape = ()) -> Any:
        """Well-conditioned square matrices: a dominant diagonal with distinct entries, and no exact zeros."""
        return self.array((*batch, n, n)) * 0.25 + 1 / 64 + np.diag(2.0 + 1.5 * np.arange(n))


class RandomSource(Source):
    """Draws from a NumPy generator: thousands of inputs a second, reproducible by seed."""

    def __init__(self, seed: int | Sequence[int] = 0, elements: str = "grid") -> None:
        self._rng = np.random.default_rng(seed)
        self._next = self._rng.integers(0, 2**32, 64).tolist()
        self.elements = elements

    def integer(self, low: int, high: int) -> int:
        if not self._next:
            self._next = self._rng.integers(0, 2**32, 64).tolist()  # one call to NumPy serves 64 draws
        return int(low + self._next.pop() % (high - low + 1))

    def raw(self, n: int) -> Any:
        return np.frombuffer(self._rng.bytes(n), np.uint8)


class DrawSource(Source):
    """Draws from hypothesis, through the `draw` of a composite strategy."""

    def __init__(self, draw: Callable[[Any], Any], elements: str = "grid") -> None:
        self._draw = draw
        self.elements = elements

    def integer(self, low: int, high: int) -> int:
        from hypothesis import strategies as st

        if low >= 0 or high <= 0:
            return int(self._draw(st.integers(low, high)))
        return int(self._draw(st.integers(0, high - low))) + low

    def raw(self, n: int) -> Any:
        from hypothesis import strategies as st

        return np.frombuffer(self._draw(st.binary(min_size=n, max_size=n)), np.uint8)
