"""The model that computes hidden tokens alone gives what the whole model gives."""

from __future__ import annotations

import numpy as np
import pytest

from claimsformer.assessment import ClaimsProcessor
from claimsformer.assessment.fields import prepare
from claimsformer.assessment.streaming_inference import HiddenTokenModel
from claimsformer.claims.generator import generate
from claimsformer.cli.common import PRETRAINED
from claimsformer.tokenizer.fields import choose_at_random, closure, hide


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
def test_the_same_predictions_as_the_whole_model(rate: float) -> None:
    processor = ClaimsProcessor.load(PRETRAINED)
    tokenizer, model = processor.tokenizer, processor.model
    claims = next(generate(200, 4, 200)).claims
    batch = tokenizer.encode(prepare(claims)).compact()
    chosen = choose_at_random(tokenizer, batch, rate, np.random.default_rng(0))
    shown = hide(tokenizer, batch, closure(tokenizer, batch, chosen))
    whole, pruned = model.predict(shown, batch, chosen), HiddenTokenModel(model).predict(shown, batch, chosen)
    assert [p.field for p in whole] == [p.field for p in pruned]
    for a, b in zip(whole, pruned, strict=True):
        for name in ("rows", "ranks", "truth"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        np.testing.assert_allclose(a.log_p, b.log_p, atol=2e-5)
