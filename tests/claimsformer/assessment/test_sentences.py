"""The packaged model on fifty sentences that were written before it was trained."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from claimsformer.assessment import ClaimsProcessor
from claimsformer.assessment.text import claim_of_text
from claimsformer.claims.frames import to_frame

from .sentences import SENTENCES


@cache
def packaged() -> ClaimsProcessor:
    return ClaimsProcessor.load(Path(str(files("claimsformer.assessment") / "pretrained")))


def test_there_are_fifty() -> None:
    assert len(SENTENCES) == 50
    assert len({sentence for sentence, _ in SENTENCES}) == 50


@pytest.mark.parametrize(("sentence", "fields"), SENTENCES)
def test_sentence(sentence: str, fields: set[str] | None) -> None:
    (found,) = packaged().assess(to_frame([claim_of_text(sentence).claim]))
    if fields is None:
        assert found.decision == "valid"
    else:
        assert found.decision == "suspicious"
        assert fields & {reason.field for reason in found.reasons}
