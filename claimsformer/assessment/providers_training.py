"""Training of the provider transformer: claim vectors from a masked model, then a supervised set encoder on top.

Both are trained on the training providers alone. A step sees at most `claims_per_provider` claims of each provider,
drawn anew; a provider is scored by the mean over several draws where it has more. Several models from different seeds
are averaged, because a thousand labels leave one model at the mercy of its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

import tensorlite as tl
from claimsformer.assessment.fields import CLAIM_SPEC, prepare
from claimsformer.assessment.masked_model import MaskedClaimModel, MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining, train_masked
from claimsformer.assessment.providers_data import ProviderSet
from claimsformer.assessment.providers_model import PiecewiseLinear, ProviderModelConfig, ProviderTransformer
from claimsformer.errors import ConfigError, NotFittedError
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer
from tensorlite import nn, optim
from tensorlite.nn import functional as F

__all__ = ["ProviderScorer", "ProviderTraining", "claim_measurements"]

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class ProviderTraining:
    """How long and how; a step sees a random share of each provider's claims, at least `least_share`; `pretraining` is
    that of the masked model, none where it is None."""

    epochs: int = 20
    batch_size: int = 32
    claims_per_provider: int = 64
    least_share: float = 0.6
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    n_models: int = 3
    n_draws: int = 4
    seed: int = 0
    pretraining: MaskedTraining | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "claims_per_provider", "n_models", "n_draws"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")


def claim_measurements(claims: pl.DataFrame, *, counts: bool = True) -> Floats:
    """Numbers of each claim, (N, M), in the order given: days, amounts, age, list lengths, which physicians are named,
    days since the member's previous claim here; with `counts` how often member and physician occur at this provider."""
    key = "billing_provider_id"
    days = (pl.coalesce("discharge_date", "service_thru") - pl.coalesce("admission_date", "service_from")).dt
    amount, long = pl.col("paid_amount").cast(pl.Float64), days.total_days().cast(pl.Float64)
    annual = [name for name in claims.columns if "Annual" in name]
    chosen = [
        long.alias("days"),
        amount.clip(1).log().alias("amount"),
        (amount / (long + 1)).alias("per_day"),
        ((pl.col("service_from") - pl.col("member_birth_date")).dt.total_days() / 365.25).alias("age"),
        pl.col("diagnoses").list.len().cast(pl.Float64),
        pl.col("procedures").list.len().cast(pl.Float64),
        pl.col("member_conditions").list.len().cast(pl.Float64),
        (pl.col("service_from").dt.weekday() > 5).cast(pl.Float64).alias("weekend"),
        pl.col("deductible_amount").is_null().cast(pl.Float64).alias("no_deductible"),
        pl.col("operating_provider_id").is_null().cast(pl.Float64).alias("no_operating"),
        pl.col("other_provider_id").is_null().cast(pl.Float64).alias("no_other"),
        (pl.col("attending_provider_id") == pl.col("operating_provider_id")).cast(pl.Float64).alias("same"),
        *(pl.col(name).cast(pl.Float64, strict=False) for name in annual),
    ]
    if counts:
        previous = pl.col("service_from").shift(1).over(key, "member_id", order_by="service_from")
        chosen += [
            (pl.col("service_from") - previous).dt.total_days().cast(pl.Float64).alias("gap"),
            pl.len().over(key, "member_id").cast(pl.Float64).alias("of_member"),
            pl.len().over(key, "attending_provider_id").cast(pl.Float64).alias("of_physician"),
            pl.len().over(key, pl.col("service_from").dt.truncate("1mo")).cast(pl.Float64).alias("of_month"),
        ]
    return claims.select(chosen).to_numpy().astype(np.float64)


