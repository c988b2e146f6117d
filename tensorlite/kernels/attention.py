"""Scaled dot-product attention (Vaswani et al. 2017) block by block: the whole matrix of scores never exists.

Scores of a block of queries against a block of keys are exponentiated while they are in cache; only the output and
the logsumexp of each row are kept, and the backward recomputes the rest (Dao et al. 2022, "FlashAttention"). Short
sequences take several heads to a block and one block of keys; long ones one head and as many blocks as their length
asks for.
"""

from __future__ import annotations

import math

import numpy as np

from tensorlite.kernels.attention_tiles import (
    SCORE_ELEMENTS,
    Problem,
    Tile,
    Where,
    by_row,
    default_scale,
    empty_like,
    exponentials,
    masked_scores,
    problem,
    scratch_like,
    split_heads,
    tiles_of,
    transposed,
)
from tensorlite.kernels.blocks import Array, float16_by_float32, ones, scratch
from tensorlite.kernels.dropout import keep_mask
from tensorlite.kernels.threads import parallel_for, single_threaded_blas

# Where the sum of a row's exponentials lies between these, no maximum need be subtracted from its scores: nothing
# overflowed, and what underflowed was negligible. A row maximum and its subtraction cost as much as exp itself.
SMALLEST_UNSHIFTED_SUM = 1e-10
LARGEST_UNSHIFTED_SUM = 1e25
# Above this, sums weighted with values may overflow although the weighted mean does not.
LARGEST_WEIGHTED_SUM = 1e10
# exp(−logsumexp) times a cotangent stays far from overflow below this.
LARGEST_UNSHIFTED_LOGSUMEXP = 30.0
# Rows whose |logsumexp| is below this were summed without their maximum subtracted.
LARGEST_KEPT_LOGSUMEXP = 20.0


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
    scores = q @ np.swapaxes(k, -1, -2) * (default_scale(q.shape[-1]) if scale is None else scale)
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

    The logsumexp of float16 operands is float32: rounded to float16 it would change the backward's probabilities.

    q is (..., H, Tq, d); k (..., Hk, Tk, d) and v (..., Hk, Tk, dv) may have fewer heads, each shared by H / Hk
    consecutive query heads. `mask` is boolean (True takes part) or added to the scores, broadcastable to (..., H, Tq,
    Tk). With `causal`, query i sees keys up to i + `causal_offset`. Dropout of probabilities is drawn from `seed`.

    Raises:
        ValueError: if the shapes do not fit or the probability of dropout is not in [0, 1).
    """
    if q.dtype == np.float16:
        q, k, v = (a.astype(np.float32) for a in (q, k, v))
        mask = mask.astype(np.float32) if mask is not None and mask.dtype == np.float16 else mask
        wide, logsumexp = attention(q, k, v, mask, causal, scale, dropout, seed, causal_offset)
        return wide.astype(np.float16), logsumexp
    if q.shape[-2:-1] == (1,) and mask is None and not dropout and _one_query_fits(q, k, v, causal, causal_offset):
        return _one_query(q, k, v, default_scale(q.shape[-1]) if scale is None else scale)
    return _by_blocks(problem(q, k, v, mask, causal, scale, dropout, seed, causal_offset), q, v)


def attention_with_exponentials(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
    seed: int = 0,
    causal_offset: int = 0,
) -> tuple[Array, Array, Array | None]:
    """`attention`, and the exponentials of its scores for the backward, or None where they had better be computed again.

    They are kept where they are no more numbers than the operands and the output, which is where sequences are short.
    """
    if not dropout and q.ndim > 2 and q.shape[-2] > 1 and q.size and q.dtype != np.float16:
        p = problem(q, k, v, mask, causal, scale, dropout, seed, causal_offset)
        shape = (*p.q.shape[:-1], k.shape[-2])
        if p.one_tile and math.prod(shape) <= 2 * (q.size + k.size):
            p = p._replace(kept=np.empty(shape, q.dtype))
            out, logsumexp = _by_blocks(p, q, v)
            return out, logsumexp, p.kept if (np.abs(logsumexp) <= LARGEST_KEPT_LOGSUMEXP).all() else None
    return *attention(q, k, v, mask, causal, scale, dropout, seed, causal_offset), None


def _by_blocks(p: Problem, q: Array, v: Array) -> tuple[Array, Array]:
    out = empty_like(q) if q.shape[-1] == v.shape[-1] else np.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    logsumexp = np.empty(q.shape[:-1], q.dtype)
    out5, lse4 = split_heads(out, p.k.shape[1]), split_heads(logsumexp[..., None], p.k.shape[1])[..., 0]
    groups = p.groups if out.size else []

    def block(start: int, stop: int) -> None:
        for group in range(start, stop):
            where = groups[group]
            for rows, tiles in tiles_of(p, group):
                _forward_rows(p, where, tiles, out5[where][..., rows, :], lse4[where][..., rows])

    with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
        parallel_for(block, [(i, i + 1) for i in range(len(groups))])
    if not p.k.shape[3]:
        out[...], logsumexp[...] = 0, np.inf
    return out, logsumexp


def _one_query_fits(q: Array, k: Array, v: Array, causal: bool, offset: int) -> bool:
    """Whether each head has one query that sees all its keys, as in decoding with a cache."""
    return (
        q.ndim > 2
        and k.shape[:-2] == q.shape[:-2]
        and k.shape[-1] == q.shape[-1]
        and k.shape[:-1] == v.shape[:-1]
        and q.size > 0
        and 0 < k.shape[-2] <= SCORE_ELEMENTS // math.prod(q.shape[:-1])
        and (not causal or offset + 1 >= k.shape[-2])
    )


def _one_query(q: Array, k: Array, v: Array, scale: float) -> tuple[Array, Array]:
    """The same without blocks: a token decoded with a cache waits for the interpreter more than for its few numbers."""
    with single_threaded_blas, np.errstate(invalid="ignore", over="ignore", under="ignore"):
        scores = np.matmul(q, np.swapaxes(k, -1, -2))
        np.multiply(scores, scale, out=scores)
        top = np.maximum.reduce(scores, axis=-1, keepdims=True)
        np.subtract(scores, top, out=scores)
        np.exp(scores, out=scores)
        total = np.add.reduce(scores, axis=-1, keepdims=True)
        out = np.matmul(scores, v)
        np.divide(out, total, out=out)
        return out, (top + np.log(total))[..., 0]


def _forward_rows(p: Problem, where: Where, tiles: list[Tile], out: Array, lse: Array) -> None:
    if not tiles:
        out[...], lse[...] = 0, np.inf
        return
    q = _scaled(p, where, tiles[0].rows)
    safe = _accumulate(p, where, tiles, q, out)
    if safe is not None and ((safe <= LARGEST_WEIGHTED_SUM).all() or np.isfinite(out).all()):
        np.log(safe, out=lse)
        np.multiply(out, by_row(np.divide(1, safe, out=safe), out), out=out)
        return
    top, total = _accumulate_online(p, where, tiles, q, out)
    empty = total == 0
    total[empty] = 1
    np.divide(out, total[..., None], out=out)
    lse[...] = np.where(empty, np.inf, top * (1 / p.log_base) + np.log(total))


def _accumulate(p: Problem, where: Where, tiles: list[Tile], q: Array, out: Array) -> Array | None:
    """Σ exp(scores), and Σ exp(scores) v into `out`; None where a maximum has to be subtracted."""
    total = np.zeros(q.shape[:-1], q.dtype)
    for tile in tiles:
        scores, sums = exponentials(p, where, tile, q)
        total += sums
        if not (total <= LARGEST_UNSHIFTED_SUM).all():  # False for NaN
            return None
        _add_product(_dropped(p, tile, scores), p.v[where][..., tile.columns, :], out, tile is tiles[0])
    return total if (total >= SMALLEST_UNSHIFTED_SUM).all() else None


def _accumulate_online(p: Problem, where: Where, tiles: list[Tile], q: Array, out: Array | None) -> tuple[Array, Array]:
    """The same relative to a running row maximum · log_base, which is returned first (Milakov and Gimelshein 2018).

    Without `out`, the maximum and the sum alone.
    """
    total = np.zeros(q.shape[:-1], q.dtype)
    top = np.full(q.shape[:-1], -np.inf, q.dtype)
    for tile in tiles:
        scores = masked_scores(p, where, tile, q)
        new_top = np.maximum(top, np.maximum.reduce(scores, axis=-1))
        shift = np.where(new_top == -np.inf, 0, new_top)
        np.subtract(scores, shift[..., None], out=scores)
        p.power(scores, out=scores)
        correction = p.power(top - shift)
        total *= correction
        total += scores @ ones(scores.shape[-1], q.dtype)
        top = new_top
        if out is None:
            continue
        if tile is not tiles[0]:
            np.multiply(out, correction[..., None], out=out)
        _add_product(_dropped(p, tile, scores), p.v[where][..., tile.columns, :], out, tile is tiles[0])
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
    kept: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Cotangents of q, k and v of `attention`, from what it was given and what it returned.

    `kept` is what `attention_with_exponentials` returned; without it the exponentials are computed again.
    """
    p = problem(q, k, v, mask, causal, scale, dropout, seed, causal_offset)._replace(kept=kept)
    dq, dk, dv = empty_like(q), empty_like(k), empty_like(v)
    heads = p.k.shape[1]
    g5, out5, lse5 = split_heads(g, heads), split_heads(out, heads), split_heads(logsumexp[..., None], heads)
    dq5, dk5, dv5 = split_heads(dq, heads), split_heads(dk, heads), split_heads(dv, heads)
    groups = p.groups if g.size and k.size else []

    def block(start: int, stop: int) -> None:
        for group in range(start, stop):
            where = groups[group]
            dk_group, dv_group = dk5[where], dv5[where]
            if p.kept is not None:
                _backward_kept(
                    p, where, p.kept[where], g5[where], out5[where], lse5[where], dq5[where], dk_group, dv_group
                )
                continue
            # From the last queries to the first: the last see every key that any query sees, so that their cotangents
            # are written, those of the others added.
            blocks = list(tiles_of(p, group))[::-1]
            seen = blocks[0][1][-1].columns.stop if blocks[0][1] else 0
            dk_group[..., seen:, :], dv_group[..., seen:, :] = 0, 0
            for i, (rows, tiles) in enumerate(blocks):
                gb, ob, lb, db = (a[where][..., rows, :] for a in (g5, out5, lse5, dq5))
                _backward_rows(p, where, tiles, gb, ob, lb, db, dk_group, dv_group, i == 0)
            if p.log_base != 1:  # they are sums of queries that were scaled by it
                np.multiply(dk_group, 1 / p.log_base, out=dk_group)

    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        parallel_for(block, [(i, i + 1) for i in range(len(groups))])
    if not groups:
        dq[...], dk[...], dv[...] = 0, 0, 0
    return dq, dk, dv


