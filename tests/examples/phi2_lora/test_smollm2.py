"""One LoRA step on real weights: every adapter's gradient in tensorlite is that of peft."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from claimsformer.transformer.fetching import fetched
from claimsformer.transformer.hugging_face_names import to_hugging_face
from examples.phi2_lora.formatting import encode_all
from examples.phi2_lora.pairs import training
from examples.phi2_lora.recipe import Recipe
from examples.phi2_lora.tensorlite_engine import TensorliteEngine, logits_at_labels
from examples.phi2_lora.torch_engine import TorchEngine
from tensorlite.nn import functional as F

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.mark.pretrained
def test_gradients_of_all_adapters(tmp_path: Path) -> None:
    folder = fetched("smollm2")
    if folder is None:
        pytest.skip("smollm2 is not in the cache: type: claimsformer models fetch smollm2")
    start = TensorliteEngine(folder)
    start.new_adapters(Recipe(targets=TARGETS, dropout=0.0))
    rng = np.random.default_rng(0)
    for name, p in start.model.named_parameters():
        if "lora_B" in name:  # at zero, the gradients of A would be zero too
            p.detach().numpy()[...] = rng.standard_normal(tuple(p.shape)) * 0.01
    start.save_adapter(tmp_path / "first")
    assert start.counts().trainable == 2_442_240
    examples = encode_all(training()[:2], start.tokenizer, start.eos_id)
    theirs = TorchEngine(folder)
    theirs.adapt(tmp_path / "first")
    logits, labels = logits_at_labels(start.model, start._collate(examples))
    F.cross_entropy(logits, labels).backward()
    theirs.model.train()
    theirs.model(**theirs._collate(examples)).loss.backward()
    peft = {n: p.grad.numpy() for n, p in theirs.model.named_parameters() if p.requires_grad}
    ours = {n: p.grad.numpy() for n, p in start.model.named_parameters() if p.requires_grad}
    assert len(ours) == len(peft) == 2 * 7 * 30
    for name, grad in ours.items():
        layer, _, part = name.partition(".lora_")
        other = peft[f"base_model.model.{to_hugging_face(layer, 'llama')}.lora_{part[0]}.default.weight"]
        assert np.linalg.norm(grad - other) <= 1e-3 * np.linalg.norm(other), name