class ProviderScorer:
    """`fit` on some providers of a set, `score` others; `statistics` (P, S) may be given beside the claims."""

    def __init__(self, model: ProviderModelConfig | None = None, training: ProviderTraining | None = None) -> None:
        self.config = model or ProviderModelConfig()
        self.training = training or ProviderTraining()
        self.models_: list[ProviderTransformer] = []
        self.losses_: list[float] = []

    def fit(
        self, data: ProviderSet, rows: Ints, statistics: Floats | None = None, *, tell: Tell = lambda line: None
    ) -> ProviderScorer:
        """Learn from the providers `rows` alone: vocabulary, masked model, encodings and the supervised models."""
        training = self.training
        mine = np.isin(data.owner, rows)
        claims = data.claims.filter(mine)
        self._masked: tuple[FieldTokenizer, MaskedClaimModel] | None = None
        if training.pretraining is not None:
            prepared = prepare(claims)
            tokenizer = FieldTokenizer(CLAIM_SPEC).fit(prepared)
            masked = MaskedClaimModel(tokenizer, MaskedModelConfig(), training.seed)
            train_masked(masked, tokenizer, tokenizer.encode(prepared), training.pretraining)
            self._masked = (tokenizer, masked)
            tell("masked model trained")
        self._numbers = PiecewiseLinear.fit(claim_measurements(claims, counts=self.config.counts))
        self._statistics = None if statistics is None else PiecewiseLinear.fit(statistics[rows])
        vectors, given = self._vectors(data), self._given(statistics)
        self.models_ = []
        for k in range(training.n_models):
            self.models_.append(self._train(data, rows, vectors, given, training.seed + k))
            tell(f"model {k + 1} of {training.n_models}, loss {np.mean(self.losses_[-20:]):.3f}")
        return self

    def _vectors(self, data: ProviderSet) -> Vectors:
        parts = [self._numbers(claim_measurements(data.claims, counts=self.config.counts))]
        if self._masked is not None:
            parts.append(claim_vectors(*self._masked, data.claims))
        return np.concatenate(parts, axis=1)

    def _given(self, statistics: Floats | None) -> Vectors | None:
        return None if statistics is None or self._statistics is None else self._statistics(statistics)

    def _train(
        self, data: ProviderSet, rows: Ints, vectors: Vectors, given: Vectors | None, seed: int
    ) -> ProviderTransformer:
        t = self.training
        model = ProviderTransformer(vectors.shape[1], 0 if given is None else given.shape[1], self.config, seed)
        optimizer = optim.AdamW(model.parameters(), lr=t.learning_rate, weight_decay=t.weight_decay)
        per_epoch = max(1, len(rows) // t.batch_size)
        schedule = optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=t.learning_rate, total_steps=t.epochs * per_epoch + 1, pct_start=0.1
        )
        model.train()
        with tl.random.fork_rng():
            tl.manual_seed(seed)
            for epoch in range(t.epochs):
                rng = np.random.default_rng([seed, epoch])
                for chosen in self._steps(data, rows, rng):
                    optimizer.zero_grad()
                    logits = self._logits(model, data, chosen, vectors, given, rng, t.least_share)
                    target = tl.from_numpy(data.labels[chosen].astype(np.float32))
                    loss = F.binary_cross_entropy_with_logits(logits, target)
                    loss.backward()
                    nn.utils.clip_grad_norm_(list(model.parameters()), 1.0)
                    optimizer.step()
                    schedule.step()
                    self.losses_.append(float(loss.item()))
        return model.eval()

    def _steps(self, data: ProviderSet, rows: Ints, rng: np.random.Generator) -> Iterator[Ints]:
        """The providers of each step of an epoch: those of like size together, so that little is padding."""
        size = self.training.batch_size
        order = rng.permutation(rows)
        pools = np.split(order, range(8 * size, len(order), 8 * size))
        order = np.concatenate([pool[np.argsort(data.sizes[pool], kind="stable")] for pool in pools])
        for start in (rng.permutation(len(order) // size) * size).tolist():
            yield order[start : start + size]

    def _logits(
        self, model: ProviderTransformer, data: ProviderSet, rows: Ints, vectors: Vectors, given: Vectors | None,
        rng: np.random.Generator, least_share: float = 1.0,
    ) -> tl.Tensor:  # fmt: skip
        places, mask, share = draw_claims(data, rows, self.training.claims_per_provider, rng, least_share)
        statistics = None if given is None else tl.from_numpy(given[rows])
        return model(tl.from_numpy(vectors[places]), mask, tl.from_numpy(share[:, None]), statistics)  # type: ignore[no-any-return]

    def score(self, data: ProviderSet, rows: Ints, statistics: Floats | None = None) -> Floats:
        """Mean logits (len(rows),) over models and draws; raises NotFittedError before `fit`."""
        if not self.models_:
            raise NotFittedError("this ProviderScorer was not fitted yet", hint="Call fit(data, rows).")
        vectors, given = self._vectors(data), self._given(statistics)
        found = np.zeros(len(rows))
        order = np.argsort(data.sizes[rows], kind="stable")  # providers of like size go together: little padding
        rng = np.random.default_rng(self.training.seed)
        with tl.no_grad():
            for _ in range(self.training.n_draws):
                for part in np.split(order, range(64, len(order), 64)):
                    for model in self.models_:
                        found[part] += self._logits(model, data, rows[part], vectors, given, rng).numpy()
        return found / (self.training.n_draws * len(self.models_))

    def score_claims(self, data: ProviderSet, rows: Ints) -> Floats:
        """Mean logits of single claims of these providers, in the set's order, each as if it were all that there is."""
        if not self.models_ or self._statistics is not None:
            raise NotFittedError("single claims are scored by a fitted model that takes no statistics")
        measured = claim_measurements(data.claims, counts=self.config.counts)
        if self.config.counts:
            measured[:, -4], measured[:, -3:] = np.nan, 1.0  # no earlier claim, and one of everything
        parts = [self._numbers(measured)]
        if self._masked is not None:
            parts.append(claim_vectors(*self._masked, data.claims))
        vectors = np.concatenate(parts, axis=1)[np.isin(data.owner, rows)]
        found = np.zeros(len(vectors))
        with tl.no_grad():
            for start in range(0, len(vectors), 2048):
                part = vectors[start : start + 2048][:, None, :]
                share = tl.ones(len(part), 1)
                for model in self.models_:
                    seen = np.ones((len(part), 1), dtype=np.bool_)
                    found[start : start + 2048] += model(tl.from_numpy(np.ascontiguousarray(part)), seen, share).numpy()
        return found / len(self.models_)


def draw_claims(
    data: ProviderSet, rows: Ints, most: int, rng: np.random.Generator, least_share: float = 1.0
) -> tuple[Ints, npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """Places (B, T) of claims drawn from each provider, which of them are (B, T), and the share drawn (B,).

    A provider gives a share of its claims between `least_share` and 1, at least one and at most `most`.
    """
    sizes = data.sizes[rows]
    wanted = np.ceil(sizes * rng.uniform(least_share, 1.0, len(rows))).astype(np.int64)
    taken = np.clip(wanted, 1, most)
    width = int(taken.max())
    places = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.arange(width) < taken[:, None]
    for k, row in enumerate(rows.tolist()):
        n, m = int(sizes[k]), int(taken[k])
        places[k, :m] = data.starts[row] + (np.arange(n) if m == n else np.sort(rng.choice(n, m, replace=False)))
    return places, mask, (taken / sizes).astype(np.float32)


def claim_vectors(tokenizer: FieldTokenizer, model: MaskedClaimModel, claims: pl.DataFrame) -> Vectors:
    """One vector per claim, (N, D), of unit length times sqrt(D)."""
    batch: ClaimBatch = tokenizer.encode(prepare(claims))
    parts = [model.summary_vectors(batch[k : k + 512].compact()) for k in range(0, len(batch), 512)]
    found: Vectors = np.concatenate(parts) * np.float32(np.sqrt(parts[0].shape[1]))
    return found
