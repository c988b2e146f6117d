"""The files of a Hugging Face folder: `config.json`, and `model.safetensors` or its shards with `model.safetensors.index.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tensorlite.utils.safetensors import SafetensorError, safe_open

from ..errors import ReadError

__all__ = ["read_config", "read_tensors"]

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def read_config(folder: Path) -> dict[str, Any]:
    """The contents of `config.json`. Raises ReadError if it is missing or holds no JSON object."""
    return _json_object(folder / "config.json")


def read_tensors(folder: Path) -> dict[str, Any]:
    """All weights by name, as pages of the files that are copied when they are written to; bfloat16 becomes float32.

    One whole file goes before shards, as in transformers. Raises ReadError for what is missing or damaged, and for shards that
    hold other tensors than the index says.
    """
    if (folder / _WHOLE).exists() or not (folder / _INDEX).exists():
        return _tensors(folder / _WHOLE)
    places = _json_object(folder / _INDEX).get("weight_map")
    if not isinstance(places, dict) or any(not isinstance(f, str) or Path(f).name != f for f in places.values()):
        raise ReadError(f"{folder / _INDEX} is damaged: weight_map must name a file of the folder for each tensor")
    arrays: dict[str, Any] = {}
    for file in sorted(set(places.values())):
        found = _tensors(folder / file)
        for name in sorted({*found, *(n for n, place in places.items() if place == file)}):
            if name not in found or places.get(name, file) != file:
                where = f"is not in {file}" if name not in found else f"is in {file} too"
                raise ReadError(f"cannot read the weights in {folder}: {name} {where}, unlike its index says")
        arrays |= found
    return arrays


def _tensors(file: Path) -> dict[str, Any]:
    try:
        opened = safe_open(file)
        return {name: opened.get_array(name, copy=False, on_write=True) for name in opened.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise ReadError(
            f"cannot read the weights: {file.name} is not in {file.parent}",
            hint="expected a folder with safetensors, such as save_pretrained of transformers writes",
        ) from None
    except (OSError, SafetensorError) as error:
        raise ReadError(f"cannot read the weights in {file.parent}: {error}") from error


def _json_object(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ReadError(f"cannot read {path.name} in {path.parent}: {error}") from error
    if not isinstance(values, dict):
        raise ReadError(f"{path} must hold a JSON object, got {type(values).__name__}")
    return values
