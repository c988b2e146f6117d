"""The packaged model on two times fifty sentences and some on operations, each set written before the model of its time."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from claimsformer.assessment import ClaimsProcessor
from claimsformer.assessment.edits import run_edits
from claimsformer.assessment.text import claim_of_text
from claimsformer.claims.frames import to_frame

from . import sentences, sentences_second, sentences_surgery


@cache
def packaged() -> ClaimsProcessor:
    return ClaimsProcessor.load(Path(str(files("claimsformer.assessment") / "pretrained")))


@pytest.mark.parametrize("known", [sentences.SENTENCES, sentences_second.SENTENCES])
def test_there_are_fifty(known: list[tuple[str, set[str] | None]]) -> None:
    assert len(known) == 50
    assert len({sentence for sentence, _ in known}) == 50


@pytest.mark.parametrize(
    ("sentence", "fields"), sentences.SENTENCES + sentences_second.SENTENCES + sentences_surgery.SENTENCES
)
def test_sentence(sentence: str, fields: set[str] | None) -> None:
    (found,) = packaged().assess(to_frame([claim_of_text(sentence).claim]))
    if fields is None:
        assert found.decision == "valid"
    else:
        assert found.decision == "suspicious"
        assert fields & {reason.field for reason in found.reasons}


def test_of_claims_with_few_values_the_edits_decide() -> None:
    """The model is surprised by whatever it is told little about."""
    claims = to_frame([claim_of_text(sentence).claim for sentence, _ in sentences_second.SENTENCES])
    found = packaged().score(claims)
    by_edits = packaged().score_by_edits(claims, run_edits(claims, packaged().tables))
    assert found["probability"].equals(by_edits["probability"])
    assert (found["p_value"] < 0.001).any()  # which would have counted
    assert not found["abstained"].any()
