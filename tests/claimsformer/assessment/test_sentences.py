"""The packaged model on two times fifty sentences, each set written before the model of its time was trained."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from claimsformer.assessment import ClaimsProcessor
from claimsformer.assessment.text import claim_of_text
from claimsformer.claims.frames import to_frame

from . import sentences, sentences_second


@cache
def packaged() -> ClaimsProcessor:
    return ClaimsProcessor.load(Path(str(files("claimsformer.assessment") / "pretrained")))


@pytest.mark.parametrize("known", [sentences.SENTENCES, sentences_second.SENTENCES])
def test_there_are_fifty(known: list[tuple[str, set[str] | None]]) -> None:
    assert len(known) == 50
    assert len({sentence for sentence, _ in known}) == 50


@pytest.mark.parametrize(("sentence", "fields"), sentences.SENTENCES + sentences_second.SENTENCES)
def test_sentence(sentence: str, fields: set[str] | None) -> None:
    (found,) = packaged().assess(to_frame([claim_of_text(sentence).claim]))
    if fields is None:
        assert found.decision == "valid"
    else:
        assert found.decision == "suspicious"
        assert fields & {reason.field for reason in found.reasons}
