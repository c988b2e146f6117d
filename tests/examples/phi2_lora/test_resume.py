"""A run that is interrupted and resumed ends as one that was not: the same adapters, the same losses from the first update on."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from claimsformer.errors import CheckpointError
from examples.phi2_lora import __main__ as program
from examples.phi2_lora import tensorlite_engine, torch_engine
from examples.phi2_lora.checkpoint import begin, finish, folder_of, identity, newest
from examples.phi2_lora.formatting import Example
from examples.phi2_lora.recipe import Curve, Recipe
from examples.phi2_lora.run import make_engine, run

#: With dropout, so that the random state counts; seven updates, the last of one micro-batch.
RECIPE = Recipe(lr=5e-3, batch_size=2, accumulate=2, dropout=0.2, epochs=1)
N, EVERY = 7, 2


def train(name: str, folder: Path, examples: list[Example], out: Path) -> Curve:
    engine = make_engine(name, folder)
    engine.new_adapters(RECIPE)
    curve = engine.train(examples[: 4 * N - 2], RECIPE, folder_of(out), EVERY)
    engine.save_adapter(out / "adapter")
    return curve


def after_update(name: str, k: int, act: Any, patch: pytest.MonkeyPatch) -> None:
    """Call `act` at the end of update k."""
    kind: Any = tensorlite_engine._Recorder if name == "tensorlite" else torch_engine._Recorder
    event, seen = kind.on_step_end, []

    def on_step_end(*words: Any, **options: Any) -> None:
        seen.append(1)
        if len(seen) == k:
            act()
        event(*words, **options)

    patch.setattr(kind, "on_step_end", on_step_end)


def fall() -> None:
    raise KeyboardInterrupt


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def step_of(name: str, checkpoint: Path) -> int:
    if name == "torch":
        return int(json.loads((checkpoint / "trainer_state.json").read_text())["global_step"])
    from claimsformer.training import checkpoints

    return int(checkpoints.read(checkpoint)["position"]["step"])


@pytest.mark.parametrize("name", ["tensorlite", "torch"])
@pytest.mark.parametrize(("act", "kept"), [(fall, 4), (ctrl_c, 5)])
def test_a_resumed_run_is_the_run(
    name: str, act: Any, kept: int, folder: Path, examples: list[Example], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A run that falls in its fifth update goes on from the fourth, after Ctrl-C from the fifth."""
    whole = train(name, folder, examples, tmp_path / "whole")
    assert len(whole.losses) == N
    with monkeypatch.context() as patch:
        after_update(name, 5, act, patch)
        with pytest.raises(KeyboardInterrupt):
            train(name, folder, examples, tmp_path / "parts")
    found = newest(folder_of(tmp_path / "parts"))
    assert found is not None
    assert step_of(name, found) == kept
    resumed = train(name, folder, examples, tmp_path / "parts")
    if name == "tensorlite":
        assert resumed.losses == whole.losses
        assert resumed.grad_norms == whole.grad_norms
    else:  # its kernels promise no bits
        np.testing.assert_allclose(resumed.losses, whole.losses, rtol=1e-6)
        np.testing.assert_allclose(resumed.grad_norms, whole.grad_norms, rtol=1e-5)
    a, b = (load_file(tmp_path / part / "adapter" / "adapter_model.safetensors") for part in ("whole", "parts"))
    assert set(a) == set(b)
    for key in a:
        np.testing.assert_allclose(a[key], b[key], rtol=0, atol=0 if name == "tensorlite" else 1e-6)
    assert resumed.tokens == whole.tokens