def _backward_kept(
    p: Problem,
    where: Where,
    exponentials: Array,
    g: Array,
    out: Array,
    lse: Array,
    dq: Array,
    dk: Array,
    dv: Array,
) -> None:
    """The cotangents of whole heads; the scale is paid on the values."""
    g = np.multiply(g, by_row(np.exp(-lse)[..., 0], g), out=scratch_like("attention.g", g))
    v = p.v[where]
    v = np.multiply(v, p.scale, out=scratch_like("attention.q", v))
    d_scores = np.matmul(g, transposed("attention.k", v), out=scratch("attention.d", exponentials.shape, g.dtype))
    np.subtract(d_scores, (np.vecdot(g, out) * p.scale)[..., None], out=d_scores)
    np.multiply(d_scores, exponentials, out=d_scores)
    np.matmul(d_scores, p.k[where], out=dq)
    _add_to_keys(np.swapaxes(d_scores, -1, -2), p.q[where], dk, True)
    _add_to_keys(np.swapaxes(exponentials, -1, -2), g, dv, True)


def _backward_rows(
    p: Problem,
    where: Where,
    tiles: list[Tile],
    g: Array,
    out: Array,
    lse: Array,
    dq: Array,
    dk: Array,
    dv: Array,
    first: bool,
) -> None:
    if not tiles:
        dq[...] = 0
        return
    q = _scaled(p, where, tiles[0].rows)
    small = np.abs(lse) <= LARGEST_UNSHIFTED_LOGSUMEXP
    unshifted, shift = bool(small.all()), lse * p.log_base
    if unshifted:
        # exp(s − lse) g = exp(s) (exp(−lse) g): the shift is paid on (T, d) instead of on the scores.
        g = np.multiply(g, by_row(np.exp(-lse)[..., 0], g), out=scratch_like("attention.g", g))
    elif not (small | np.isposinf(lse)).all():
        # Next to a large maximum the logarithm of the sum is lost in rounding: both are taken anew, one by one.
        top, total = _accumulate_online(p, where, tiles, q, None)
        shift = np.where(top == -np.inf, 0, top)[..., None]
        g = np.multiply(g, by_row(1 / np.where(total == 0, 1, total), g), out=scratch_like("attention.g", g))
    inner = np.vecdot(g, out)[..., None]
    product = scratch("attention.dq", dq.shape, dq.dtype)  # contiguous, as the cotangent itself may not be
    for tile in tiles:
        columns = tile.columns
        k, v = p.k[where][..., columns, :], p.v[where][..., columns, :]
        if unshifted:
            probabilities, _ = exponentials(p, where, tile, q, False)
        else:
            probabilities = masked_scores(p, where, tile, q)
            np.subtract(probabilities, shift, out=probabilities)
            p.power(probabilities, out=probabilities)
        d_scores = np.matmul(g, np.swapaxes(v, -1, -2), out=scratch("attention.d", probabilities.shape, q.dtype))
        kept = probabilities
        if p.dropout:
            factor = _keep_factor(p, tile, probabilities.shape, q.dtype)
            np.multiply(d_scores, factor, out=d_scores)
            kept = np.multiply(probabilities, factor, out=factor)
        _add_to_keys(np.swapaxes(kept, -1, -2), g, dv[..., columns, :], first)
        np.subtract(d_scores, inner, out=d_scores)
        np.multiply(d_scores, probabilities, out=d_scores)
        _add_product(d_scores, k, product, tile is tiles[0])
        _add_to_keys(np.swapaxes(d_scores, -1, -2), q, dk[..., columns, :], first)
    np.multiply(product, p.scale, out=dq)


