"""Losses that know by what they are divided.

A loss here returns `(total, weight)`: the sum over what counts, and the number of tokens, examples or class weights it is a
sum of; the loss that is minimised is `total / weight`. Kept apart, the two can be added up over micro-batches and
over a validation set, and the quotient is that of one large batch. A plain function that returns a mean, such as
`F.mse_loss`, works too: it is weighted by the number of examples of its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite import Tensor
from tensorlite.nn import functional as F

from ..errors import ConfigError

__all__ = [
    "CostLoss",
    "CrossEntropy",
    "FocalLoss",
    "Loss",
    "TokenCrossEntropy",
    "Weighted",
    "measure",
]

_TINY = float(np.finfo(np.float32).tiny)

#: A sum that can be differentiated, and what it is to be divided by.
Weighted = tuple[Tensor, float]
Loss = Callable[[Any, Any], Weighted | Tensor]


def measure(loss: Loss, output: Any, target: Any) -> Weighted:
    """(total, weight) of any loss; a mean without weight counts once for each example."""
    found = loss(output, target)
    if isinstance(found, Tensor):
        n = float(batch_size(target))
        return found * n, n
    return found


def batch_size(batch: Any) -> int:
    """Length of the first dim of the first tensor in a batch; 1 if there is none."""
    if isinstance(batch, dict):
        batch = list(batch.values())
    while isinstance(batch, list | tuple) and batch:
        batch = batch[0]
        if isinstance(batch, dict):
            batch = list(batch.values())
    shape: Any = getattr(batch, "shape", ())
    return int(shape[0]) if len(shape) else 1


class CrossEntropy:
    """Cross-entropy of logits `(B, C)` and one class a sequence `(B,)`, or of `(B, T, C)` and `(B, T)` a token.

    `class_weights (C,)` multiply each example's loss and count in the mean, as in torch; `label_smoothing` moves that
    share of the target to all classes alike (Szegedy et al. 2016). Targets of `ignore_index` do not count.
    """

    def __init__(
        self, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0, ignore_index: int = -100
    ) -> None:
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
        self.class_weights = _positive("class_weights", class_weights)
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index

    def __call__(self, logits: Tensor, target: Tensor) -> Weighted:
        rows, labels = flat(logits, target)
        weights = None if self.class_weights is None else constant(self.class_weights, logits)
        total = F.cross_entropy(
            rows,
            labels,
            weights,
            ignore_index=self.ignore_index,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        return total, self.weight(labels)

    def weight(self, labels: Tensor) -> float:
        """The number of labels that count, or the sum of their class weights."""
        array = labels.numpy()
        kept = array[array != self.ignore_index]
        return float(kept.size if self.class_weights is None else self.class_weights[kept].sum())

    def __repr__(self) -> str:
        return described(self)


class TokenCrossEntropy(CrossEntropy):
    """Cross-entropy of logits `(B, T, V)` and token ids `(B, T)`; padding is -100, or any other `ignore_index`.

    With `shift`, the logits at t are about token t + 1, as in a decoder whose labels are its own input.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        shift: bool = False,
    ) -> None:
        super().__init__(class_weights, label_smoothing, ignore_index)
        self.shift = shift

    def __call__(self, logits: Tensor, target: Tensor) -> Weighted:
        if self.shift:
            logits, target = logits[:, :-1], target[:, 1:]
        return super().__call__(logits, target)