@pytest.mark.parametrize("name", ["tensorlite", "torch"])
def test_a_checkpoint_holds_what_learns_alone(
    name: str, folder: Path, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_update(name, 3, fall, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(name, folder, examples, tmp_path)
    found = newest(folder_of(tmp_path))
    assert found is not None
    weights = found if name == "tensorlite" else found / "adapter_model.safetensors"
    numbers = sum(value.size for value in load_file(weights).values())
    learning = 3 * 8 * (4 * 160 + 2 * 400)
    if name == "torch":
        assert numbers == learning
    else:  # with AdamW's two moments, and the random state
        assert 3 * learning <= numbers < 3.2 * learning


def test_what_a_kill_leaves_of_a_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for step, text in ((2, '{"global_step": 2}'), (4, '{"global_step": 4}'), (6, '{"glob'), (10, None)):
        (folder_of(tmp_path) / f"checkpoint-{step}").mkdir(parents=True)
        if text is not None:
            (folder_of(tmp_path) / f"checkpoint-{step}" / "trainer_state.json").write_text(text)
    assert newest(folder_of(tmp_path)) == folder_of(tmp_path) / "checkpoint-4"


def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """The exit status of the program, None if it returns."""
    monkeypatch.setattr(sys, "argv", ["phi2_lora", *words])
    try:
        return program.main()
    except SystemExit as end:
        return end.code


def test_ctrl_c_says_how_to_resume_and_what_lies_there_is_not_lost(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def words(out: str, steps: int = 4) -> list[str]:
        options = ["--engine", "tensorlite", "--questions", "1", "--steps", str(steps), "--save-every", "2"]
        return ["--model", str(folder), "--out", str(tmp_path / out), *options]

    assert called(monkeypatch, *words("whole")) is None
    assert not folder_of(tmp_path / "whole").exists()
    with monkeypatch.context() as patch:
        after_update("tensorlite", 3, ctrl_c, patch)
        assert called(monkeypatch, *words("my parts"), "--quiet") == 130
    said = capsys.readouterr().err
    assert f"--out '{tmp_path / 'my parts'}'" in said
    assert said.rstrip().endswith("--save-every 2 --quiet --resume")

    assert "interrupted" in called(monkeypatch, *words("my parts"))
    refused = called(monkeypatch, *words("my parts", 5), "--resume")
    assert "of another run: max_steps is 4 there and 5 here" in refused
    assert called(monkeypatch, *words("my parts"), "--resume") is None
    assert "resuming from" in capsys.readouterr().err
    reports = [json.loads((tmp_path / out / "report.json").read_text()) for out in ("whole", "my parts")]
    adapters = [tmp_path / out / "adapter" / "adapter_model.safetensors" for out in ("whole", "my parts")]
    assert adapters[0].read_bytes() == adapters[1].read_bytes()
    for key in ("losses", "grad_norms", "before", "after", "merged_loss", "run"):
        assert reports[0][key] == reports[1][key]

    assert called(monkeypatch, *words("my parts"), "--resume") is None
    assert "holds the finished run" in capsys.readouterr().err
    monkeypatch.setattr("examples.phi2_lora.run.evaluate", lambda *_: fall())  # before the first update
    assert called(monkeypatch, *words("my parts", 1)) == 130
    assert "holds a result, which this run overwrites when it ends" in capsys.readouterr().err
    assert json.loads((tmp_path / "my parts" / "report.json").read_text()) == reports[1]
    assert called(monkeypatch, *words("my parts", 1), "--resume") == 130
    said = capsys.readouterr().err
    assert "no checkpoint in" in said
    assert "starting anew" in said
    assert "holds a result, which this run overwrites when it ends" in said


def test_a_checkpoint_of_another_model_recipe_or_engine_is_refused(
    folder: Path, examples: list[Example], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made_of = identity("torch", folder, RECIPE, examples, None, 3)
    assert begin(out, made_of, resume=False) is None
    (folder_of(out) / "checkpoint-2").mkdir()
    (folder_of(out) / "checkpoint-2" / "trainer_state.json").write_text('{"global_step": 2}')
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    assert identity("torch", other, RECIPE, examples, None, 3) == made_of  # the folder may move
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other / "model.safetensors").write_bytes(data)
    for wanted, message in (
        (identity("tensorlite", folder, RECIPE, examples, None, 3), "engine is 'torch' there and 'tensorlite' here"),
        (identity("torch", folder, replace(RECIPE, lr=1e-3), examples, None, 3), "lr is 0.005 there and 0.001 here"),
        (identity("torch", other, RECIPE, examples, None, 3), "its weights, configuration or tokenizer differ"),
        (identity("torch", folder, RECIPE, examples[1:], None, 3), "the training examples differ"),
        (identity("torch", folder, RECIPE, examples, other, 3), "the first adapters differ"),
    ):
        with pytest.raises(CheckpointError, match=message):
            begin(out, wanted, resume=True)
    with pytest.raises(CheckpointError, match="not overwritten"):
        begin(out, made_of, resume=False)
    assert begin(out, made_of, resume=True) is None
    finish(out)
    assert not folder_of(out).exists()


def test_a_folder_of_somebody_else_is_not_deleted(tmp_path: Path) -> None:
    folder_of(tmp_path).mkdir()
    (folder_of(tmp_path) / "mine.txt").write_text("kept")
    begin(tmp_path, {"format": "examples.phi2_lora"}, resume=False)
    assert (folder_of(tmp_path) / "mine.txt").read_text() == "kept"


def test_an_engine_that_would_be_overwritten_is_named_before_the_other_trains(folder: Path, tmp_path: Path) -> None:
    from examples.phi2_lora.run import both

    checkpoint = folder_of(tmp_path / "tensorlite") / "checkpoints" / "last.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"")
    with pytest.raises(CheckpointError, match="tensorlite holds a run that was interrupted"):
        both(folder, RECIPE, tmp_path)
    with pytest.raises(CheckpointError, match="--resume goes on with it"):
        run("tensorlite", folder, RECIPE, tmp_path / "tensorlite")
