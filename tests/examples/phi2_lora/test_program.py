"""`python -m examples.phi2_lora` as it is typed: what cannot be done is said in a sentence, before anything is trained."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from claimsformer.errors import ConfigError
from examples.phi2_lora import __main__ as program
from examples.phi2_lora.recipe import Recipe
from examples.phi2_lora.table import comparison


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["phi2_lora", *words])
    with pytest.raises(SystemExit) as end:
        program.main()
    assert end.value.code not in (0, None)
    return f"{end.value.code} {capsys.readouterr().err}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "nowhere"], "tiny, smollm2 or the folder of a model, got 'nowhere'"),
        (["--model", "{folder}", "--steps", "0"], "must be at least 1, got 0"),
        (["--model", "{folder}", "--steps", "-3"], "must be at least 1, got -3"),
        (["--model", "{folder}", "--save-every", "0"], "must be at least 1, got 0"),
        (["--model", "{folder}", "--questions", "0"], "must be at least 1, got 0"),
        (["--model", "{folder}", "--recipe", "{{"], "--recipe must be a JSON object"),
        (["--model", "{folder}", "--recipe", "[1]"], "--recipe must be a JSON object"),
        (["--model", "{folder}", "--recipe", '{{"rank": 8}}'], "a recipe has no rank; it has targets, r, "),
        (["--model", "{folder}", "--recipe", '{{"r": 0}}'], "r must be a whole number, at least 1"),
        (["--model", "{folder}", "--recipe", '{{"targets": "q_proj"}}'], "targets must be a list of names"),
        (["--model", "{folder}", "--adapter", "nowhere"], "adapter_config.json is not in nowhere"),
        (["--model", "{empty}"], "cannot read config.json"),
        (["--model", "{other}"], "phi, llama, mistral, qwen2 or gemma, got 'bert'"),
        (["--model", "{folder}", "--out", "{file}"], "file.txt"),
    ],
)
def test_what_cannot_be_done(
    words: list[str], message: str, folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    places = {"folder": folder, "empty": tmp_path / "empty", "other": tmp_path / "other", "file": tmp_path / "file.txt"}
    places["empty"].mkdir()
    places["other"].mkdir()
    (places["other"] / "config.json").write_text('{"model_type": "bert"}')
    places["file"].write_text("")
    words = [word.format(**places) for word in words]
    said = refused(monkeypatch, capsys, "--engine", "tensorlite", "--out", str(tmp_path / "out"), *words)
    assert message in said


@pytest.mark.parametrize("engine", ["torch", "both"])
def test_without_torch_the_engine_that_needs_none_is_named(
    engine: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program.importlib.util, "find_spec", lambda name: None)
    said = refused(monkeypatch, capsys, "--model", str(folder), "--engine", engine, "--out", str(tmp_path))
    assert "needs torch, transformers, peft, accelerate" in said
    assert "--engine tensorlite" in said


def test_a_tiny_model_that_was_not_finished_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are written before its configuration: a run that was stopped between the two leaves no config.json."""
    made: list[Path] = []
    monkeypatch.setattr("examples.phi2_lora.tiny.make_tiny_phi", made.append)
    (tmp_path / "tiny-phi").mkdir()
    (tmp_path / "tiny-phi" / "model.safetensors").write_bytes(b"")
    program._folder("tiny", tmp_path)
    assert made == [tmp_path / "tiny-phi"]
    (tmp_path / "tiny-phi" / "config.json").write_text("{}")
    program._folder("tiny", tmp_path)
    assert len(made) == 1


def test_the_same_run_writes_the_same_bytes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        words = [
            "--model",
            str(folder),
            "--engine",
            "tensorlite",
            "--steps",
            "2",
            "--questions",
            "1",
            "--out",
            str(tmp_path / name),
        ]
        monkeypatch.setattr(sys, "argv", ["phi2_lora", *words])
        program.main()
    files = [tmp_path / name / "adapter" / "adapter_model.safetensors" for name in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()
    losses = [json.loads((tmp_path / name / "report.json").read_text())["losses"] for name in ("a", "b")]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    "values",
    [{"epochs": 0}, {"batch_size": 0}, {"accumulate": -1}, {"max_steps": 0}, {"seed": -1}, {"lr": float("nan")}, {"dropout": -0.1}, {"lr": "1"}],
    ids=str,
)  # fmt: skip
def test_numbers_that_no_run_can_have(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        Recipe(**values)


def test_a_model_that_answers_nothing_still_gets_its_table() -> None:
    """Decoding then has a rate of zero, which nothing can be divided by."""
    evaluation = {"loss": 1.0, "facts": 0, "asked": 1, "general_loss": 1.0, "general_right": 0, "answers": [""] * 4}
    report = {
        "parameters": 10, "trainable": 1, "losses": [1.0], "grad_norms": [1.0], "seconds": 1.0, "processor_seconds": 0.0,
        "tokens_per_second": 1.0, "decoded_per_second": 0.0, "before": evaluation, "after": evaluation, "merged_loss": 1.0,
        "peak_memory_mb": 1.0,
    }  # fmt: skip
    assert "decoded a second" in comparison({"engine": "torch", **report}, {"engine": "tensorlite", **report})
