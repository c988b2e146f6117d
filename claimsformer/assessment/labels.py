"""Labels of claims: which column they come in, which words mean yes and no, and whether there are enough of both kinds."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.errors import ConfigError

__all__ = ["check_both_kinds", "flags_of", "tidy_labels"]

_WORDS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}  # fmt: skip


def tidy_labels(labels: pl.DataFrame) -> pl.DataFrame:
    """claim_id (String) and suspicious (Boolean), each claim once, of a table whose second column may hold true and false,
    1 and 0, or yes and no, and may be missing: every claim listed is suspicious then.

    Raises ConfigError for another value, and for a claim that is labelled both ways.
    """
    if "claim_id" not in labels.columns:
        raise ConfigError(f"labels need the column claim_id, got {labels.columns}")
    given = labels if "suspicious" in labels.columns else labels.with_columns(suspicious=pl.lit(True))
    word = pl.col("suspicious").cast(pl.String).str.strip_chars().str.to_lowercase()
    read = given.select(
        pl.col("claim_id").cast(pl.String),
        pl.col("suspicious").is_not_null().alias("given"),
        word.replace_strict(_WORDS, default=None, return_dtype=pl.Boolean).alias("suspicious"),
    )
    if unread := read.filter(pl.col("given") & pl.col("suspicious").is_null()).height:
        raise ConfigError(f"{unread} labels are neither true nor false", hint="Write true or false, 1 or 0, yes or no.")
    known = read.select("claim_id", "suspicious").drop_nulls().unique(maintain_order=True)
    if twice := known.height - known["claim_id"].n_unique():
        raise ConfigError(f"{twice} claims are labelled both suspicious and ordinary", hint="Keep one label a claim.")
    return known


def flags_of(claims: pl.DataFrame, labels: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether each claim (N,) is suspicious by labels that `tidy_labels` gave; one without a label is ordinary."""
    joined = claims.select("claim_id").join(labels, on="claim_id", how="left", maintain_order="left")
    return joined["suspicious"].fill_null(False).to_numpy()


def check_both_kinds(claims: pl.DataFrame, labels: pl.DataFrame, what_for: str) -> None:
    """Raise ConfigError where all or none of the claims are suspicious, so that nothing can be learned from them."""
    n = int(flags_of(claims, labels).sum())
    if n in (0, claims.height):
        raise ConfigError(
            f"of the {claims.height} claims {what_for}, {n} are labelled suspicious: both kinds are needed",
            hint="They are matched by claim_id: see that both tables have the same, and that both kinds are listed.",
        )
