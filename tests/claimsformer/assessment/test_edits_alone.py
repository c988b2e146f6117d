"""Claims that the model does not judge: too little to go by, or beyond what the full model reads of a large file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from claimsformer.assessment import ClaimsProcessor, Directory
from claimsformer.assessment.edits import run_edits
from claimsformer.assessment.text import claim_of_text
from claimsformer.claims.frames import to_frame
from claimsformer.claims.generator import generate


@pytest.fixture(scope="module")
def packaged() -> ClaimsProcessor:
    return ClaimsProcessor.load(Path(str(files("claimsformer.assessment") / "pretrained")))


@pytest.mark.parametrize(("sentence", "decision"), [("Pregnant man, $300", "suspicious"), ("Asthma, $300", "valid")])
def test_an_edit_decides_where_the_model_abstains(packaged: ClaimsProcessor, sentence: str, decision: str) -> None:
    (found,) = packaged.assess(to_frame([claim_of_text(sentence).claim]))
    assert found.abstained
    assert found.decision == decision


def test_edits_alone_find_what_they_fire_on(packaged: ClaimsProcessor) -> None:
    made = next(generate(1500, seed=11, rate=0.004))
    findings = run_edits(made.claims, packaged.tables, directory=Directory(made.providers, made.members))
    suspicious = (packaged.score_by_edits(made.claims, findings)["decision"] == "suspicious").to_numpy()
    planted = made.claims["claim_id"].is_in(made.truth["claim_id"].implode()).to_numpy()
    fired = np.zeros(len(planted), dtype=bool)
    fired[findings["row"].unique().to_numpy()] = True
    assert suspicious[planted & fired].mean() > 0.75
    assert suspicious[~planted].mean() < 0.005
