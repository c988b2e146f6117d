"""What is timed is the same model: PyTorch and ONNX Runtime give tensorlite's log-probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from claimsformer.assessment import ClaimsProcessor
from claimsformer.assessment.questions import ask
from claimsformer.claims.generator import generate
from claimsformer.cli.common import PRETRAINED

from ._claims_engines import OnnxClaims, TorchClaims


@pytest.mark.parametrize(
    "engine", ["torch", "torch, hidden tokens only", pytest.param("onnxruntime", marks=pytest.mark.slow)]
)
def test_every_engine_is_as_surprised(engine: str) -> None:
    processor = ClaimsProcessor.load(PRETRAINED)
    reader = processor.reader
    batch = reader.encode(next(generate(60, 3, 60)).claims)
    if engine == "onnxruntime":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package)
        model = OnnxClaims(processor.model, threads=1)
    else:
        model = TorchClaims(processor.model, pruned=engine != "torch")
    expected, found = (
        ask(m, reader.tokenizer, reader.frequencies, batch, reader.reading.questions).values
        for m in (processor.model, model)
    )
    # Answers about lists add up over their tokens.
    np.testing.assert_allclose(found, expected, atol=2e-4)
