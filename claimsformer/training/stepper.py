"""One update of the weights: forward, backward, clipping, and a step of the optimizer, over one or more micro-batches."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.nn.utils import clip_grad_norm_

from ..errors import NonFiniteError
from .losses import Loss, measure
from .nonfinite import first_fault

__all__ = ["Forward", "Stepper", "Update", "keeping"]

#: `forward(model, batch) -> (output, target)`.
Forward = Callable[[nn.Module, Any], tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Update:
    """What an update saw: the loss summed over what counts, its weight, and the gradient's norm before clipping."""

    total: float
    weight: float
    grad_norm: float

    @property
    def loss(self) -> float:
        """The mean loss; 0 where nothing counts."""
        return self.total / self.weight if self.weight else 0.0


class Stepper:
    """Updates a model on groups of micro-batches; K micro-batches give the gradient of one batch of all their examples."""

    def __init__(
        self, model: nn.Module, loss: Loss, optimizer: optim.Optimizer, forward: Forward, clip: float | None
    ) -> None:
        self.model, self.loss, self.optimizer, self.forward = model, loss, optimizer, forward
        self.clip = math.inf if clip is None else clip

    def update(self, group: Sequence[Any]) -> Update:
        """Change the weights. Raises NonFiniteError, with the weights as they were, if the loss or gradient is not finite."""
        before = tl.default_generator.numpy.bit_generator.state
        total, weight = self.backward(group)
        params = [p for g in self.optimizer.param_groups for p in g["params"]]
        if len(group) > 1 and weight:
            with tl.no_grad():
                for p in params:
                    if p.grad is not None:
                        p.grad.mul_(1 / weight)
        norm = float(clip_grad_norm_(params, self.clip)) if math.isfinite(total) else math.nan
        if not math.isfinite(norm):
            tl.default_generator.numpy.bit_generator.state = before
            raise self._explain(group, total)
        self.optimizer.step()
        return Update(total, weight, norm)

    def backward(self, group: Sequence[Any]) -> tuple[float, float]:
        """Put the gradients in place and return the sum of the losses and their weight.

        The gradients are those of the mean for a single micro-batch, and of the sum for several, whose common weight is
        known only at the end.
        """
        self.optimizer.zero_grad()
        sum_of_losses = sum_of_weights = 0.0
        for batch in group:
            output, target = self.forward(self.model, batch)
            total, weight = measure(self.loss, output, target)
            sum_of_losses += float(total)
            sum_of_weights += weight
            if weight:
                (total / weight if len(group) == 1 else total).backward()
        return sum_of_losses, sum_of_weights

    def _explain(self, group: Sequence[Any], total: float) -> NonFiniteError:
        what = f"the loss is {total}" if not math.isfinite(total) else "a gradient is not finite"
        broken = [name for name, p in self.model.named_parameters() if not math.isfinite(float(p.detach().sum()))]
        if broken:
            return NonFiniteError(f"{what}: the parameter {broken[0]} holds NaN or infinity before the update")
        op, where = first_fault(self.model, lambda: self.backward(group) and None)
        self.optimizer.zero_grad()
        if not op:
            return NonFiniteError(f"{what}, and no op made it: the batch itself holds NaN or infinity")
        return NonFiniteError(
            f"{what}: it begins in the op '{op}' {where}".rstrip(),
            op=op,
            hint="the weights are those before this update; a lower lr, a longer warmup or clip=1.0 often helps",
        )


@contextmanager
def keeping(model: nn.Module, optimizer: optim.Optimizer) -> Iterator[None]:
    """Train freely within the block: weights, buffers, moments and mode are afterwards as they were."""
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    state = optimizer.state_dict()
    moments = copy.deepcopy(state["state"])
    groups, training = [dict(g) for g in state["param_groups"]], {m: m.training for m in model.modules()}
    try:
        yield
    finally:
        model.load_state_dict(weights)
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        optimizer.zero_grad()
        for module, mode in training.items():
            module.training = mode
