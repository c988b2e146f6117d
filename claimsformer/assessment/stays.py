"""SynPUF inpatient stays: what the masked model reads of one, what it is asked about it, and the fitted whole."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.edits import EDITS, EditTables, flags, run_edits, switch_off
from claimsformer.assessment.fusion import Evidence, firing_chances
from claimsformer.assessment.masked_model import MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining, Progress
from claimsformer.assessment.questions import Question
from claimsformer.assessment.reading import Reader, Reading
from claimsformer.assessment.splits import check_disjoint
from claimsformer.claims.readers import read_claims
from claimsformer.tokenizer.fields import ClaimBatch, ClaimSpec, FieldSpec, FieldTokenizer, prepare_synpuf
from claimsformer.tokenizer.fields.synpuf import CONDITIONS, IDENTIFIERS, SINCE_EDGES

__all__ = [
    "STAY_DETAILS",
    "STAY_MODEL",
    "STAY_QUESTIONS",
    "STAY_READING",
    "STAY_SPEC",
    "STAY_TRAINING",
    "Stays",
    "prepare_stays",
    "stay_claims",
]

Tell = Callable[[str], None]

_RATIOS: Final = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2, 2.5, 3, 4, 5.5, 8)
# In this file a stay's dates lie at most 35 days apart, and 35 stands for any longer stay.
_DAYS: Final = (*range(16), 18, 21, 25, 30, 35, 40, 60)
_BEYOND: Final = (-20, -10, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8, 12, 20, 30, 45)


def _ranks(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{rank}" for rank in range(1, count + 1))


STAY_SPEC: Final = ClaimSpec(
    "synpuf-stays",
    identifiers=IDENTIFIERS,
    fields=(
        FieldSpec("sex", "category"),
        FieldSpec("age", "number", edges=tuple(range(30, 100, 5))),
        FieldSpec("esrd", "category"),
        FieldSpec("state", "category"),
        FieldSpec("condition", "category", columns=CONDITIONS, absent="pad"),
        FieldSpec("provider_state", "category"),
        FieldSpec("has_operating", "category"),
        FieldSpec("days_since_last_claim", "number", edges=SINCE_EDGES, mask_group="member_history"),
        FieldSpec("member_claims_90d", "number", bins=8, mask_group="member_history"),
        # Not hidden together: that covered days follow from the dates of the stay is what makes them checkable.
        FieldSpec("stay_days", "days", columns=("thru",), since="from", edges=_DAYS),
        FieldSpec("utilization_days", "number", columns=("util",), edges=_DAYS, mask_group="covered"),
        # Their difference, so that what one length of stay teaches holds for all.
        FieldSpec("days_beyond_stay", "number", edges=_BEYOND, mask_group="covered"),
        # A payment and its ratio tell the DRG, a ratio and the DRG tell the payment.
        FieldSpec("drg", "code", hierarchy="drg", hides=("amount_ratio",)),
        FieldSpec("amount", "money", columns=("amt",), bins=24, mask_group="amount"),
        # Quantiles would put every large payment into one bin.
        FieldSpec("amount_ratio", "ratio", columns=("amt",), by="drg", mask_group="amount", edges=_RATIOS),
        FieldSpec("deductible", "money", columns=("ded",), bins=8),
        FieldSpec("coinsurance", "money", columns=("coins",), bins=8),
        FieldSpec("admit_dx", "code", hierarchy="icd9"),
        FieldSpec("dx", "code", columns=_ranks("dx", 10), hierarchy="icd9", absent="pad"),
        # That a procedure is not there is a token: how many are billed is itself to be predicted.
        FieldSpec("px", "code", columns=_ranks("px", 6), hierarchy="icd9_procedure"),
    ),
)
STAY_MODEL: Final = MaskedModelConfig(d_model=64, family_output=True)
# Half of the claims hide a whole list, as the questions do.
STAY_TRAINING: Final = MaskedTraining(epochs=12, learning_rate=3e-3, list_rate=0.5)
STAY_QUESTIONS: Final = (
    Question("provider_state", "contrast"),
    Question("days_beyond_stay", "tail"),
    Question("drg", "tail"),
    Question("amount", "tail"),
    # A list is hidden whole: its other codes, which came with the one that is wrong, would vouch for it.
    Question("dx", "contrast"),
    Question("px", "contrast"),
    Question("px", ranks=(2, 3, 4, 5, 6)),
)
# What the head learns from beside the answers above: no part of the score, or each would add its own chance to be odd.
STAY_DETAILS: Final = (
    Question("provider_state"),
    Question("utilization_days"),
    Question("drg"),
    Question("drg", "contrast"),
    Question("amount"),
    Question("amount_ratio", hidden=("amount",)),
    Question("amount_ratio", "tail", hidden=("amount",)),
    Question("admit_dx"),
    Question("admit_dx", "contrast"),
    Question("dx"),
    Question("dx", ranks=(1,)),
    Question("dx", "contrast", ranks=(1,)),
    Question("px"),
    Question("px", "presence"),
    Question("px", ranks=(1,)),
    Question("px", "contrast", ranks=(1,)),
    Question("px", "contrast", ranks=(2, 3, 4, 5, 6)),
)


def prepare_stays(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that `STAY_SPEC` reads, sample by sample: a member's earlier claims are those of one sample.

    Chronic conditions become a list of those that the member has (CMS codes 1 for yes and 2 for no), and
    `days_beyond_stay` is by how many days those covered exceed those between the dates.
    """
    parts = [prepare_synpuf(part) for part in frame.partition_by("sample", maintain_order=True)]
    names = [pl.when(pl.col(name).cast(pl.String) == "1").then(pl.lit(name)).alias(name) for name in CONDITIONS]
    stay = (pl.col("thru") - pl.col("from")).dt.total_days()
    return pl.concat(parts).with_columns(*names, days_beyond_stay=pl.col("util") - stay)


