"""What is timed is the same model: PyTorch and ONNX Runtime give tensorlite's log-probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from claimsformer.assessment import ClaimsProcessor
from claimsformer.assessment.fields import PASSES, prepare
from claimsformer.assessment.surprise import surprises
from claimsformer.claims.generator import generate
from claimsformer.cli.common import PRETRAINED

from ._claims_engines import OnnxClaims, TorchClaims


@pytest.mark.parametrize(
    "engine", ["torch", "torch, hidden tokens only", pytest.param("onnxruntime", marks=pytest.mark.slow)]
)
def test_every_engine_is_as_surprised(engine: str) -> None:
    processor = ClaimsProcessor.load(PRETRAINED)
    batch = processor.tokenizer.encode(prepare(next(generate(60, 3, 60)).claims))
    if engine == "onnxruntime":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package)
        model = OnnxClaims(processor.model, threads=1)
    else:
        model = TorchClaims(processor.model, pruned=engine != "torch")
    expected = surprises(processor.model, processor.tokenizer, batch, PASSES)
    found = surprises(model, processor.tokenizer, batch, PASSES)
    np.testing.assert_allclose(found.values, expected.values, atol=5e-5)
