"""A model as a folder: `config.json` and `model.safetensors`; the tokenizer puts its `tokenizer.json` beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tensorlite import nn
from tensorlite.utils.safetensors import SafetensorError, load_file, save_file

from ..errors import ReadError, WriteError

if TYPE_CHECKING:
    from .config import TransformerConfig

__all__ = ["CONFIG", "WEIGHTS", "fetch", "load_weights", "save"]

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def save(model: nn.Module, config: TransformerConfig, folder: str | Path) -> Path:
    """Write both files; a matrix that two layers share is written once. Raises WriteError where that is not possible."""
    folder = Path(folder)
    shared = _second_names(model)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in shared}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})
        config.save(folder / CONFIG)
    except OSError as error:
        raise WriteError(f"cannot save the model in {folder}: {error.strerror or error}") from error
    return folder


def load_weights(model: nn.Module, folder: str | Path) -> None:
    """Fill the model from the folder. Raises ReadError if the file is missing or damaged, or holds another model."""
    path = Path(folder) / WEIGHTS
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise ReadError(f"{WEIGHTS} is not in {folder}", hint="expected a folder that save_pretrained wrote") from None
    except (SafetensorError, OSError) as error:
        raise ReadError(f"cannot read {path}: {error}") from error
    for second, first in _second_names(model).items():
        if first in tensors:
            tensors.setdefault(second, tensors[first])
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ReadError(
            f"{path} does not fit its {CONFIG}: {error}", hint="were the files saved by different models?"
        ) from error


def fetch(name: str) -> Path:
    """The folder of a real pretrained model, "smollm2" or "minilm"; see `fetching.fetch`."""
    from .fetching import fetch as download

    return download(name)


def _second_names(model: nn.Module) -> dict[str, str]:
    """Names under which a parameter appears again, and the name under which it appeared first."""
    first: dict[int, str] = {}
    again = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), name) != name:
            again[name] = first[id(parameter)]
    return again
