"""Overwriting all values."""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import op


def _write(x: Any, values: Any) -> None:
    x[...] = values


@op(namespaces=())
def fill_random(x: Any, values: Any) -> Any:
    """Values drawn elsewhere, in place of those of `x`; nothing flows back through them."""
    return np.array(values, dtype=x.dtype)


fill_random.writes = _write
fill_random.grad(x=lambda g: g * 0)
