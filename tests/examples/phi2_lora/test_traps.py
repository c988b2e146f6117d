"""What goes wrong silently elsewhere: the end of text, targets, adapters' first values, accumulation, masked rows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from claimsformer.errors import ConfigError
from claimsformer.tokenizer.text import TextTokenizer
from claimsformer.training.lora import lora_layers
from claimsformer.transformer.hugging_face_names import to_hugging_face
from examples.phi2_lora.formatting import IGNORED, Example, collate, encode, prompt
from examples.phi2_lora.pairs import Pair, held_out, near_duplicates, training
from examples.phi2_lora.recipe import Recipe
from examples.phi2_lora.tensorlite_engine import TensorliteEngine, logits_at_labels
from examples.phi2_lora.torch_engine import TorchEngine, choose_device, lora_config, unmatched
from tensorlite import from_numpy
from tensorlite.nn import functional as F

from .test_engines import engines, gap

RECIPE = Recipe(lr=1e-3, dropout=0.0, batch_size=4, accumulate=1, max_steps=3)


# -- data -------------------------------------------------------------------------------------------------------------


def test_there_are_enough_pairs_and_none_is_held_out_twice() -> None:
    train, other = training(), held_out()
    assert len(train) + len(other) >= 300
    assert len({p.instruction for p in train + other}) == len(train + other)
    assert near_duplicates(other, train) == []
    assert all(pair.fact.lower() in pair.response.lower() for pair in train + other)


def test_a_reworded_question_is_a_near_duplicate() -> None:
    one = Pair("What does denial code 29 mean on a remittance?", "", "")
    other = Pair("what does denial code 29 mean on a remittance advice", "", "")
    far = Pair("Who decides an external review?", "", "")
    assert near_duplicates([one], [other, far]) == [(one, other)]


# -- labels -----------------------------------------------------------------------------------------------------------


def test_labels_are_the_response_and_the_end_of_text(folder: Path) -> None:
    tokenizer = TextTokenizer.from_pretrained(folder)
    end = tokenizer.eos_token_id
    assert end is not None
    for pair in training()[::29]:
        example = encode(pair, tokenizer, end)
        counted = [label for label in example.labels if label != IGNORED]
        assert counted[-1] == end
        assert tokenizer.decode(counted[:-1]) == f" {pair.response}"
        ignored = example.ids[: len(example.ids) - len(counted)]
        assert tokenizer.decode(ignored) == prompt(pair.instruction)


def test_tokenising_the_parts_apart_gives_other_tokens(folder: Path) -> None:
    tokenizer = TextTokenizer.from_pretrained(folder)
    start, response = prompt("Who pays?") + " ", "The group code is CO."
    apart = [*tokenizer.encode(start), *tokenizer.encode(response)]
    assert apart != tokenizer.encode(start + response)


def test_a_response_that_was_cut_does_not_end_and_a_prompt_that_fills_all_is_refused(folder: Path) -> None:
    tokenizer = TextTokenizer.from_pretrained(folder)
    end = tokenizer.eos_token_id
    assert end is not None
    pair = training()[0]
    whole = encode(pair, tokenizer, end)
    assert encode(pair, tokenizer, end, len(whole.ids) - 1).labels[-1] != end
    with pytest.raises(ValueError, match="prompt fills all 5 tokens"):
        encode(pair, tokenizer, end, 5)


def test_pad_equal_to_eos_keeps_eos_a_label_and_the_usual_collator_does_not(
    folder: Path, examples: list[Example]
) -> None:
    engine = TorchEngine(folder)
    assert engine.pad_id == engine.eos_id  # as in Phi-2
    batch = collate(examples[:4], engine.pad_id)
    for row, example in zip(batch["labels"], examples, strict=False):
        n = len(example.ids)
        assert row[n - 1] == engine.eos_id
        assert (row[n:] == IGNORED).all()
    engine.tokenizer.pad_token = engine.tokenizer.eos_token
    usual = transformers.DataCollatorForLanguageModeling(engine.tokenizer, mlm=False)
    theirs = usual([{"input_ids": e.ids} for e in examples[:4]])["labels"]
    assert not (theirs == engine.eos_id).any()


# -- adapters ---------------------------------------------------------------------------------------------------------


def test_a_target_that_matches_nothing_is_an_error_in_both(folder: Path) -> None:
    wrong = replace(RECIPE, targets=("q_proj", "gate_proj"))
    mine, theirs = TensorliteEngine(folder), TorchEngine(folder)
    with pytest.raises(ConfigError, match="gate_proj"):
        mine.new_adapters(wrong)
    with pytest.raises(ValueError, match="gate_proj"):
        theirs.new_adapters(wrong)


@pytest.mark.filterwarnings("ignore:'Wqkv' is a layer of Phi-2's first published code")
def test_the_old_fused_name_is_translated(folder: Path) -> None:
    old = replace(RECIPE, targets=("Wqkv", "fc1", "fc2"))
    mine, theirs = TensorliteEngine(folder), TorchEngine(folder)
    assert unmatched(theirs.model, old.targets) == ["Wqkv"]
    assert set(lora_config(theirs.model, old).target_modules or ()) == {"q_proj", "k_proj", "v_proj", "fc1", "fc2"}
    mine.new_adapters(old)
    theirs.new_adapters(old)
    assert mine.counts() == theirs.counts()


def test_the_translation_comes_with_a_note(folder: Path) -> None:
    old = replace(RECIPE, targets=("Wqkv",))
    with pytest.warns(UserWarning, match="today's transformers it is q_proj, k_proj, v_proj"):
        TensorliteEngine(folder).new_adapters(old)
    with pytest.warns(UserWarning, match="today's transformers it is q_proj, k_proj, v_proj"):
        lora_config(TorchEngine(folder).model, old)


@pytest.mark.parametrize(
    ("cuda", "bf16", "mps", "expected"),
    [
        (True, True, False, ("cuda", torch.bfloat16)),
        (True, False, False, ("cuda", torch.float32)),
        (False, False, True, ("mps", torch.float32)),
        (False, False, False, ("cpu", torch.float32)),
    ],
)
def test_no_device_gets_float16(
    cuda: bool, bf16: bool, mps: bool, expected: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    device, dtype = choose_device()
    assert (device.type, dtype) == expected


def test_a_starts_within_one_over_root_in_and_b_at_zero(folder: Path) -> None:
    mine = TensorliteEngine(folder)
    mine.new_adapters(replace(RECIPE, r=32))
    for layer in lora_layers(mine.model).values():
        a = layer.lora_A.weight.detach().numpy()
        bound = 1 / math.sqrt(layer.in_features)
        assert np.abs(a).max() <= bound
        assert a.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert not layer.lora_B.weight.detach().numpy().any()


def test_gradients_of_a_are_exactly_zero_at_first_and_those_of_b_are_not(
    folder: Path, examples: list[Example], tmp_path: Path
) -> None:
    mine, theirs = engines(folder, tmp_path, RECIPE)
    logits, labels = logits_at_labels(mine.model, mine._collate(examples[:4]))
    F.cross_entropy(logits, labels).backward()
    theirs.model.train()
    theirs.model(**theirs._collate(examples[:4])).loss.backward()
    ours = {n: p.grad.numpy() for n, p in mine.model.named_parameters() if p.requires_grad}
    peft = {n: p.grad.numpy() for n, p in theirs.model.named_parameters() if p.requires_grad}
    assert len(ours) == len(peft) == 36
    for name, grad in ours.items():
        layer, _, part = name.partition(".lora_")
        other = peft[f"base_model.model.{to_hugging_face(layer, 'phi')}.lora_{part[0]}.default.weight"]
        assert grad.any() == other.any() == (part[0] == "B")
        np.testing.assert_allclose(grad, other, atol=1e-6 + 1e-5 * np.abs(other).max())


@pytest.mark.parametrize("kind", ["tensorlite", "torch"])
def test_micro_batches_equal_one_batch(kind: str, folder: Path, examples: list[Example], tmp_path: Path) -> None:
    first = TensorliteEngine(folder)
    first.new_adapters(RECIPE)
    first.save_adapter(tmp_path / "first")
    losses = []
    for i, recipe in enumerate((RECIPE, replace(RECIPE, batch_size=1, accumulate=4))):
        engine: Any = TensorliteEngine(folder) if kind == "tensorlite" else TorchEngine(folder)
        engine.adapt(tmp_path / "first")
        losses.append(engine.train(examples, recipe).losses)
        engine.save_adapter(tmp_path / str(i))
    np.testing.assert_allclose(
        losses[0], losses[1], rtol=2e-6
    )  # the examples differ in length: a mean of means would not
    assert gap(tmp_path / "0", tmp_path / "1") < 1e-4


def test_masked_rows_give_no_nan(folder: Path, examples: list[Example], tmp_path: Path) -> None:
    mine = TensorliteEngine(folder)
    mine.new_adapters(RECIPE)
    batch = mine._collate(examples[:3])
    mask = batch["attention_mask"].numpy().copy()
    mask[1] = 0  # a row that may look nowhere at all
    labels = batch["labels"].numpy().copy()
    labels[1] = IGNORED
    masked = {**batch, "attention_mask": from_numpy(mask), "labels": from_numpy(labels)}
    logits, targets = logits_at_labels(mine.model, masked)
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    assert math.isfinite(float(loss))
    grads = [p.grad.numpy() for p in mine.model.parameters() if p.requires_grad]
    assert all(np.isfinite(g).all() for g in grads)
    two = [examples[0], examples[2]]
    assert float(loss) == pytest.approx(mine.loss(two), rel=1e-5)
