"""Sequences of unequal length: padding, and what torch calls packing, which is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from ...ops.table import OPS
from ...tensor import Tensor


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Tensors of shapes (L_i, *) as one of shape (max L, B, *), or (B, max L, *) with `batch_first`; differentiable."""
    from ..functional import pad

    if padding_side not in ("right", "left"):
        raise ValueError(f"padding_side must be 'right' or 'left', got {padding_side!r}")
    if isinstance(sequences, Tensor):
        sequences = list(sequences)
    if not sequences:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    longest = max(s.shape[0] for s in sequences)
    padded = []
    for s in sequences:
        missing = longest - s.shape[0]
        ends = [0, missing] if padding_side == "right" else [missing, 0]
        padded.append(pad(s, [0, 0] * (s.ndim - 1) + ends, value=padding_value) if missing else s)
    stacked: Tensor = OPS["stack"](padded, 0 if batch_first else 1)
    return stacked


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The inverse of `pad_sequence`, given the lengths."""
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [rows[i, : int(n)] for i, n in enumerate(lengths)]


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"nn.utils.rnn.{name}: packed sequences are not supported; pad with pad_sequence, give the padded tensor to the layer, and mask the loss"
    )


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> NoReturn:
    """Raises NotImplementedError: packed sequences are not supported."""
    _refuse("pack_padded_sequence")


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> NoReturn:
    """Raises NotImplementedError: packed sequences are not supported."""
    _refuse("pack_sequence")


def pad_packed_sequence(
    sequence: Any, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> NoReturn:
    """Raises NotImplementedError: packed sequences are not supported."""
    _refuse("pad_packed_sequence")
