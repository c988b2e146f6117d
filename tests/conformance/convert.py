"""Values of torch as values of tensorlite."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import tensorlite as tl


def to_lite(value: Any, seen: dict[int, Any] | None = None) -> Any:
    """Tensors (copied; one that appears twice becomes one), dtypes and containers of them; other values stay what they are."""
    seen = {} if seen is None else seen
    if isinstance(value, torch.Tensor):
        if id(value) not in seen:
            seen[id(value)] = tl.tensor(value.detach().numpy().copy()).requires_grad_(value.requires_grad)
        return seen[id(value)]
    if isinstance(value, torch.dtype):
        return getattr(tl, str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, dict):
        return type(value)((k, to_lite(v, seen)) for k, v in value.items())
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return type(value)(to_lite(v, seen) for v in value)
    return value


def tensors(value: Any) -> list[Any]:
    """The tensors in nested containers, in order; of either library."""
    if isinstance(value, torch.Tensor | tl.Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for v in value.values() for t in tensors(v)]
    if isinstance(value, list | tuple):
        return [t for v in value for t in tensors(v)]
    return []


def array(tensor: Any) -> np.ndarray[Any, Any]:
    return tensor.detach().numpy()  # type: ignore[no-any-return]