def _dropped(p: Problem, tile: Tile, probabilities: Array) -> Array:
    if not p.dropout:
        return probabilities
    factor = _keep_factor(p, tile, probabilities.shape, probabilities.dtype)
    return np.multiply(probabilities, factor, out=probabilities)


def _keep_factor(p: Problem, tile: Tile, shape: tuple[int, ...], dtype: np.dtype[np.floating]) -> Array:
    mask = keep_mask(math.prod(shape), p.dropout, p.seed, tile.stream).reshape(shape)
    factor = scratch("attention.keep", shape, dtype)
    return np.multiply(mask, 1 / (1 - p.dropout), out=factor, casting="unsafe")


def _add_product(a: Array, b: Array, out: Array, first: bool) -> None:
    if first:
        np.matmul(a, b, out=out)
    else:
        np.add(out, np.matmul(a, b, out=scratch("attention.product", out.shape, out.dtype)), out=out)


def _add_to_keys(a: Array, b: Array, out: Array, first: bool) -> None:
    """Add a b into rows of keys, or write it there, summed over the query heads that share a key head."""
    if first and a.shape[2] == out.shape[2]:
        np.matmul(a, b, out=out)
        return
    shape = (*out.shape[:2], a.shape[2], *out.shape[3:])
    product = np.matmul(a, b, out=scratch("attention.product", shape, out.dtype))
    if shape != out.shape:
        product = product.sum(2, keepdims=True)
    if first:
        np.copyto(out, product)
    else:
        np.add(out, product, out=out)


def _scaled(p: Problem, where: Where, rows: slice) -> Array:
    """Queries times the scale and the logarithm of the base, so that powers of their scores is what softmax adds up."""
    q = p.q[where][..., rows, :]
    return np.multiply(q, p.scale * p.log_base, out=scratch_like("attention.q", q))
