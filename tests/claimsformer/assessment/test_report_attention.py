"""Attention maps in the report."""

from __future__ import annotations

import numpy as np
import pytest

from claimsformer.assessment import ClaimsProcessor
from claimsformer.assessment.bundle import load_demo_claims
from claimsformer.assessment.fields import prepare
from claimsformer.assessment.report import write_report
from claimsformer.assessment.report_attention import attention_between_fields, attention_table
from claimsformer.cli.common import PRETRAINED


@pytest.fixture(scope="module")
def processor() -> ClaimsProcessor:
    return ClaimsProcessor.load(PRETRAINED)


def test_rows_add_up_to_one(processor: ClaimsProcessor) -> None:
    claims, _, _ = load_demo_claims(PRETRAINED)
    batch = processor.tokenizer.encode(prepare(claims.head(1))).compact()
    shares = attention_between_fields(processor.model, batch)
    assert shares.shape == (batch.shape[1], batch.shape[1])
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(shares)), abs=1e-5)
    assert (shares >= 0).all()


def test_the_table_names_fields_and_no_identifier(processor: ClaimsProcessor) -> None:
    claims, _, _ = load_demo_claims(PRETRAINED)
    table = attention_table(processor.model, processor.tokenizer, claims.head(1))
    assert "member_age" in table
    for name in ("claim_id", "member_id", "billing_provider_id"):
        assert str(claims[name][0]) not in table


def test_the_report_shows_where_the_model_looked(processor: ClaimsProcessor, tmp_path: object) -> None:
    claims, _, directory = load_demo_claims(PRETRAINED)
    found = processor.assess(claims, directory=directory, explain="none")
    rows = list(enumerate(found, start=1))
    page = write_report(f"{tmp_path}/report.html", rows, processor, "A report", claims=claims).read_text()
    assert "Where the model looked in row" in page
    assert "no reason for a verdict" in page
