"""Printing tensors the way torch does."""

from __future__ import annotations

from typing import Any

import numpy as np


def tensor_repr(t: Any) -> str:
    body = np.array2string(t._data, separator=", ", prefix="tensor(", precision=4)
    suffix = f", grad_fn=<{t._node.name()}>" if t._node is not None else ", requires_grad=True" if t._rg else ""
    return f"tensor({body}{suffix})"
