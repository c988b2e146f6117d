"""From a list of examples to a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...tensor import Tensor
from ...tensor.creation import tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack tensors, arrays and numbers along a new first dim; go into tuples, lists and dicts; leave strings in a list.

    Raises RuntimeError for examples of unequal size and TypeError for other types.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return wrap(_stack([t._data for t in batch]))
    if isinstance(first, np.ndarray):
        return tensor(_stack(list(batch)))
    if isinstance(first, np.generic):
        return tensor(np.asarray(batch))
    if isinstance(first, float):
        return tensor(list(batch), dtype=np.float64)
    if isinstance(first, bool | int):
        return tensor(list(batch))
    if isinstance(first, str | bytes):
        return list(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([example[key] for example in batch]) for key in first}
    if isinstance(first, Sequence):
        if any(len(example) != len(first) for example in batch):
            raise RuntimeError(
                "each element in list of batch should be of equal size; give the DataLoader a collate_fn that pads"
            )
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {type(first)}"
    )


def _stack(arrays: list[Any]) -> Any:
    for a in arrays:
        if a.shape != arrays[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(arrays[0].shape)} at entry 0 and {list(a.shape)} at another; "
                "give the DataLoader a collate_fn that pads"
            )
    return np.stack(arrays)


def default_convert(example: Any) -> Any:
    """An example that is not batched, with its arrays turned into tensors."""
    if isinstance(example, np.ndarray | np.generic) and np.asarray(example).dtype.kind in "biufc":
        return tensor(example)
    if isinstance(example, Mapping):
        return {key: default_convert(value) for key, value in example.items()}
    if isinstance(example, list):
        return [default_convert(value) for value in example]
    if isinstance(example, tuple):
        parts = [default_convert(value) for value in example]
        return type(example)(*parts) if hasattr(example, "_fields") else parts
    return example
