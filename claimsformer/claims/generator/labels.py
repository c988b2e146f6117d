"""What a payer would know: labels of reviewed claims only, late, and at times wrong.

Nobody reviews every claim. Those that the previous model ranks high are reviewed, and a small random sample for
audit; a reviewer misses some anomalies and errs now and then; and the verdict comes months later. A model trained on
such labels learns the previous model's blind spots, unless the audit sample and the weights 1 / `propensity` are used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from claimsformer.errors import ConfigError

__all__ = ["DETECTION", "review_labels"]

# The chance that a reviewer of one claim sees the anomaly, by where its evidence lies.
DETECTION: Final = {"line": 0.9, "claim": 0.85, "cross_claim": 0.75, "history": 0.7, "provider": 0.4}


def review_labels(
    claims: pl.DataFrame,
    truth: pl.DataFrame,
    seed: int,
    *,
    capacity: float = 0.04,
    audit: float = 0.02,
    skill: float = 1.5,
    noise: float = 0.03,
    delay_days: int = 90,
    detection: Mapping[str, float] = DETECTION,
    as_of: dt.date | None = None,
) -> pl.DataFrame:
    """One row per claim: `claim_id`, `selected_by` ("model", "audit" or null), `propensity`, `label`, `label_date`.

    The previous model reviews the share `capacity` that it ranks highest; its score is `skill` standard deviations
    higher for anomalies than for others. Of the rest, `audit` is drawn at random; `propensity` is each claim's chance
    of review given the scores. Verdicts are turned round with chance `noise` and arrive `delay_days` after
    submission; those that arrive after `as_of` are null. Raises ConfigError for shares outside 0 to 1.
    """
    shares = {"capacity": capacity, "audit": audit, "noise": noise}
    if bad := {name: value for name, value in shares.items() if not 0 <= value <= 1}:
        raise ConfigError(f"{bad}: expected shares between 0 and 1")
    rng = np.random.Generator(np.random.PCG64(seed))
    n = claims.height
    first = truth.unique("claim_id", keep="first", maintain_order=True).select("claim_id", "scope")
    scope = claims.select("claim_id").join(first, on="claim_id", how="left", maintain_order="left")["scope"]
    anomalous = scope.is_not_null().to_numpy()
    score = rng.standard_normal(n) + skill * anomalous
    by_model = np.zeros(n, dtype=bool)
    by_model[np.argsort(-score, kind="stable")[: round(capacity * n)]] = True
    by_audit = ~by_model & (rng.random(n) < audit)
    chance = scope.replace_strict(detection, default=0.0, return_dtype=pl.Float64).fill_null(0.0).to_numpy()
    verdict = (rng.random(n) < chance) ^ (rng.random(n) < noise)
    rows = pl.DataFrame(
        {
            "claim_id": claims["claim_id"],
            "selected_by": pl.Series(np.where(by_model, 1, np.where(by_audit, 2, 0))).replace_strict(
                {0: None, 1: "model", 2: "audit"}, return_dtype=pl.String
            ),
            "propensity": np.where(by_model, 1.0, audit),
            "label": pl.Series(verdict),
            "label_date": claims["submitted_date"].dt.offset_by(f"{delay_days}d"),
        }
    )
    known = pl.col("selected_by").is_not_null()
    if as_of is not None:
        known = known & (pl.col("label_date") <= as_of)
    return rows.with_columns(pl.when(known).then(pl.col(name)).alias(name) for name in ("label", "label_date"))