def stay_claims(frame: pl.DataFrame) -> pl.DataFrame:
    """The stays in the layout of the schema, in the same order; a row that the reader refuses keeps its number alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stays.parquet"
        frame.write_parquet(path)
        with read_claims(path, "synpuf") as reader:
            claims = reader.all()
    if claims.height == frame.height:
        return claims
    kept = frame.select(pl.col("claim").alias("claim_id"))
    return kept.join(claims, on="claim_id", how="left", maintain_order="left")


def _paid(frame: pl.DataFrame) -> npt.NDArray[np.float64]:
    return frame["amt"].cast(pl.Float64).fill_null(float("nan")).to_numpy()


STAY_READING: Final = Reading(
    STAY_SPEC, prepare_stays, _paid, STAY_QUESTIONS, STAY_DETAILS, STAY_TRAINING, bounded=True
)


class Stays:
    """The fitted parts: the reader of stays, edit tables, and how often edits fire."""

    def __init__(self, frame: pl.DataFrame, settings: MaskedTraining, config: MaskedModelConfig, tell: Tell) -> None:
        # One member in ten calibrates; the others train.
        held = frame["bene"].hash(seed=settings.seed) % 10 == 0
        train, rest = frame.filter(~held), frame.filter(held)
        check_disjoint(train, rest, "bene")

        def on_step(p: Progress) -> None:
            if p.step % 100 == 0 or p.step == p.steps:
                tell(f"step {p.step} of {p.steps}, loss {p.loss:.3f}, {p.claims_per_second:.0f} claims/s")

        started = time.process_time()
        self.reader = Reader.fit(STAY_READING, train, config, settings, on_step=on_step)
        self.cpu_seconds = time.process_time() - started
        self.reader.calibrate(self.reader.ask(self.encode(rest.head(6000))))
        claims = stay_claims(train)
        self.tables = switch_off(EditTables().learn(claims), claims.head(8000), None, most=0.1)
        self.edit_p = firing_chances(self._fired(rest))

    @property
    def tokenizer(self) -> FieldTokenizer:
        """The tokenizer that was fitted with the model."""
        return self.reader.tokenizer

    def evidence(self, frame: pl.DataFrame) -> Evidence:
        """What edits and model say of each stay."""
        answers, amount = self.reader.ask(self.encode(frame)), frame["amt"].fill_null(0.0).to_numpy()
        return self.reader.evidence(answers, tuple(EDITS), self._fired(frame), amount)

    def encode(self, frame: pl.DataFrame) -> ClaimBatch:
        """Stays as arrays."""
        return self.reader.encode(frame)

    def _fired(self, frame: pl.DataFrame) -> npt.NDArray[np.bool_]:
        return flags(run_edits(stay_claims(frame), self.tables), frame.height).to_numpy()
