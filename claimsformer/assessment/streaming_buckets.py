"""What is done to one bucket of a streamed assessment: edits and screen, then verdicts. Buckets know nothing of each other,
so their order, and the process that does one, change nothing about the result.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from claimsformer.assessment.decision import digests
from claimsformer.assessment.edits import FINDING_SCHEMA, Directory, run_edits
from claimsformer.assessment.explain import edit_reasons
from claimsformer.assessment.processor import ClaimsProcessor
from claimsformer.assessment.streaming_spill import ROW, Spill
from claimsformer.assessment.streaming_store import WorkFolder
from claimsformer.claims.frames import conform

__all__ = ["ASSESSED", "CHOSEN", "LONG_DAYS", "SCREENED", "VERDICT_SCHEMA", "Buckets"]

_CHUNK: Final = 2_048  # claims that the full model holds at once
# Names of parts in the work folder.
LONG_DAYS: Final = "long_days.parquet"  # the claims of provider-days too long to be true, shown to every bucket
CHOSEN: Final = "chosen.parquet"  # the rows that the full model reads
SCREENED: Final = "screened/{:04d}"
ASSESSED: Final = "assessed/{:04d}.parquet"

VERDICT_SCHEMA: Final = pl.Schema(
    {
        ROW: pl.UInt32(),
        "claim_id": pl.String(),
        "decision": pl.String(),
        "action": pl.String(),
        "probability": pl.Float64(),
        "amount_at_risk": pl.Float64(),
        "expected_value": pl.Float64(),
        "abstained": pl.Boolean(),
        "screen": pl.Float32(),
        "full_model": pl.Boolean(),
        "details": pl.String(),  # JSON: the rest of the assessment, or the edits' reasons where only these judged
    }
)


@dataclass(frozen=True)
class Buckets:
    """The buckets of a work folder, and all that their verdicts depend on."""

    processor: ClaimsProcessor
    directory: Directory | None
    folder: WorkFolder
    n: int
    explain: str

    @property
    def claims(self) -> Spill:
        """The claims to assess."""
        return Spill(self.folder, "claims", self.n)

    @property
    def earlier(self) -> Spill:
        """The history."""
        return Spill(self.folder, "history", self.n)

    def do(self, stage: str, index: int) -> int:
        """Do the stage ("screen" or "assess") for one bucket; gives how many claims the model read in it."""
        return self.screen(index) if stage == "screen" else self.assess(index)

    def screen(self, index: int) -> int:
        """Edits, and one pass of the model, over every claim of a bucket."""
        numbered = self.claims.bucket(index)
        claims = conform(numbered)
        before = pl.concat([conform(self.earlier.bucket(index)), self.folder.read(LONG_DAYS)])
        findings = run_edits(
            claims, self.processor.tables, history=before.unique("claim_id", maintain_order=True),
            directory=self.directory,
        )  # fmt: skip
        scores = [self.processor.screen(claims[k : k + 8192]) for k in range(0, claims.height, 8192)]
        screen = np.concatenate(scores) if scores else np.empty(0, np.float32)
        parts = {"scores.parquet": numbered.select(ROW).with_columns(screen=screen), "findings.parquet": findings}
        self.folder.write_all(SCREENED.format(index), parts)
        return claims.height

    def assess(self, index: int) -> int:
        """The verdicts of a bucket: by the full model where a claim was chosen for it, else by the edits."""
        numbered = self.claims.bucket(index)
        claims = conform(numbered)
        scores = self.folder.read(f"{SCREENED.format(index)}/scores.parquet")
        findings = self.folder.read(f"{SCREENED.format(index)}/findings.parquet")
        chosen = self.folder.read(CHOSEN)[ROW]
        whole = numbered[ROW].is_in(chosen.implode()).to_numpy()
        parts = []
        for full in (False, True):
            places = np.flatnonzero(whole == full)
            for start in range(0, len(places), _CHUNK if full else max(1, len(places))):
                rows = places[start : start + (_CHUNK if full else len(places))]
                mine, found = claims[rows], _of_rows(findings, rows)
                judged = self._by_model(mine, found) if full else self._by_edits(mine, found)
                parts.append(judged.with_columns(numbered[ROW][rows], screen=scores["screen"].to_numpy()[rows]))
        table = pl.concat(
            [pl.DataFrame(schema=VERDICT_SCHEMA), *(part.select(VERDICT_SCHEMA.names()) for part in parts)]
        )
        self.folder.write(ASSESSED.format(index), table.sort(ROW))
        return int(whole.sum())

    def _by_model(self, claims: pl.DataFrame, findings: pl.DataFrame) -> pl.DataFrame:
        found = self.processor.assess(claims, findings=findings, explain=self.explain)  # type: ignore[arg-type]
        rows = []
        for a in found:
            state = a.to_dict()
            columns = {name: state.pop(name) for name in VERDICT_SCHEMA.names() if name in state}
            rows.append(columns | {"full_model": True, "details": json.dumps(state, allow_nan=False)})
        kept = {name: t for name, t in VERDICT_SCHEMA.items() if name not in (ROW, "screen")}
        return pl.DataFrame(rows, schema=kept, orient="row")

    def _by_edits(self, claims: pl.DataFrame, findings: pl.DataFrame) -> pl.DataFrame:
        """Verdicts where the screen found nothing out of the ordinary: the edits' alone."""
        table = self.processor.score_by_edits(claims, findings).with_columns(
            pl.col("probability").round(6), pl.col("amount_at_risk", "expected_value").round(2)
        )
        details: list[str | None] = [None] * claims.height
        flagged = findings.group_by("row", maintain_order=True)
        shas = dict(zip(rows := findings["row"].unique().sort().to_list(), digests(claims[rows]), strict=True))
        for (row,), part in flagged:
            reasons = [asdict(reason) for reason in edit_reasons(part)]
            details[int(str(row))] = json.dumps({"reasons": reasons, "claim_digest": shas[int(str(row))]})
        return table.with_columns(
            abstained=pl.lit(False), full_model=pl.lit(False), details=pl.Series(details, dtype=pl.String)
        )


def _of_rows(findings: pl.DataFrame, rows: Any) -> pl.DataFrame:
    """The findings of these rows, numbered by their place in `rows`."""
    places = pl.DataFrame({"row": rows, "_place": range(len(rows))}, schema={"row": pl.UInt32, "_place": pl.UInt32})
    joined = findings.join(places, on="row", maintain_order="left")
    return joined.with_columns(row=pl.col("_place")).select(FINDING_SCHEMA.names())
