"""What attention works on: the operands as five-axis views, their tiles, and the masked scores of one tile."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tensorlite.kernels.blocks import LOG_BASE, POWER, Array, ones, row_blocks, scratch

# Measured forward and backward, causal: 64 queries are 10 % faster than 128 at T = 128 and 256 (less is computed above the
# diagonal), 128 are 10 % faster at T = 2,048 (larger products). 256 to 1,024 keys differ by less than 5 %.
QUERY_BLOCK = 128
SHORT_CAUSAL_QUERY_BLOCK = 64
SHORT = 512
KEY_BLOCK = 512
# Scores of one block when heads are short enough to share it: half as many take 2 to 4 % longer on one thread, 15 to 20
# on two, which then wait for the interpreter's lock more often.
SCORE_ELEMENTS = 256 * 1024

# Columns left of the diagonal below which a mask is added to all columns: whole rows are one loop, parts of rows are one
# loop each. Measured with 64 × 64 scores: 23 µs for 32 heads, 61 for the last 63 columns.
FEWEST_COLUMNS_SKIPPED = 64

# Widest heads whose keys or values are transposed in scratch memory before a product a bᵀ: with rows of both factors in
# memory order, small products run at 60 GFLOP/s instead of 105. Measured with 48 heads of 64 rows: 204 µs for 32 columns,
# 34 for the copy and 122 for the product after it; at 64 columns the copy costs more than it gains.
WIDEST_TRANSPOSED = 32

ZERO, EXCLUDED = np.float32(0), np.float32(-np.inf)

Where = tuple[slice, slice]


class Problem(NamedTuple):
    """Views of the operands as (N, key heads, queries heads per key head, T, d), and what to do with their scores."""

    q: Array
    k: Array
    v: Array
    mask: Array | None
    causal: bool
    offset: int
    scale: float
    dropout: float
    seed: int
    kept: Array | None = None  # the exponentials of all scores, (N, key heads, query heads per key head, Tq, Tk)

    @property
    def power(self) -> np.ufunc:
        """The function whose value at a score · `log_base` is exp of the score: e to the power where a mask may hold −inf."""
        return POWER if self.mask is None else np.exp

    @property
    def log_base(self) -> float:
        return LOG_BASE if self.mask is None else 1.0

    @property
    def query_block(self) -> int:
        """Queries of one block: fewer where sequences are short and causal."""
        return SHORT_CAUSAL_QUERY_BLOCK if self.causal and self.q.shape[3] <= SHORT else QUERY_BLOCK

    @property
    def one_tile(self) -> bool:
        """Whether all scores of a head are one block, in which the last query sees all keys."""
        tq, tk = self.q.shape[3], self.k.shape[3]
        return tq <= self.query_block and 0 < tk <= KEY_BLOCK and (not self.causal or tk <= tq + self.offset)

    @property
    def groups(self) -> list[Where]:
        """Slices of (N, key heads) whose scores make one block."""
        n, heads, per_key, tq = self.q.shape[:4]
        size = per_key * min(tq, self.query_block) * min(self.k.shape[3], KEY_BLOCK)
        if heads * size <= SCORE_ELEMENTS:
            return [(slice(*ends), slice(None)) for ends in row_blocks(n, heads * size, SCORE_ELEMENTS)]
        return [(slice(i, i + 1), slice(*ends)) for i in range(n) for ends in row_blocks(heads, size, SCORE_ELEMENTS)]


class Tile(NamedTuple):
    rows: slice
    columns: slice
    stream: int


def tiles_of(p: Problem, group: int) -> Iterator[tuple[slice, list[Tile]]]:
    """Each block of queries with the blocks of keys that it looks at, those above the causal diagonal left out."""
    tq, tk = p.q.shape[3], p.k.shape[3]
    row_starts, column_starts = range(0, tq, p.query_block), range(0, tk, KEY_BLOCK)
    for i, row in enumerate(row_starts):
        last = min(row + p.query_block, tq)
        limit = min(tk, max(last + p.offset, 0)) if p.causal else tk
        rows, stream = slice(row, last), (group * len(row_starts) + i) * len(column_starts)
        yield (
            rows,
            [
                Tile(rows, slice(column, min(column + KEY_BLOCK, limit)), stream + j)
                for j, column in enumerate(column_starts)
                if column < limit
            ],
        )


def masked_scores(p: Problem, where: Where, tile: Tile, q: Array) -> Array:
    """Scores · log_base of a tile in scratch memory for scaled q, −inf where the mask or causality excludes a key."""
    scores = _scores(p, where, tile, q)
    corner = _corner(p, tile, scores)
    if corner is not None:
        np.add(corner[0], _above(*corner[0].shape[-2:], corner[1], scores.dtype), out=corner[0])
    return scores


def exponentials(p: Problem, where: Where, tile: Tile, q: Array, summed: bool = True) -> tuple[Array, Array | None]:
    """exp of the scores of a tile in scratch memory, 0 where a key is excluded, and if asked for their sums along rows.

    What causality excludes is multiplied by 0 afterwards, since powers of −inf are slow; where one of those overflowed,
    it is excluded before.
    """
    scores = _scores(p, where, tile, q)
    corner = _corner(p, tile, scores)
    p.power(scores, out=scores)
    vector = ones(scores.shape[-1], scores.dtype)
    if corner is None:
        return scores, scores @ vector if summed else None
    part, diagonal = corner
    np.multiply(part, _below(*part.shape[-2:], diagonal, scores.dtype), out=part)
    total = scores @ vector
    if not np.isfinite(total).all():
        scores = masked_scores(p, where, tile, q)
        total = p.power(scores, out=scores) @ vector
    return scores, total


def _scores(p: Problem, where: Where, tile: Tile, q: Array) -> Array:
    k = p.k[where][..., tile.columns, :]
    shape = (*q.shape[:-1], k.shape[-2])
    out = scratch("attention.scores", shape, q.dtype) if p.kept is None else p.kept[where]
    scores = np.matmul(q, transposed("attention.k", k), out=out)
    if p.mask is not None:
        part = _cut(p.mask, where, tile)
        np.add(scores, np.where(part, ZERO, EXCLUDED) if part.dtype == np.bool_ else part, out=scores)
    return scores


def _corner(p: Problem, tile: Tile, scores: Array) -> tuple[Array, int] | None:
    """The last columns of a tile, which hold all that causality excludes, and the last diagonal there that it does not."""
    first = tile.rows.start + p.offset + 1
    if not p.causal or tile.columns.stop <= first:
        return None
    first = max(first, tile.columns.start)
    if first - tile.columns.start < FEWEST_COLUMNS_SKIPPED:
        first = tile.columns.start
    return scores[..., first - tile.columns.start :], tile.rows.start + p.offset - first


@functools.lru_cache(maxsize=64)
def _below(rows: int, columns: int, diagonal: int, dtype: np.dtype[Any]) -> Array:
    """1 up to a diagonal and 0 above it."""
    below = np.tri(rows, columns, diagonal, dtype)
    below.flags.writeable = False
    return below


@functools.lru_cache(maxsize=64)
def _above(rows: int, columns: int, diagonal: int, dtype: np.dtype[Any]) -> Array:
    """0 up to a diagonal and −inf above it: adding it takes a third of the time of a masked copy."""
    above = np.zeros((rows, columns), dtype)
    above[~np.tri(rows, columns, diagonal, np.bool_)] = -np.inf
    above.flags.writeable = False
    return above


def _cut(mask: Array, where: Where, tile: Tile) -> Array:
    """The part of a mask that a tile needs; axes of length one stay, to be broadcast."""
    slices = (*where, slice(None), tile.rows, tile.columns)
    return mask[tuple(slice(None) if length == 1 else s for s, length in zip(slices, mask.shape, strict=True))]


def problem(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    causal: bool,
    scale: float | None,
    dropout: float,
    seed: int,
    causal_offset: int,
) -> Problem:
    _check(q, k, v, mask, dropout)
    heads = k.shape[-3] if k.ndim > 2 else 1
    if mask is not None:
        mask = split_heads(mask.reshape((1,) * (q.ndim - mask.ndim) + mask.shape), heads, q.shape[:-3])
    return Problem(
        split_heads(q, heads),
        split_heads(k, heads),
        split_heads(v, heads),
        mask,
        causal,
        causal_offset,
        default_scale(q.shape[-1]) if scale is None else float(scale),
        dropout,
        seed,
    )


def default_scale(d: int) -> float:
    """1/√d; of heads without features all scores are 0, whatever they are multiplied by."""
    return 1 / math.sqrt(d) if d else 1.0


def _check(q: Array, k: Array, v: Array, mask: Array | None, dropout: float) -> None:
    shapes = f"got q {q.shape}, k {k.shape}, v {v.shape}"
    if not 2 <= q.ndim == k.ndim == v.ndim:
        raise ValueError(f"attention expects q, k, v of equal rank, at least 2: {shapes}")
    if q.shape[-1] != k.shape[-1] or k.shape[:-1] != v.shape[:-1] or q.shape[:-3] != k.shape[:-3]:
        raise ValueError(f"attention expects q (..., H, Tq, d), k (..., Hk, Tk, d), v (..., Hk, Tk, dv): {shapes}")
    if q.ndim > 2 and (q.shape[-3] % k.shape[-3] if k.shape[-3] else q.shape[-3]):
        raise ValueError(f"the number of query heads must be a multiple of that of key heads: {shapes}")
    full = (*q.shape[:-1], k.shape[-2])
    if mask is not None and not _broadcasts_to(mask.shape, full):
        raise ValueError(f"attention expects a mask broadcastable to {full}, got {mask.shape}")
    if not 0 <= dropout < 1:
        raise ValueError(f"attention dropout must be in [0, 1), got {dropout}")


def _broadcasts_to(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    if len(shape) > len(full):
        return False
    return all(length in (1, other) for length, other in zip(reversed(shape), reversed(full), strict=False))


def empty_like(x: Array) -> Array:
    """An array laid out as `x` is, so that heads split off a (B, T, H d) array merge again without a copy."""
    return np.empty_like(x, order="K" if x.ndim <= 4 else "C")


def scratch_like(name: str, x: Array) -> Array:
    """Scratch memory of the shape and the order of axes of a five-axis view, so that both are gone through alike."""
    if x.strides[1] >= x.strides[3]:
        return scratch(name, x.shape, x.dtype)
    n, heads, per_key, t, d = x.shape
    return scratch(name, (n, t, heads, per_key, d), x.dtype).transpose(0, 2, 3, 1, 4)


def transposed(name: str, x: Array) -> Array:
    """x (..., T, d) as (..., d, T), in the memory order in which its product with rows is fastest."""
    swapped = np.swapaxes(x, -1, -2)
    if x.shape[-1] > WIDEST_TRANSPOSED:
        return swapped
    out = scratch(name, swapped.shape, x.dtype)
    np.copyto(out, swapped)
    return out


def by_row(values: Array, like: Array) -> Array:
    """`values`, one for each row of `like` (..., T, d), as (..., T, 1) in the memory order of `like`.

    A broadcast operand in another order keeps NumPy from joining axes: 43 µs instead of 17 for 1,024 × 64 rows of 32.
    """
    ordered = np.empty_like(like[..., 0], order="K")
    np.copyto(ordered, values)
    return ordered[..., None]


def split_heads(x: Array, key_heads: int, lead: tuple[int, ...] | None = None) -> Array:
    """View x (..., H, T, d) as (N, Hk, H / Hk, T, d); a head axis of length one (of a mask) stays one."""
    while x.ndim < 4:
        x = x[None]
    if lead is not None and len(lead) > 1 and x.shape[:-3] != lead:
        x = np.broadcast_to(x, (*lead, *x.shape[-3:]))
    if x.ndim > 4:
        x = x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])
    n, heads, t, d = x.shape
    if heads == 1 and key_heads > 1:
        return x[:, :, None]
    return x.reshape(n, key_heads, heads // max(key_heads, 1), t, d)