class FocalLoss(CrossEntropy):
    """`(1 - p)^gamma` times the cross-entropy, p the probability of the right class (Lin et al. 2017): easy examples fade.

    gamma = 0 is cross-entropy. The mean divides by the number of examples, or by the sum of their class weights.
    """

    def __init__(
        self, gamma: float = 2.0, class_weights: Sequence[float] | None = None, ignore_index: int = -100
    ) -> None:
        super().__init__(class_weights, 0.0, ignore_index)
        if not 0 <= gamma < np.inf:
            raise ConfigError(f"gamma must be finite and not negative, got {gamma}")
        self.gamma = gamma

    def __call__(self, logits: Tensor, target: Tensor) -> Weighted:
        rows, labels = flat(logits, target)
        log_p, weights, keep = self._of_right_class(rows, labels)
        # 1 - p is computed as -expm1(log p), which keeps its digits where p is near 1; at 0 the power has no slope
        missed = (-tl.expm1(log_p)).clamp(min=_TINY)
        return -(missed**self.gamma * log_p * weights * keep).sum(), self.weight(labels)

    def _of_right_class(self, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        index, keep = _checked(labels, self.ignore_index, rows, self.class_weights)
        log_p = F.log_softmax(rows, -1).gather(1, tl.from_numpy(index[:, None]))[:, 0]
        weights = np.ones(len(index)) if self.class_weights is None else self.class_weights[index]
        return log_p, constant(weights, rows), constant(keep, rows)


class CostLoss:
    """The expected cost of deciding by the model's probabilities, in the unit of `costs` (US dollars, say).

    `costs (C, C)` holds what it costs to decide column j when row i is true; the loss of an example is
    `Σ_j p_j costs[true, j]`, which a model lowers by moving probability to cheap decisions (Elkan 2001). `entropy` adds
    that share of cross-entropy, whose gradient does not vanish where the model is sure and wrong.
    """

    def __init__(self, costs: Sequence[Sequence[float]], entropy: float = 0.1, ignore_index: int = -100) -> None:
        table = np.asarray(costs, np.float64)
        if table.ndim != 2 or table.shape[0] != table.shape[1]:
            raise ConfigError(f"costs must be a square table, true class by decision; got shape {table.shape}")
        if not np.isfinite(table).all() or (np.diag(table)[:, None] > table).any():
            raise ConfigError("costs must be finite, and the right decision the cheapest of its row")
        if entropy < 0:
            raise ConfigError(f"entropy must not be negative, got {entropy}")
        self.costs, self.entropy, self.ignore_index = table, entropy, ignore_index

    def __call__(self, logits: Tensor, target: Tensor) -> Weighted:
        rows, labels = flat(logits, target)
        index, keep = _checked(labels, self.ignore_index, rows, self.costs)
        paid = self.costs[index] * keep[:, None]  # (N, C)
        total = (F.softmax(rows, -1) * constant(paid, rows)).sum()
        if self.entropy:
            plain = F.cross_entropy(rows, labels, ignore_index=self.ignore_index, reduction="sum")
            total = total + self.entropy * plain
        return total, float(keep.sum())

    def __repr__(self) -> str:
        return described(self)


def flat(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Logits `(N, C)` and labels `(N,)` of logits `(..., C)` and labels `(...)`. Raises ValueError if they do not match."""
    if tuple(logits.shape[:-1]) != tuple(target.shape):
        raise ValueError(
            f"logits must be (..., classes) for labels (...): got {tuple(logits.shape)} and {tuple(target.shape)}"
        )
    return logits.reshape(-1, logits.shape[-1]), target.reshape(-1)


def _checked(labels: Tensor, ignore_index: int, rows: Tensor, table: Any) -> tuple[Any, Any]:
    """Labels with 0 for those that do not count, and which count. Raises where one is no class, or the table has other classes."""
    classes = rows.shape[-1]
    if table is not None and len(table) != classes:
        raise ConfigError(f"the loss was made for {len(table)} classes, the logits have {classes}")
    index = labels.numpy()
    if index.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    keep = index != ignore_index
    wrong = index[keep & ((index < 0) | (index >= classes))]
    if wrong.size:
        raise IndexError(f"label {wrong[0]} is not a class: there are {classes}, and {ignore_index} does not count")
    return np.where(keep, index, 0), keep


def constant(values: Any, like: Tensor) -> Tensor:
    """A tensor of these values in the dtype of another."""
    made: Tensor = tl.from_numpy(np.array(values, like.detach().numpy().dtype))
    return made


def described(thing: object) -> str:
    """`Name(option=value, …)`, for config.json."""
    options = ", ".join(f"{k}={_plain(v)}" for k, v in vars(thing).items())
    return f"{type(thing).__name__}({options})"


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else repr(value)


def _positive(name: str, values: Sequence[float] | None) -> Any:
    if values is None:
        return None
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not (np.isfinite(array) & (array >= 0)).all():
        raise ConfigError(f"{name} must be one finite, non-negative number a class, got {values}")
    return array
