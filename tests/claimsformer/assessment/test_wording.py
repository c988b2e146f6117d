"""What a reviewer reads about a surprising field."""

from __future__ import annotations

import pytest

from claimsformer.assessment.decision import Assessment
from claimsformer.assessment.surprise import Alternatives
from claimsformer.assessment.wording import surprise_reason, without_reason


@pytest.mark.parametrize(
    ("field", "found", "expected", "words", "hint"),
    [
        ("covered_days", "covered_days in [30, 45)", "covered_days in [2, 3)", "is 30 to 44:", "under 3"),
        ("price_ratio", "price_ratio in [10, 20)", "price_ratio in [1, 1.1)", "is 10 to 20:", "under 1.1"),
        ("units", "units in [8.001, 10)", "units in [1, 1.001)", "is 9 to 10:", "under 2"),
        ("quantity", "quantity in [5000, inf)", "quantity in [29, 31)", "is 5000 or more:", "under 31"),
        ("procedure", "procedure=0FT44ZZ", "procedure=NONE", "is 0FT44ZZ:", "procedure none"),
        ("diagnosis", "diagnosis=C61", "diagnosis=N40*", "is C61:", "a code of the family N40"),
        ("member_sex", "member_sex=F", "member_sex=M", "is F:", "sex M"),
    ],
)
def test_what_is_there_what_was_expected_and_what_would_be_ordinary(
    field: str, found: str, expected: str, words: str, hint: str
) -> None:
    guess = Alternatives(field, 0, found, 0.002, ((expected, 0.8), (found, 0.002)))
    reason = surprise_reason(guess, 0.001, 250.0)
    assert reason is not None
    assert words in reason.evidence
    assert "0.2 % likely given the rest of the claim" in reason.evidence
    assert reason.hint.startswith("would be ordinary with")
    assert reason.hint.endswith(hint)
    assert reason.strength == pytest.approx(3)


def test_what_the_model_expects_is_no_reason() -> None:
    guess = Alternatives("member_sex", 0, "member_sex=F", 0.7, (("member_sex=F", 0.7), ("member_sex=M", 0.3)))
    assert surprise_reason(guess, 0.001, 250.0) is None


def test_neither_what_is_there_nor_what_is_all_but_impossible_is_said_to_be_expected() -> None:
    options = (("units in [1, 1.001)", 0.99), ("units in [10.001, 16)", 0.006), ("units in [2.001, 4)", 0.001))
    reason = surprise_reason(Alternatives("units", 1, "units in [10.001, 16)", 0.006, options), 0.001, 250.0)
    assert reason is not None
    assert reason.evidence.endswith("expected 1 (99 %)")


def test_a_claim_without_a_reason_names_the_field_that_is_oddest() -> None:
    common = {"claim_id": "C", "decision": "suspicious", "action": "review", "probability": 0.2, "calibrated": False}
    common |= {"p_value": 0.1, "amount_at_risk": 900.0, "expected_value": 60.0, "reasons": ()}
    common |= {"model_version": "2-0", "claim_digest": "0"}
    weak = Assessment(**common, surprises={"units": 0.4, "price_ratio": 1.2})  # type: ignore[arg-type]
    thin = Assessment(**common, surprises={}, abstained=True, abstained_because="few fields")  # type: ignore[arg-type]
    assert without_reason(weak).endswith("unit price over the usual one")
    assert without_reason(thin) == "judged by the edits alone: few fields"
