"""Where a token stands: attention itself does not know, since it treats its keys as a set.

Three ways to say it. Sinusoidal (Vaswani et al. 2017) adds waves of fixed wavelengths to the embeddings; learned adds a
row of a trained table; rotary (Su et al. 2021) turns queries and keys by an angle that grows with the position, so that
their dot product depends on the distance alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from tensorlite import Tensor, nn
from tensorlite.autograd.function import Function

__all__ = ["LearnedPositions", "RotaryEmbedding", "SinusoidalPositions", "apply_rotary", "sinusoidal"]

Positions = npt.NDArray[np.integer]
Array = npt.NDArray[Any]


def sinusoidal(length: int, d_model: int, base: float = 10000.0) -> Array:
    """Waves (length, d_model) in float64: column 2i is sin(t / base^(2i/d)), column 2i+1 the cosine of the same angle."""
    rates = base ** (-np.arange(0, d_model, 2) / d_model)  # (d/2,), radians per token
    angles = np.arange(length)[:, None] * rates  # (T, d/2)
    table = np.empty((length, d_model))
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, : d_model // 2])
    return table


class _Grown:
    """Rows of a table that follows from the position, computed as far as they were ever needed, once for each dtype."""

    def __init__(self) -> None:
        self.tables: dict[Any, Array] = {}

    def rows(self, make: Any, length: int, dtype: Any) -> Array:
        table = self.tables.get(dtype)
        if table is None or table.shape[-2] < length:
            size = max(length, 2 * table.shape[-2] if table is not None else 64)
            table = self.tables[dtype] = make(size).astype(dtype)
        return table


class SinusoidalPositions(nn.Module):
    """Adds fixed waves to embeddings `(B, T, D)`; any length, nothing to learn, nothing to save."""

    def __init__(self, d_model: int, base: float = 10000.0) -> None:
        super().__init__()
        self.d_model, self.base = d_model, base
        self._cache = _Grown()

    def forward(self, x: Tensor, positions: Positions) -> Tensor:
        """`x (B, T, D)` plus the waves at `positions`, `(T,)` or `(B, T)`."""
        length = int(positions.max(initial=-1)) + 1
        table = self._cache.rows(lambda n: sinusoidal(n, self.d_model, self.base), length, x.detach().numpy().dtype)
        moved: Tensor = x + tl.from_numpy(table[positions])
        return moved

    def extra_repr(self) -> str:
        return f"d_model={self.d_model}"


class LearnedPositions(nn.Module):
    """Adds row `t` of a trained table `(max_length, D)` to the embedding of token `t`."""

    def __init__(self, max_length: int, d_model: int) -> None:
        super().__init__()
        self.max_length = max_length
        self.weight = nn.Parameter(tl.empty(max_length, d_model))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, positions: Positions) -> Tensor:
        """`x (B, T, D)` plus the rows at `positions`. Raises IndexError beyond `max_length`."""
        if positions.size and positions.max() >= self.max_length:
            raise IndexError(
                f"position {positions.max()} in a model for max_length={self.max_length} tokens; shorten the input or raise max_length"
            )
        if positions.size and positions.min() < 0:
            raise IndexError(f"positions count from 0, got {positions.min()}")
        if positions.ndim == 1 and len(positions) and (np.diff(positions) == 1).all():
            rows = self.weight[int(positions[0]) : int(positions[-1]) + 1]  # a view instead of a lookup
        else:
            rows = nn.functional.embedding(tl.from_numpy(positions.astype(np.int64)), self.weight)
        moved: Tensor = x + rows
        return moved

    def extra_repr(self) -> str:
        return f"max_length={self.max_length}"


class _Rotate(Function):
    """Turns dims (i, i + r/2) by an angle. A rotation's transpose is the rotation back, hence the one-line gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.cos, ctx.sin = cos, sin
        v, c, s = (t.detach().numpy() for t in (x, cos, sin))
        half = c.shape[-1]
        a, b = v[..., :half], v[..., half : 2 * half]
        out = np.empty_like(v, order="C")
        np.subtract(a * c, b * s, out=out[..., :half])
        np.add(b * c, a * s, out=out[..., half : 2 * half])
        out[..., 2 * half :] = v[..., 2 * half :]
        turned: Tensor = tl.from_numpy(out)
        return turned

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        return _Rotate.apply(g, ctx.cos, -ctx.sin), None, None


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the first r dims of `x (B, H, T, d)`; `cos`, `sin (T, r/2)` or `(B, 1, T, r/2)`; the other d − r pass.

    The dims of a pair are r/2 apart (the half-split layout of transformers, not the interleaved one of the paper).
    """
    turned: Tensor = _Rotate.apply(x, cos, sin)
    return turned


class RotaryEmbedding(nn.Module):
    """Rotary positions for queries and keys; `dim` of each head's dims are rotated, with wavelengths up to 2π `base`."""

    def __init__(self, dim: int, base: float = 10000.0) -> None:
        super().__init__()
        if dim <= 0 or dim % 2:
            raise ValueError(f"dim must be even and positive (rotary turns pairs of dims), got {dim}")
        self.dim, self.base = dim, base
        self._cache = _Grown()

    def angles(self, length: int) -> Array:
        """(length, dim / 2) in float64: position times base^(−2i/dim)."""
        rates = self.base ** (-np.arange(0, self.dim, 2) / self.dim)
        return np.arange(length)[:, None] * rates

    def tables(self, positions: Positions, dtype: Any) -> tuple[Tensor, Tensor]:
        """Cosines and sines at `positions` `(T,)` or `(B, T)`, ready for `apply_rotary`; shared by all layers."""
        length = int(positions.max(initial=-1)) + 1
        table = self._cache.rows(lambda n: np.stack([np.cos(a := self.angles(n)), np.sin(a)]), length, dtype)
        cos, sin = table[:, positions]  # (T, r/2) or (B, T, r/2)
        if positions.ndim == 2:
            cos, sin = cos[:, None], sin[:, None]  # (B, 1, T, r/2): the same for every head
        return tl.from_numpy(cos), tl.from_numpy(sin)

    def forward(self, x: Tensor, positions: Positions) -> Tensor:
        """Rotate `x (B, H, T, d)` to `positions`."""
        return apply_rotary(x, *self.tables(positions, x.detach().numpy().dtype))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, base={self.base}"
