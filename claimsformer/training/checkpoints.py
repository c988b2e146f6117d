"""Checkpoints of a run: `last`, from which it goes on, and `best`, the weights of the best evaluation.

Both are written complete or not at all. Reading checks everything before anything is changed.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite import nn
from tensorlite.utils import checkpoints
from tensorlite.utils.safetensors import SafetensorError

from ..errors import CheckpointError, WriteError

__all__ = ["load_model", "random_state", "read", "set_random_state", "write"]

FORMAT = "claimsformer.training"


def write(path: Path, value: Any) -> None:
    """Write a checkpoint. Raises WriteError when the disk is full or the folder cannot be written; the old file stays."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.save(value, path)
    except OSError as error:
        kept = "the one from before is as it was" if path.exists() else "nothing was written"
        raise WriteError(
            f"cannot write the checkpoint {path}: {error.strerror or error}; {kept}",
            hint="free some space or choose another folder, then resume",
        ) from error


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint that training wrote. Raises CheckpointError if it is missing, damaged, or something else."""
    try:
        value = checkpoints.load(path)
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}", hint="leave resume out to start anew") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be read: {error}",
            hint="restore it from a copy, or delete it to start anew; nothing was changed",
        ) from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is not a checkpoint of a training run", hint="expected the run's last.safetensors"
        )
    return value


def model_state(model: nn.Module) -> dict[str, Any]:
    """The state_dict with a parameter that two layers share as one object, so that it is stored once."""
    return dict(model.state_dict(keep_vars=True))


def load_model(model: nn.Module, state: dict[str, Any], path: Path) -> None:
    """Fill the model. Raises CheckpointError, before anything is changed, if names or shapes differ."""
    check_model(model, state, path)
    model.load_state_dict(state)


def check_model(model: nn.Module, state: dict[str, Any], path: Path) -> None:
    """Raise CheckpointError unless the state has the model's names and shapes."""
    own = {name: tuple(value.shape) for name, value in model.state_dict().items() if hasattr(value, "shape")}
    found = {name: tuple(value.shape) for name, value in state.items() if hasattr(value, "shape")}
    if own == found:
        return
    name = next(n for n in [*own, *found] if own.get(n) != found.get(n))
    wrong = sum(own.get(n) != found.get(n) for n in {*own, *found})
    what = f"{name} is {_shape(found.get(name))} in the file and {_shape(own.get(name))} in the model"
    more = f" (and {wrong - 1} more)" if wrong > 1 else ""
    raise CheckpointError(
        f"the checkpoint {path} is of another model: {what}{more}",
        hint="build the model as it was built for that run, or choose another name; nothing was changed",
    )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else str(shape)


def random_state() -> dict[str, Any]:
    """The state of tensorlite's, NumPy's and Python's global generators."""
    return {"tensorlite": tl.get_rng_state(), "numpy": np.random.get_state(), "python": random.getstate()}  # noqa: NPY002


def set_random_state(state: dict[str, Any]) -> None:
    """Put the global generators into a state that `random_state` gave."""
    tl.set_rng_state(state["tensorlite"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    random.setstate(state["python"])
