"""From a pair of instruction and response to ids and labels, the same for both engines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .pairs import Pair

__all__ = ["IGNORED", "Example", "collate", "encode", "encode_all", "prompt", "tokens"]

IGNORED = -100  #: a label that no loss counts
Ids = npt.NDArray[np.int64]


class Example(NamedTuple):
    """One sequence `(T,)`; `labels` are its own ids where they count, else -100."""

    ids: list[int]
    labels: list[int]


def prompt(instruction: str) -> str:
    """What the model sees before it answers. No blank at the end: it belongs to the first word of the response."""
    return f"### Instruction: {instruction}\n### Response:"


def encode(pair: Pair, tokenizer: Any, eos_id: int, max_length: int = 512) -> Example:
    """Prompt and response tokenised as one text; a token counts if it ends behind the prompt's last character.

    Tokenised apart, the two parts give other tokens at the seam. The end of text is a label too, or the model never
    learns to stop; a response that had to be cut has none. Raises ValueError if the prompt leaves no room.
    """
    start = prompt(pair.instruction)
    encoding = tokenizer(f"{start} {pair.response}", return_offsets_mapping=True, add_special_tokens=False)
    ids = [int(i) for i in encoding["input_ids"]]
    ends = [int(end) for _, end in encoding["offset_mapping"]]
    labels = [i if end > len(start) else IGNORED for i, end in zip(ids, ends, strict=True)]
    ids, labels = [*ids, eos_id][:max_length], [*labels, eos_id][:max_length]
    if all(label == IGNORED for label in labels):
        raise ValueError(f"the prompt fills all {max_length} tokens: shorten the instruction or raise max_length")
    return Example(ids, labels)


def encode_all(pairs: Iterable[Pair], tokenizer: Any, eos_id: int, max_length: int = 512) -> list[Example]:
    """All pairs, in order."""
    return [encode(pair, tokenizer, eos_id, max_length) for pair in pairs]


def collate(examples: Sequence[Example], pad_id: int) -> dict[str, Ids]:
    """`input_ids`, `attention_mask` and `labels` `(B, T)`, padded on the right.

    Padding is masked by its place, never by its id: with pad = EOS, masking by id would take the real EOS from the labels.
    """
    length = max(len(e.ids) for e in examples)
    batch = {
        "input_ids": np.full((len(examples), length), pad_id, np.int64),
        "attention_mask": np.zeros((len(examples), length), np.int64),
        "labels": np.full((len(examples), length), IGNORED, np.int64),
    }
    for row, example in enumerate(examples):
        n = len(example.ids)
        batch["input_ids"][row, :n] = example.ids
        batch["attention_mask"][row, :n] = 1
        batch["labels"][row, :n] = example.labels
    return batch


def tokens(examples: Iterable[Example]) -> int:
    """How many tokens the examples hold together."""
    return sum(len(e.ids) for e in examples)
