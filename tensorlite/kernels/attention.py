"""Scaled dot-product attention (Vaswani et al. 2017) block by block: the whole matrix of scores never exists.

Scores of a block of queries against a block of keys are exponentiated while they are in cache; only the output and
the logsumexp of each row are kept, and the backward recomputes the rest (Dao et al. 2022, "FlashAttention"). Short
sequences take several heads to a block and one block of keys; long ones one head and as many blocks as their length
asks for.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tensorlite.kernels.blocks import Array, float16_by_float32, ones, scratch
from tensorlite.kernels.dropout import keep_mask
from tensorlite.kernels.threads import parallel_for

QUERY_BLOCK = 128
KEY_BLOCK = 512
# Scores of one block when heads are short enough to share it.
SCORE_ELEMENTS = QUERY_BLOCK * KEY_BLOCK

# Scores bounded by this need no row maximum: exp neither overflows nor loses the row, whatever the mask leaves of it.
LARGEST_UNSHIFTED = 60.0
SMALLEST_UNSHIFTED_SUM = 1e-25


def attention_definition(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    keep: Array | None = None,
    dropout: float = 0.0,
    causal_offset: int = 0,
) -> Array:
    """softmax(q kᵀ scale + mask) v, with 0 for fully masked rows; `keep` is the dropout mask of the probabilities."""
    groups = q.shape[-3] // k.shape[-3] if q.ndim > 2 else 1
    if groups > 1:
        k, v = np.repeat(k, groups, -3), np.repeat(v, groups, -3)
    scores = q @ np.swapaxes(k, -1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    rows, columns = np.indices(scores.shape[-2:])
    part: Array = np.asarray(columns <= rows + causal_offset) if causal else np.ones_like(rows, np.bool_)
    if mask is not None and mask.dtype == np.bool_:
        part = part & mask
    elif mask is not None:
        scores = scores + mask
        part = part & (mask > -np.inf)
    scores = np.where(part, scores, -np.inf)
    top = scores.max(-1, keepdims=True, initial=-np.inf)
    e = np.where(part, np.exp(scores - np.where(np.isfinite(top), top, 0)), 0)
    total = e.sum(-1, keepdims=True)
    p = e / np.where(total == 0, 1, total)
    return np.asarray((p if keep is None else p * keep / (1 - dropout)) @ v)


@dataclass
class _Problem:
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

    @functools.cached_property
    def bounded(self) -> bool:
        """Whether |q||k| scale, and so by Cauchy and Schwarz every score, is small enough to exponentiate as it is."""
        if self.mask is not None and self.mask.dtype != np.bool_ and not np.max(self.mask, initial=0) <= 0:
            return False
        longest_q = float(np.sqrt(np.max(np.vecdot(self.q, self.q), initial=0)))
        longest_k = float(np.sqrt(np.max(np.vecdot(self.k, self.k), initial=0)))
        return longest_q * longest_k * abs(self.scale) <= LARGEST_UNSHIFTED

    @property
    def groups(self) -> list[tuple[slice, slice]]:
        """Slices of (N, key heads) whose scores make one block."""
        n, heads, per_key, tq = self.q.shape[:4]
        size = per_key * min(tq, QUERY_BLOCK) * min(self.k.shape[3], KEY_BLOCK)
        if heads * size <= SCORE_ELEMENTS:
            step = SCORE_ELEMENTS // max(heads * size, 1)
            return [(slice(i, i + step), slice(None)) for i in range(0, n, step)]
        step = max(1, SCORE_ELEMENTS // size)
        return [(slice(i, i + 1), slice(h, h + step)) for i in range(n) for h in range(0, heads, step)]


class _Tile(NamedTuple):
    rows: slice
    columns: slice
    stream: int


def _tiles(p: _Problem, group: int) -> Iterator[tuple[slice, list[_Tile]]]:
    """Each block of queries with the blocks of keys that it looks at, those above the causal diagonal left out."""
    tq, tk = p.q.shape[3], p.k.shape[3]
    row_starts, column_starts = range(0, tq, QUERY_BLOCK), range(0, tk, KEY_BLOCK)
    for i, row in enumerate(row_starts):
        last = min(row + QUERY_BLOCK, tq)
        limit = min(tk, max(last + p.offset, 0)) if p.causal else tk
        rows, stream = slice(row, last), (group * len(row_starts) + i) * len(column_starts)
        yield (
            rows,
            [
                _Tile(rows, slice(column, min(column + KEY_BLOCK, limit)), stream + j)
                for j, column in enumerate(column_starts)
                if column < limit
            ],
        )


@float16_by_float32
def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
    seed: int = 0,
    causal_offset: int = 0,
) -> tuple[Array, Array]:
    """Attention output (..., H, Tq, dv) and the logsumexp (..., H, Tq) of its scores, +inf where a row is fully masked.

    q is (..., H, Tq, d); k (..., Hk, Tk, d) and v (..., Hk, Tk, dv) may have fewer heads, each shared by H / Hk
    consecutive query heads. `mask` is boolean (True takes part) or added to the scores, broadcastable to (..., H, Tq,
    Tk). With `causal`, query i sees keys up to i + `causal_offset`. Dropout of probabilities is drawn from `seed`.

    Raises:
        ValueError: if the shapes do not fit or the probability of dropout is not in [0, 1).
    """
    p = _problem(q, k, v, mask, causal, scale, dropout, seed, causal_offset)
    out = _empty_like(q) if q.shape[-1] == v.shape[-1] else np.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    logsumexp = np.empty(q.shape[:-1], q.dtype)
    out5, lse4 = _split_heads(out, p.k.shape[1]), _split_heads(logsumexp[..., None], p.k.shape[1])[..., 0]
    groups = p.groups if out.size else []

    def block(start: int, stop: int) -> None:
        for group in range(start, stop):
            where = groups[group]
            for rows, tiles in _tiles(p, group):
                _forward_rows(p, where, tiles, out5[where][..., rows, :], lse4[where][..., rows])

    with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
        parallel_for(block, [(i, i + 1) for i in range(len(groups))])
    if not p.k.shape[3]:
        out[...], logsumexp[...] = 0, np.inf
    return out, logsumexp


def _forward_rows(p: _Problem, where: tuple[slice, slice], tiles: list[_Tile], out: Array, lse: Array) -> None:
    if not tiles:
        out[...], lse[...] = 0, np.inf
        return
    q = _scaled(p.q[where][..., tiles[0].rows, :], p.scale, "attention.q")
    if p.bounded:
        total = _accumulate(p, where, tiles, q, out)
        if np.minimum.reduce(total, axis=None) > SMALLEST_UNSHIFTED_SUM:
            np.log(total, out=lse)
            np.divide(out, total[..., None], out=out)
            return
    top, total = _accumulate_online(p, where, tiles, q, out)
    empty = total == 0
    total[empty] = 1
    np.divide(out, total[..., None], out=out)
    lse[...] = np.where(empty, np.inf, top + np.log(total))


def _accumulate(p: _Problem, where: tuple[slice, slice], tiles: list[_Tile], q: Array, out: Array) -> Array:
    """Σ exp(scores) v into `out` and Σ exp(scores), where no maximum has to be subtracted."""
    total = np.zeros(q.shape[:-1], q.dtype)
    for tile in tiles:
        scores = _scores(p, where, tile, q)
        np.exp(scores, out=scores)
        _remove_masked(p, where, tile, scores, 0.0)
        total += scores @ ones(scores.shape[-1], q.dtype)
        _add_product(_dropped(p, tile, scores), p.v[where][..., tile.columns, :], out, tile is tiles[0])
    return total


def _accumulate_online(
    p: _Problem, where: tuple[slice, slice], tiles: list[_Tile], q: Array, out: Array
) -> tuple[Array, Array]:
    """The same relative to a running row maximum, which is returned first (Milakov and Gimelshein 2018)."""
    total = np.zeros(q.shape[:-1], q.dtype)
    top = np.full(q.shape[:-1], -np.inf, q.dtype)
    for tile in tiles:
        scores = _scores(p, where, tile, q)
        _remove_masked(p, where, tile, scores, -np.inf)
        new_top = np.maximum(top, np.maximum.reduce(scores, axis=-1))
        shift = np.where(new_top == -np.inf, 0, new_top)
        np.subtract(scores, shift[..., None], out=scores)
        np.exp(scores, out=scores)
        correction = np.exp(top - shift)
        total *= correction
        total += scores @ ones(scores.shape[-1], q.dtype)
        if tile is not tiles[0]:
            np.multiply(out, correction[..., None], out=out)
        _add_product(_dropped(p, tile, scores), p.v[where][..., tile.columns, :], out, tile is tiles[0])
        top = new_top
    return top, total


@float16_by_float32
def attention_backward(
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    logsumexp: Array,
    mask: Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
    seed: int = 0,
    causal_offset: int = 0,
) -> tuple[Array, Array, Array]:
    """Cotangents of q, k and v of `attention`, from what it was given and what it returned."""
    p = _problem(q, k, v, mask, causal, scale, dropout, seed, causal_offset)
    dq, dk, dv = _empty_like(q), _empty_like(k), _empty_like(v)
    heads = p.k.shape[1]
    g5, out5, lse5 = _split_heads(g, heads), _split_heads(out, heads), _split_heads(logsumexp[..., None], heads)
    dq5, dk5, dv5 = _split_heads(dq, heads), _split_heads(dk, heads), _split_heads(dv, heads)
    groups = p.groups if g.size and k.size else []

    def block(start: int, stop: int) -> None:
        for group in range(start, stop):
            where = groups[group]
            dk5[where], dv5[where] = 0, 0
            for rows, tiles in _tiles(p, group):
                gb, ob, lb, db = (a[where][..., rows, :] for a in (g5, out5, lse5, dq5))
                _backward_rows(p, where, tiles, gb, ob, lb, db, dk5[where], dv5[where])

    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        parallel_for(block, [(i, i + 1) for i in range(len(groups))])
    if not groups:
        dq[...], dk[...], dv[...] = 0, 0, 0
    return dq, dk, dv


def _backward_rows(
    p: _Problem,
    where: tuple[slice, slice],
    tiles: list[_Tile],
    g: Array,
    out: Array,
    lse: Array,
    dq: Array,
    dk: Array,
    dv: Array,
) -> None:
    if not tiles:
        dq[...] = 0
        return
    q = _scaled(p.q[where][..., tiles[0].rows, :], p.scale, "attention.q")
    unshifted = p.bounded and bool((lse >= -LARGEST_UNSHIFTED).all())
    if unshifted:
        # exp(s − lse) g = exp(s) (exp(−lse) g): the shift is paid on (T, d) instead of on the scores.
        g = np.multiply(g, np.exp(-lse), out=scratch("attention.g", g.shape, g.dtype))
    inner = np.vecdot(g, out)[..., None]
    for tile in tiles:
        columns = tile.columns
        k, v = p.k[where][..., columns, :], p.v[where][..., columns, :]
        probabilities = _scores(p, where, tile, q)
        if not unshifted:
            np.subtract(probabilities, lse, out=probabilities)
        np.exp(probabilities, out=probabilities)
        _remove_masked(p, where, tile, probabilities, 0.0)
        d_scores = np.matmul(g, np.swapaxes(v, -1, -2), out=scratch("attention.d", probabilities.shape, q.dtype))
        kept = probabilities
        if p.dropout:
            factor = _keep_factor(p, tile, probabilities.shape, q.dtype)
            np.multiply(d_scores, factor, out=d_scores)
            kept = np.multiply(probabilities, factor, out=factor)
        _add_to_keys(np.swapaxes(kept, -1, -2), g, dv[..., columns, :])
        np.subtract(d_scores, inner, out=d_scores)
        np.multiply(d_scores, probabilities, out=d_scores)
        _add_product(d_scores, k, dq, tile is tiles[0])
        _add_to_keys(np.swapaxes(d_scores, -1, -2), q, dk[..., columns, :])
    np.multiply(dq, p.scale, out=dq)


def _scores(p: _Problem, where: tuple[slice, slice], tile: _Tile, q: Array) -> Array:
    """Scores of a tile, in scratch memory."""
    k = p.k[where][..., tile.columns, :]
    shape = (*q.shape[:-1], k.shape[-2])
    scores = np.matmul(q, np.swapaxes(k, -1, -2), out=scratch("attention.scores", shape, q.dtype))
    if p.mask is not None and p.mask.dtype != np.bool_:
        np.add(scores, _cut(p.mask, where, tile), out=scores)
    return scores


def _remove_masked(p: _Problem, where: tuple[slice, slice], tile: _Tile, scores: Array, value: float) -> None:
    """Put `value` where the mask or causality excludes a key."""
    if p.mask is not None and p.mask.dtype == np.bool_:
        np.copyto(scores, scores.dtype.type(value), where=~_cut(p.mask, where, tile))
    if p.causal and tile.columns.stop - 1 > tile.rows.start + p.offset:
        first = max(tile.rows.start + p.offset + 1, tile.columns.start)
        corner = scores[..., first - tile.columns.start :]
        rows, columns = corner.shape[-2:]
        seen = _seen(rows, columns, tile.rows.start + p.offset - first, scores.dtype)
        if value == 0 and p.bounded:
            np.multiply(corner, seen, out=corner)
        else:
            np.copyto(corner, scores.dtype.type(value), where=seen == 0)


@functools.lru_cache(maxsize=64)
def _seen(rows: int, columns: int, diagonal: int, dtype: np.dtype[Any]) -> Array:
    """1 up to a diagonal and 0 above it: a product with it takes a tenth of the time of a masked copy."""
    return np.tri(rows, columns, diagonal, dtype)


def _cut(mask: Array, where: tuple[slice, slice], tile: _Tile) -> Array:
    """The part of a mask that a tile needs; axes of length one stay, to be broadcast."""
    slices = (*where, slice(None), tile.rows, tile.columns)
    return mask[tuple(slice(None) if length == 1 else s for s, length in zip(slices, mask.shape, strict=True))]


def _dropped(p: _Problem, tile: _Tile, probabilities: Array) -> Array:
    if not p.dropout:
        return probabilities
    factor = _keep_factor(p, tile, probabilities.shape, probabilities.dtype)
    return np.multiply(probabilities, factor, out=probabilities)


def _keep_factor(p: _Problem, tile: _Tile, shape: tuple[int, ...], dtype: np.dtype[np.floating]) -> Array:
    mask = keep_mask(math.prod(shape), p.dropout, p.seed, tile.stream).reshape(shape)
    factor = scratch("attention.keep", shape, dtype)
    return np.multiply(mask, 1 / (1 - p.dropout), out=factor, casting="unsafe")


def _add_product(a: Array, b: Array, out: Array, first: bool) -> None:
    if first:
        np.matmul(a, b, out=out)
    else:
        np.add(out, np.matmul(a, b, out=scratch("attention.product", out.shape, out.dtype)), out=out)


def _add_to_keys(a: Array, b: Array, out: Array) -> None:
    """Add a b into rows of keys, summed over the query heads that share a key head."""
    shape = (*out.shape[:2], a.shape[2], *out.shape[3:])
    product = np.matmul(a, b, out=scratch("attention.product", shape, out.dtype))
    np.add(out, product if shape == out.shape else product.sum(2, keepdims=True), out=out)


def _scaled(q: Array, scale: float, name: str) -> Array:
    return np.multiply(q, scale, out=scratch(name, q.shape, q.dtype))


def _problem(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    causal: bool,
    scale: float | None,
    dropout: float,
    seed: int,
    causal_offset: int,
) -> _Problem:
    _check(q, k, v, dropout)
    heads = k.shape[-3] if k.ndim > 2 else 1
    if mask is not None:
        mask = _split_heads(mask.reshape((1,) * (q.ndim - mask.ndim) + mask.shape), heads, q.shape[:-3])
    return _Problem(
        _split_heads(q, heads),
        _split_heads(k, heads),
        _split_heads(v, heads),
        mask,
        causal,
        causal_offset,
        1 / math.sqrt(q.shape[-1]) if scale is None else float(scale),
        dropout,
        seed,
    )


def _check(q: Array, k: Array, v: Array, dropout: float) -> None:
    shapes = f"got q {q.shape}, k {k.shape}, v {v.shape}"
    if not 2 <= q.ndim == k.ndim == v.ndim:
        raise ValueError(f"attention expects q, k, v of equal rank, at least 2: {shapes}")
    if q.shape[-1] != k.shape[-1] or k.shape[:-1] != v.shape[:-1] or q.shape[:-3] != k.shape[:-3]:
        raise ValueError(f"attention expects q (..., H, Tq, d), k (..., Hk, Tk, d), v (..., Hk, Tk, dv): {shapes}")
    if q.ndim > 2 and (q.shape[-3] % k.shape[-3] if k.shape[-3] else q.shape[-3]):
        raise ValueError(f"the number of query heads must be a multiple of that of key heads: {shapes}")
    if not 0 <= dropout < 1:
        raise ValueError(f"attention dropout must be in [0, 1), got {dropout}")


def _empty_like(x: Array) -> Array:
    """An array laid out as `x` is, so that heads split off a (B, T, H d) array merge again without a copy."""
    return np.empty_like(x, order="K" if x.ndim <= 4 else "C")


def _split_heads(x: Array, key_heads: int, lead: tuple[int, ...] | None = None) -> Array:
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
