"""The same LoRA run in both libraries: equal losses, equal adapters, and adapters that move both ways."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file

from claimsformer.errors import ConfigError, ReadError
from examples.phi2_lora.formatting import Example, prompt
from examples.phi2_lora.recipe import Curve, Recipe
from examples.phi2_lora.tensorlite_engine import TensorliteEngine
from examples.phi2_lora.torch_engine import TorchEngine

RECIPE = Recipe(lr=1e-3, weight_decay=0.01, dropout=0.0, batch_size=4, accumulate=1, max_steps=60)
Engines = tuple[TensorliteEngine, TorchEngine]


def engines(folder: Path, adapter: Path, recipe: Recipe = RECIPE) -> Engines:
    """Both engines with the same first adapters."""
    mine, theirs = TensorliteEngine(folder), TorchEngine(folder)
    mine.new_adapters(recipe)
    mine.save_adapter(adapter)
    theirs.adapt(adapter)
    return mine, theirs


def gap(left: Path, right: Path) -> float:
    a, b = (load_file(path / "adapter_model.safetensors") for path in (left, right))
    assert set(a) == set(b)
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


def worst(left: Sequence[float], right: Sequence[float]) -> float:
    return float(np.abs(np.subtract(left, right)).max())


@pytest.fixture(scope="module")
def trained(
    folder: Path, examples: list[Example], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Engines, tuple[Curve, Curve], Path]:
    out = tmp_path_factory.mktemp("trained")
    mine, theirs = engines(folder, out / "first")
    curves = mine.train(examples, RECIPE), theirs.train(examples, RECIPE)
    mine.save_adapter(out / "mine")
    theirs.save_adapter(out / "theirs")
    return (mine, theirs), curves, out


def some_ids(mine: TensorliteEngine) -> npt.NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, len(mine.tokenizer), (3, 17))


def test_sixty_updates_agree(trained: Any) -> None:
    (_mine, _theirs), (a, b), out = trained
    assert len(a.losses) == len(b.losses) == 60
    assert np.mean(a.losses[-10:]) < 0.9 * np.mean(a.losses[:10])  # there was something to learn
    assert worst(a.losses, b.losses) <= 2e-6
    assert worst(a.grad_norms, b.grad_norms) <= 2e-5
    assert gap(out / "mine", out / "theirs") <= 1e-4
    assert gap(out / "mine", out / "first") > 1e-2


def test_both_agree_with_float64(folder: Path, examples: list[Example], trained: Any) -> None:
    _, (a, b), out = trained
    exact = TensorliteEngine(folder)
    exact.adapt(out / "first")
    exact.model.double()
    reference = exact.train(examples, RECIPE).losses
    assert worst(a.losses, reference) <= 2e-6
    assert worst(b.losses, reference) <= 2e-6


def test_every_b_has_moved(trained: Any) -> None:
    _, _, out = trained
    for name in ("mine", "theirs"):
        weights = load_file(out / name / "adapter_model.safetensors")
        moved = [np.abs(w).max() for n, w in weights.items() if "lora_B" in n]
        assert len(moved) == 18
        assert min(moved) > 0


def test_adapters_move_both_ways(folder: Path, trained: Any) -> None:
    (mine, theirs), _, out = trained
    ids = some_ids(mine)
    into_peft, into_mine = TorchEngine(folder), TensorliteEngine(folder)
    into_peft.adapt(out / "mine")
    into_mine.adapt(out / "theirs")
    np.testing.assert_allclose(into_peft.logits(ids), mine.logits(ids), atol=1e-4)
    np.testing.assert_allclose(into_mine.logits(ids), theirs.logits(ids), atol=1e-4)
    for engine in (into_peft, into_mine):
        before = engine.logits(ids)
        engine.merge()
        np.testing.assert_allclose(engine.logits(ids), before, atol=2e-5)
    np.testing.assert_allclose(into_mine.logits(ids), into_peft.logits(ids), atol=5e-4)


def test_merged_logits_of_one_adapter_are_equal(folder: Path, trained: Any) -> None:
    (mine, _), _, out = trained
    a, b = TensorliteEngine(folder), TorchEngine(folder)
    for engine in (a, b):
        engine.adapt(out / "theirs")
        engine.merge()
    ids = some_ids(mine)
    np.testing.assert_allclose(a.logits(ids), b.logits(ids), atol=1e-4)


def test_greedy_answers_and_losses_are_equal(trained: Any, examples: list[Example]) -> None:
    (mine, theirs), _, _ = trained
    questions = [prompt("What does denial code 29 mean on a remittance?"), "The capital of France is"]
    assert mine.answer(questions, 12) == theirs.answer(questions, 12)
    assert abs(mine.loss(examples[:30]) - theirs.loss(examples[:30])) < 2e-5


def test_counts_are_equal(trained: Any) -> None:
    (mine, theirs), _, _ = trained
    assert mine.counts() == theirs.counts()
    assert mine.counts().trainable == 3 * 8 * (4 * 160 + 2 * 400)


def test_an_adapter_of_another_model_is_refused(folder: Path, trained: Any, tmp_path: Path) -> None:
    _, _, out = trained
    values = json.loads((out / "theirs" / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(values | {"target_modules": ["q_proj"]}))
    (tmp_path / "adapter_model.safetensors").write_bytes((out / "theirs" / "adapter_model.safetensors").read_bytes())
    engine = TensorliteEngine(folder)
    with pytest.raises(ReadError, match="does not fit the model"):
        engine.adapt(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps(values | {"target_modules": ["o_proj"]}))
    with pytest.raises(ConfigError, match="o_proj"):
        engine.adapt(tmp_path)
