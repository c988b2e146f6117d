"""What the model is asked about a claim in the layout of the schema; how the questions were chosen is in docs/assessment.md."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.fields import CLAIM_SPEC, prepare
from claimsformer.assessment.questions import Question
from claimsformer.assessment.reading import Reading
from claimsformer.claims import frames

__all__ = ["CLAIM_DETAILS", "CLAIM_QUESTIONS", "CLAIM_READING", "asked_amount"]

# Neither says anything about the other, so one pass answers both.
_PLACE_AND_TIME: Final = ("provider_state", "submit_lag")

CLAIM_QUESTIONS: Final = (
    Question("member_sex", "contrast"),
    Question("member_age", "contrast"),
    Question("provider_state", "contrast", _PLACE_AND_TIME),
    Question("submit_lag", "tail", _PLACE_AND_TIME),
    Question("place_of_service", "contrast"),
    Question("covered_days", "tail"),
    Question("drg", "tail"),
    Question("stay_charge", "tail"),
    # A list of somebody else, and one code that does not belong to the others: each has its own answer.
    Question("diagnosis", "contrast"),
    Question("diagnosis", "contrast", worst=True),
    Question("procedure", "contrast"),
    Question("procedure", ranks=(2, 3, 4, 5, 6)),
    Question("item"),
    Question("item", "contrast", worst=True),
    Question("units", worst=True),
    Question("price_ratio", "tail", worst=True),
    Question("drug"),
    Question("strength"),
    Question("quantity", "tail", worst=True),
)
# What the head learns from beside the answers above: no part of the score, or each would add its own chance to be odd.
CLAIM_DETAILS: Final = (
    Question("provider_specialty"),
    Question("place_of_service"),
    Question("drg"),
    Question("drg", "contrast"),
    Question("stay_charge"),
    Question("stay_ratio", "tail", hidden=("stay_charge",)),
    Question("diagnosis"),
    Question("diagnosis", worst=True),
    Question("procedure"),
    Question("procedure", ranks=(1,)),
    Question("item", worst=True),
    Question("item", "contrast"),
    Question("units", "tail", worst=True),
    Question("price_ratio", worst=True),
    Question("days_supply", worst=True),
    Question("quantity", worst=True),
)


def asked_amount(claims: pl.DataFrame) -> npt.NDArray[np.float64]:
    """US dollars (N,) that each claim asks for; NaN where it names no amount."""
    return frames.asked_amount(claims).fill_null(float("nan")).to_numpy()


CLAIM_READING: Final = Reading(CLAIM_SPEC, prepare, asked_amount, CLAIM_QUESTIONS, CLAIM_DETAILS)
