"""Similar past claims: a small set of vectors with one line of words each, no identifier and no date among them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.decision import SimilarClaim
from claimsformer.claims.frames import asked_amount

__all__ = ["SMALLEST_CELL", "Examples"]

SMALLEST_CELL = 11  # claims whose kind occurs less often than this are not kept: the usual rule for small cells


@dataclass(frozen=True)
class Examples:
    """`vectors` (K, D) of length 1, `summaries` and `outcomes` of past claims."""

    vectors: npt.NDArray[np.float16]
    summaries: tuple[str, ...]
    outcomes: tuple[str, ...]

    @classmethod
    def choose(
        cls, claims: pl.DataFrame, vectors: npt.NDArray[np.float32], suspicious: npt.NDArray[np.bool_] | None, n: int,
        seed: int,
    ) -> Examples:  # fmt: skip
        """At most `n` claims whose kind (type and category of the first diagnosis) is frequent enough to be kept."""
        kinds = claims.select(
            pl.concat_str("claim_type", pl.col("diagnoses").list.first().str.slice(0, 3).fill_null(""))
        ).to_series()
        counts = Counter(kinds.to_list())
        frequent = np.flatnonzero([counts[kind] >= SMALLEST_CELL for kind in kinds])
        chosen = np.sort(np.random.default_rng(seed).permutation(frequent)[:n])
        those = claims[chosen.tolist()]
        rows = those.select("claim_type", "diagnoses", "lines", "drg", asked_amount(those).alias("amount")).to_dicts()
        outcomes = tuple("no label" if suspicious is None else ("suspicious" if suspicious[i] else "ordinary")
                         for i in chosen.tolist())  # fmt: skip
        return cls(vectors[chosen].astype(np.float16), tuple(_summary(row) for row in rows), outcomes)

    def nearest(self, vector: npt.NDArray[np.float32], n: int = 3) -> tuple[SimilarClaim, ...]:
        """The most similar examples, by cosine; none where there are no examples."""
        if not len(self.summaries):
            return ()
        cosine = self.vectors.astype(np.float32) @ vector
        best = np.argsort(-cosine, kind="stable")[:n].tolist()
        return tuple(SimilarClaim(self.summaries[k], round(float(cosine[k]), 3), self.outcomes[k]) for k in best)


def _summary(row: dict[str, Any]) -> str:
    items = [line["procedure_code"] or line["drug_name"] or line["revenue_code"] for line in row["lines"]]
    codes = ", ".join(row["diagnoses"]) or "no diagnosis"
    drg = f"DRG {row['drg']}; " if row["drg"] else ""
    # To two digits: an exact amount could single a claim out.
    amount = float(f"{float(row['amount'] or 0):.2g}")
    services = ", ".join(str(item) for item in items[:4] if item)
    return f"{row['claim_type']}; {codes}; {drg}{services or 'no lines'}; about ${amount:,.0f}"
