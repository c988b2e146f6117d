"""A fitted processor as a folder: config.json, model.safetensors and tokenizer.json; no identifier in any of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from claimsformer.assessment.claim_reading import CLAIM_READING
from claimsformer.assessment.costs import Costs
from claimsformer.assessment.edits import EditTables
from claimsformer.assessment.examples import Examples
from claimsformer.assessment.fitting import Fitted, Settings
from claimsformer.assessment.fusion import Fusion
from claimsformer.assessment.masked_model import MaskedClaimModel, MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining
from claimsformer.assessment.questions import Frequencies
from claimsformer.assessment.reading import Reader
from claimsformer.assessment.surprise import Calibration
from claimsformer.errors import ClaimsformerError, ReadError
from claimsformer.tokenizer.fields import FieldTokenizer
from tensorlite.utils.safetensors import load_file, save_file

__all__ = ["FORMAT", "fingerprint", "load", "save"]

# 2: answers to questions in place of one surprise a field, providers' numbers as keyed hashes.
FORMAT: Final = 2
_TYPE: Final = "claimsformer-assessment"
_CALIBRATION, _DETAILS = "calibration.", "details."
# What a file with other contents than it was saved with can set off, before its fingerprint is looked at.
_DAMAGE: Final = (
    OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError, MemoryError,
    pl.exceptions.PolarsError, ClaimsformerError,
)  # fmt: skip


def save(folder: Path, fitted: Fitted, settings: Settings, costs: Costs, version: str) -> None:
    """Write the three files; config.json last, and at once."""
    folder.mkdir(parents=True, exist_ok=True)
    fitted.reader.tokenizer.save_pretrained(folder)
    save_file(_arrays(fitted), folder / "model.safetensors", {"format": "claimsformer"})
    config = _config(fitted, settings, costs) | {"model_version": version}
    temporary = folder / ".config.json.tmp"
    temporary.write_text(json.dumps(config, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(temporary, folder / "config.json")


def load(folder: Path) -> tuple[Fitted, Settings, Costs, str]:
    """What `save` wrote; raises ReadError where the folder does not hold it."""
    config = _read_config(folder)
    try:
        arrays = load_file(folder / "model.safetensors")
        fitted, settings, costs = _assembled(config, arrays, FieldTokenizer.from_pretrained(folder))
        whole = fingerprint(fitted, settings, costs) == config["model_version"]
    except _DAMAGE as error:
        raise _no_model(folder, error) from None
    if not whole:
        raise ReadError(
            f"the files in {folder.name!r} are not as they were saved: one is damaged, edited or of another model",
            hint="Copy the whole folder again, or train: claimsformer train claims.parquet --out my_model",
        )
    return fitted, settings, costs, config["model_version"]


def _assembled(
    config: dict[str, Any], arrays: Mapping[str, Any], tokenizer: FieldTokenizer
) -> tuple[Fitted, Settings, Costs]:
    settings = Settings(
        MaskedModelConfig(**config["model"]),
        MaskedTraining(**config["training"]),
        config["fusion"]["prior"],
        len(config["examples"]["summaries"]),
        config["head"],
    )
    model = MaskedClaimModel(tokenizer, settings.model)
    model.load_state_dict({k.removeprefix("model."): v for k, v in arrays.items() if k.startswith("model.")})
    model.eval()
    rest = {k: v.numpy() for k, v in arrays.items() if not k.startswith("model.")}
    reader = Reader(
        CLAIM_READING,
        tokenizer,
        model,
        Frequencies.from_arrays(rest),
        Calibration.from_arrays([q.name for q in CLAIM_READING.questions], rest, _CALIBRATION),
        Calibration.from_arrays([q.name for q in CLAIM_READING.details], rest, _DETAILS),
        config["losses"],
    )
    shown = config["examples"]
    examples = Examples(rest["examples"], tuple(shown["summaries"]), tuple(shown["outcomes"]))
    fitted = Fitted(
        reader, EditTables.from_dict(config["tables"]), Fusion.from_dict(config["fusion"]), examples,
        config["n_history"], config["least_values"],
    )  # fmt: skip
    return fitted, settings, Costs.from_dict(config["costs"])


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _no_model(folder, error) from None
    expected = {
        "model_type": _TYPE,
        "questions": [q.name for q in CLAIM_READING.questions],
        "details": [q.name for q in CLAIM_READING.details],
    }
    if not isinstance(config, dict):
        raise _no_model(folder, TypeError())
    if config.get("format") != FORMAT or {name: config.get(name) for name in expected} != expected:
        raise ReadError(
            f"{folder.name!r} holds a model of format {config.get('format')} of another release; this one reads {FORMAT}",
            hint="Train it again on its history: claimsformer train claims.parquet --out my_model",
        )
    return config


def _no_model(folder: Path, error: Exception) -> ReadError:
    missing = error.filename if isinstance(error, FileNotFoundError) else None
    why = f"{Path(missing).name} is missing" if missing else type(error).__name__
    return ReadError(
        f"{folder.name!r} holds no assessment model: {why}",
        hint="Train one: claimsformer train --quick --out my_model",
    )


def _arrays(fitted: Fitted) -> dict[str, Any]:
    reader = fitted.reader
    weights = {f"model.{name}": value for name, value in reader.model.state_dict().items()}
    return (
        weights
        | reader.frequencies.to_arrays()
        | reader.calibration.to_arrays(_CALIBRATION)
        | reader.details.to_arrays(_DETAILS)
        | {"examples": fitted.examples.vectors}
    )


def _config(fitted: Fitted, settings: Settings, costs: Costs) -> dict[str, Any]:
    losses = fitted.reader.losses
    return {
        "format": FORMAT,
        "model_type": _TYPE,
        "model": settings.model.to_dict(),
        "training": asdict(settings.training),
        "questions": [q.name for q in CLAIM_READING.questions],
        "details": [q.name for q in CLAIM_READING.details],
        "tables": fitted.tables.to_dict(),
        "costs": costs.to_dict(),
        "head": settings.head,
        "fusion": fitted.fusion.to_dict(),
        "examples": {"summaries": list(fitted.examples.summaries), "outcomes": list(fitted.examples.outcomes)},
        "losses": [round(loss, 4) for loss in losses[:: max(1, len(losses) // 200)]],
        "n_history": fitted.n_history,
        "least_values": fitted.least_values,
    }


def fingerprint(fitted: Fitted, settings: Settings, costs: Costs) -> str:
    """A version that changes with every weight and setting, and with what the tokenizer learned."""
    said = _config(fitted, settings, costs) | {"tokenizer": fitted.reader.tokenizer.to_dict()}
    sha = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, value in sorted(_arrays(fitted).items()):
        array = value if isinstance(value, np.ndarray) else value.numpy()
        sha.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return f"{FORMAT}-{sha.hexdigest()[:12]}"
