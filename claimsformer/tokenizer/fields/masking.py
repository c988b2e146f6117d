"""Hiding tokens for masked claim-field modelling, so that nothing that is left gives the hidden value away."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from claimsformer.tokenizer.base import TokenizerError
from claimsformer.tokenizer.fields.batch import ClaimBatch
from claimsformer.tokenizer.fields.tokenizer import FieldTokenizer

__all__ = ["choose_at_random", "choose_field", "closure", "hide"]

Bools = npt.NDArray[np.bool_]


def _hiding_matrix(tokenizer: FieldTokenizer) -> Bools:
    """(field_size, field_size): entry [i, j] says that hiding field i hides field j."""
    matrix = np.eye(tokenizer.field_size, dtype=np.bool_)
    for i, field in enumerate(tokenizer.spec.fields, start=1):
        for j, other in enumerate(tokenizer.spec.fields, start=1):
            same_group = field.mask_group is not None and field.mask_group == other.mask_group
            matrix[i, j] |= same_group or other.name in field.hides
    matrix[0, 0] = False
    return matrix


def closure(tokenizer: FieldTokenizer, batch: ClaimBatch, chosen: Bools) -> Bools:
    """All tokens to hide when `chosen` (B, T) are: themselves, their fields' mask groups and what those fields hide.

    Between two fields with ranks only the same rank is hidden (the charge and the charge ratio of line 3).
    """
    others = (_hiding_matrix(tokenizer) & ~np.eye(tokenizer.field_size, dtype=np.bool_)).astype(np.float32)
    ranks = tokenizer.position_size
    seen = np.zeros((len(batch), ranks, tokenizer.field_size), dtype=np.float32)
    rows = np.broadcast_to(np.arange(len(batch))[:, None], batch.shape)
    seen[rows[chosen], batch.position_ids[chosen], batch.field_ids[chosen]] = 1
    reach = seen + seen[:, :1]  # a field without ranks reaches every rank
    reach[:, 0] = seen.sum(axis=1)  # and is reached from every rank
    hidden_fields = (reach @ others) > 0
    hidden: Bools = chosen | hidden_fields[rows, batch.position_ids, batch.field_ids]
    return hidden & batch.mask


def hide(tokenizer: FieldTokenizer, batch: ClaimBatch, hidden: Bools) -> ClaimBatch:
    """The batch with [MASK] for the hidden values, and no parents and scalars of them; field and rank stay."""
    if hidden.shape != batch.shape:
        raise TokenizerError(f"hidden must have the batch's shape {batch.shape}, got {hidden.shape}")
    return ClaimBatch(
        value_ids=np.where(hidden, np.int32(tokenizer.mask_token_id or 0), batch.value_ids),
        parent_ids=np.where(hidden, np.int32(0), batch.parent_ids),
        field_ids=batch.field_ids,
        position_ids=batch.position_ids,
        scalars=np.where(hidden, np.float32(0), batch.scalars),
        mask=batch.mask,
    )


def choose_at_random(
    tokenizer: FieldTokenizer,
    batch: ClaimBatch,
    rate: float,
    rng: np.random.Generator,
    extra: Mapping[str, float] | None = None,
) -> Bools:
    """Each token with probability `rate` + `extra[field]`, never [CLS] or padding, at least one a claim; (B, T)."""
    if not 0 < rate <= 1:
        raise TokenizerError(f"rate must be in (0, 1], got {rate}")
    rates = np.full(tokenizer.field_size, rate)
    for name, more in (extra or {}).items():
        rates[tokenizer.field_id(name)] += more
    candidates = batch.mask & (batch.field_ids > 0)
    draws = rng.random(batch.shape) / rates[batch.field_ids]
    draws = np.where(candidates, draws, np.inf)
    chosen: Bools = draws < 1
    lonely = ~chosen.any(axis=1) & candidates.any(axis=1)
    chosen[lonely, draws[lonely].argmin(axis=1)] = True
    return chosen


def choose_field(tokenizer: FieldTokenizer, batch: ClaimBatch, name: str, rank: int | None = None) -> Bools:
    """The tokens of one field (of one rank of it), to score how well the rest of the claim predicts them; (B, T)."""
    chosen: Bools = batch.mask & (batch.field_ids == tokenizer.field_id(name))
    if rank is not None:
        chosen &= batch.position_ids == rank
    return chosen
