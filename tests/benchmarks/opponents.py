"""The small GPT's training step against libraries that differentiate NumPy code: HIPS autograd, and jax compiled."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from ._models import SMALL
from .harness import Note, Ratio
from .transformer import in_turn

NEEDS = {"autograd": ("autograd", "scipy"), "jax": ("jax", "jaxlib")}


def rows() -> Iterator[Ratio | Note]:
    for library, packages in NEEDS.items():
        missing = [p for p in packages if importlib.util.find_spec(p) is None]
        name = f"train {SMALL.name} against {library}, 1 thread"
        if missing:
            yield Note(f"{name}: skipped, {' and '.join(missing)} not installed")
        else:
            yield in_turn(name, "train", 0, None, 15, ("tensorlite", 1), (library, 1))
