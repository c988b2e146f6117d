"""From examples to batches, and from a batch to what the model and the loss are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite import Tensor, nn
from tensorlite.utils.data import DataLoader, Dataset, LengthBucketSampler, default_collate

from ..errors import ConfigError
from .losses import batch_size

__all__ = ["PadCollate", "make_loader", "run_model", "size_of"]


class PadCollate:
    """Batches of examples that are dicts of sequences of ids: padded to the longest, with an `attention_mask`.

    `labels` are padded with -100, which losses ignore; everything else with `pad_id`. Entries that are single numbers are
    stacked. `mask_for` names the entry whose length is the example's (default: `ids`, or `input_ids` as tokenizers call it).
    """

    def __init__(self, pad_id: int = 0, label_pad: int = -100, mask_for: str | None = None) -> None:
        self.pad_id, self.label_pad, self.mask_for = pad_id, label_pad, mask_for

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        if not all(isinstance(example, Mapping) for example in examples):
            raise ConfigError(
                f"PadCollate pads examples that are dicts, got {type(examples[0]).__name__}",
                hint="leave collate out for a tuple of arrays",
            )
        if any(set(example) != set(examples[0]) for example in examples):
            names = " and ".join(sorted({", ".join(map(str, example)) for example in examples}))
            raise ConfigError(f"the examples of a batch must have the same entries, got {names}")
        batch = {name: self._column(name, [np.asarray(e[name]) for e in examples]) for name in examples[0]}
        name = self.mask_for or ("input_ids" if "input_ids" in batch else "ids")
        if name in batch and "attention_mask" not in batch:
            lengths = np.array([len(e[name]) for e in examples])
            width = batch[name].shape[1]
            batch["attention_mask"] = tl.from_numpy(np.arange(width) < lengths[:, None])
        return batch

    def _column(self, name: str, rows: list[Any]) -> Tensor:
        if rows[0].ndim == 0:
            return as_tensor(np.stack(rows))
        fill = self.label_pad if name == "labels" else False if name.endswith("mask") else self.pad_id
        table = np.full((len(rows), max(map(len, rows)), *rows[0].shape[1:]), fill, rows[0].dtype)
        for line, row in zip(table, rows, strict=True):
            line[: len(row)] = row
        return as_tensor(table)


def as_tensor(array: Any) -> Tensor:
    """A tensor over the array, or over a copy of a single number."""
    made: Tensor = tl.from_numpy(np.asarray(array))
    return made


def make_loader(
    data: Any,
    size: int,
    *,
    shuffle: bool,
    collate: Any = None,
    by_length: bool = False,
    seed: int | None = 0,
) -> Any:
    """A loader of batches: `data` itself if it is one, else batches of the examples of a dataset, list or tuple of tensors.

    `by_length` puts examples of similar length together (their first entry's length).
    """
    if isinstance(data, DataLoader) or (hasattr(data, "state_dict") and hasattr(data, "__iter__")):
        return data
    if isinstance(data, tuple) and all(hasattr(part, "shape") for part in data):
        data, collate = _Columns(data), collate or _as_is
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise ConfigError(
            f"expected a DataLoader, a dataset, a list of examples or a tuple of arrays, got {type(data).__name__}"
        )
    if not len(data):
        raise ConfigError("the data hold no example")
    collate = collate or _stacked
    generator = None if seed is None else tl.Generator().manual_seed(seed)
    if by_length:
        lengths = [_length(data[i]) for i in range(len(data))]
        sampler = LengthBucketSampler(lengths, size, shuffle=shuffle, generator=generator)
        return DataLoader(data, batch_sampler=sampler, collate_fn=collate)
    return DataLoader(data, size, shuffle=shuffle, collate_fn=collate, generator=generator)


class _Columns(Dataset[Any]):
    """Rows of arrays of one first size; a batch is one gather from each."""

    def __init__(self, columns: Sequence[Any]) -> None:
        self.columns = [c.numpy() if isinstance(c, Tensor) else np.asarray(c) for c in columns]
        lengths = sorted({len(c) for c in self.columns})
        if len(lengths) != 1:
            raise ConfigError(f"the arrays must have one first size, got {lengths}")

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, index: Any) -> Any:
        return [as_tensor(c[index]) for c in self.columns]

    def __getitems__(self, indices: Sequence[int]) -> Any:
        return self[np.asarray(indices)]


def _as_is(batch: Any) -> Any:
    return batch


def _stacked(examples: Any) -> Any:
    try:
        return default_collate(examples)
    except RuntimeError as error:
        if "equal size" not in str(error):
            raise
        raise ConfigError(
            "examples of different shapes cannot be stacked to a batch",
            hint="collate=PadCollate() pads dicts of ids; arrays whose rows are the examples go into a tuple, (x, y)",
        ) from error


def _length(example: Any) -> int:
    first = next(iter(example.values())) if isinstance(example, Mapping) else example
    while isinstance(first, list | tuple) and first and hasattr(first[0], "__len__"):
        first = first[0]
    if not hasattr(first, "__len__"):
        raise ConfigError(f"by_length needs examples whose first entry has a length, got {type(first).__name__}")
    return len(first)


def run_model(model: nn.Module, batch: Any) -> tuple[Any, Any]:
    """(output, target) of a batch: `(x, …, y)` calls `model(x, …)`; a dict calls it by name with all but "labels"."""
    if isinstance(batch, Mapping):
        if "labels" not in batch:
            raise ConfigError(f"a batch by names must have 'labels', got {', '.join(map(str, batch))}")
        return model(**{name: value for name, value in batch.items() if name != "labels"}), batch["labels"]
    if isinstance(batch, list | tuple) and len(batch) >= 2:
        return model(*batch[:-1]), batch[-1]
    raise ConfigError(
        f"a batch must be (input, …, target) or a dict with 'labels', got {type(batch).__name__}",
        hint="or give the Trainer a function forward(model, batch) -> (output, target)",
    )


def size_of(batch: Any) -> tuple[int, str]:
    """(how many, of what): the batch's tokens, those that are real where there is an attention mask; else its examples."""
    if isinstance(batch, Mapping):
        mask = batch.get("attention_mask")
        if mask is not None:
            return int(np.asarray(mask.numpy()).sum()), "tokens"
        batch = list(batch.values())
    first = batch[0] if isinstance(batch, list | tuple) and batch else batch
    if isinstance(first, Tensor) and first.ndim == 2 and not first.is_floating_point():
        return int(first.numel()), "tokens"
    return batch_size(batch), "examples"
