"""Does the model remember single claims? Canaries and their exposure (Carlini et al. 2019, "The Secret Sharer").

A canary is a claim whose secret fields were drawn at random, planted into the training data. Its siblings are the same
claim with other draws, never trained on. Before training the canary is exchangeable with them; if it is more likely than
nearly all of them afterwards, it was remembered. Exposure = log2(number of candidates) - log2(rank of the canary) bits: 1.44
on average where nothing is remembered (the mean of -log2 of a uniform variable), the logarithm of the number of
candidates where everything is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.fields import CLAIM_SPEC, prepare
from claimsformer.assessment.masked_model import MaskedClaimModel, MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining, Progress, train_masked
from claimsformer.assessment.streaming_inference import HiddenTokenModel
from claimsformer.assessment.surprise import Predictor
from claimsformer.errors import ConfigError
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer, choose_field, closure, hide

__all__ = [
    "CHANCE",
    "SECRET",
    "Exposures",
    "draw_secrets",
    "exposure",
    "log_likelihood",
    "measure_exposure",
    "ranks_of_canaries",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Columns of `fields.prepare` that are drawn: together they would single a person out.
SECRET: Final = ("member_age", "member_state", "submit_lag", "diagnosis1", "diagnosis2", "diagnosis3", "diagnosis4")
CHANCE: Final = 1 / np.log(2)  # bits: mean, and standard deviation, of -log2 of a uniform variable
SIBLINGS: Final = 255
_FIELDS: Final = ("member_age", "member_state", "submit_lag", "diagnosis")


def draw_secrets(prepared: pl.DataFrame, base: pl.DataFrame, n: int, rng: np.random.Generator) -> pl.DataFrame:
    """`n` rows for each claim of `base` (in the order of the claims), secret columns drawn from the distinct values that
    `prepared` holds, uniformly and independently; both as `fields.prepare` makes them."""
    repeated = base[np.repeat(np.arange(base.height), n).tolist()]
    columns = []
    for name in SECRET:
        source = "diagnosis1" if name.startswith("diagnosis") else name
        values = prepared[source].drop_nulls().unique().sort()
        if values.is_empty():
            raise ConfigError(f"the claims hold no {source}, so no canary can be drawn")
        columns.append(values[rng.integers(len(values), size=repeated.height).tolist()].alias(name))
    return repeated.with_columns(columns)


def log_likelihood(model: Predictor, tokenizer: FieldTokenizer, claims: ClaimBatch, *, batch_size: int = 512) -> Floats:
    """Log pseudo-likelihood (N,) of the secret fields in nats: each token hidden by itself, given all the rest."""
    found = np.zeros(len(claims))
    for start in range(0, len(claims), batch_size):
        batch = claims[start : start + batch_size].compact()
        for name in _FIELDS:
            tokens = choose_field(tokenizer, batch, name)
            for rank in np.unique(batch.position_ids[tokens]).tolist():
                wanted = tokens & (batch.position_ids == rank)
                rows = np.flatnonzero(wanted.any(axis=1))
                part, chosen = batch[rows], wanted[rows]
                for guess in model.predict(hide(tokenizer, part, closure(tokenizer, part, chosen)), part, chosen):
                    log_p = guess.log_p[np.arange(len(guess.truth)), guess.truth].astype(np.float64)
                    np.add.at(found, start + rows[guess.rows], log_p)
    return found


def ranks_of_canaries(
    model: Predictor, tokenizer: FieldTokenizer, canaries: pl.DataFrame, siblings: pl.DataFrame
) -> Ints:
    """The rank (C,) of each canary among itself and its siblings, 1 for the likeliest; `siblings` has as many rows for
    each canary, in their order."""
    if not canaries.height or siblings.height % canaries.height:
        raise ConfigError(f"{siblings.height} siblings cannot be shared equally by {canaries.height} canaries")
    mine = log_likelihood(model, tokenizer, tokenizer.encode(canaries))
    others = log_likelihood(model, tokenizer, tokenizer.encode(siblings)).reshape(canaries.height, -1)
    ranks: Ints = 1 + (others >= mine[:, None]).sum(axis=1)
    return ranks


def exposure(ranks: Ints, n_candidates: int) -> Floats:
    """Bits (C,): log2 of the number of candidates, less log2 of the rank."""
    found: Floats = np.log2(n_candidates) - np.log2(ranks)
    return found


@dataclass(frozen=True)
class Exposures:
    """Exposure in bits of the canaries that were planted so many times, {times: (C,)}, among `n_candidates` each; the
    model was trained on `n_claims`, canaries included."""

    by_times: dict[int, Floats]
    n_candidates: int
    n_claims: int

    def mean(self, times: int = 1) -> tuple[float, float]:
        """The mean of the canaries planted so many times, and the standard error that chance alone would give it."""
        found = self.by_times[times]
        return float(found.mean()), float(CHANCE / np.sqrt(len(found)))


def measure_exposure(
    claims: pl.DataFrame,
    *,
    canaries: Mapping[int, int] | None = None,
    model: MaskedModelConfig | None = None,
    training: MaskedTraining | None = None,
    seed: int = 0,
    on_step: Callable[[Progress], None] | None = None,
) -> Exposures:
    """Plant canaries into claims (layout of `claims_schema()`), train as `ClaimsProcessor.fit` trains, and compare.

    `canaries` says how many are planted how many times, by default {1: 300, 10: 20, 100: 2}. Raises ConfigError where
    fewer professional claims than canaries are given.
    """
    wanted = dict(canaries or {1: 300, 10: 20, 100: 2})
    prepared, rng, n = prepare(claims), np.random.default_rng(seed), sum(wanted.values())
    base = prepared.filter((pl.col("claim_type") == "professional") & pl.col("submit_lag").is_not_null())
    if base.height < n:
        raise ConfigError(f"{n} canaries need as many professional claims with a submitted date, got {base.height}")
    base = base[np.sort(rng.permutation(base.height)[:n]).tolist()]
    planted, siblings = draw_secrets(prepared, base, 1, rng), draw_secrets(prepared, base, SIBLINGS, rng)
    times = np.repeat(list(wanted), list(wanted.values()))
    together = pl.concat([prepared, planted[np.repeat(np.arange(n), times).tolist()]])
    settings = training or MaskedTraining()
    tokenizer = FieldTokenizer(CLAIM_SPEC).fit(together)
    trained = MaskedClaimModel(tokenizer, model or MaskedModelConfig(), settings.seed)
    train_masked(trained, tokenizer, tokenizer.encode(together), settings, on_step=on_step)
    bits = exposure(ranks_of_canaries(HiddenTokenModel(trained), tokenizer, planted, siblings), SIBLINGS + 1)
    return Exposures({k: bits[times == k] for k in wanted}, SIBLINGS + 1, together.height)
