"""Averages of weights: exponential moving averages and stochastic weight averaging, by the names of torch.optim.swa_utils."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autograd.inplace import bump
from ..autograd.mode import no_grad
from ..nn.module import Module
from ..tensor import Tensor, creation
from ._schedule import LRScheduler, Rates, per_group
from .optimizer import Optimizer

Average = Callable[[Tensor, Tensor, int], Tensor]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """`decay · average + (1 − decay) · weights`. Raises ValueError for a decay outside [0, 1]."""
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")

    @no_grad()
    def ema(average: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return decay * average + (1 - decay) * current

    return ema


def get_swa_avg_fn() -> Average:
    """The mean of all weights seen (Izmailov et al. 2018)."""

    @no_grad()
    def swa(average: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return average + (current - average) / (float(num_averaged) + 1)

    return swa


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[list[Tensor], list[Tensor], int], None]:
    """`get_ema_avg_fn` for a list of tensors, in place."""
    return _in_place(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable[[list[Tensor], list[Tensor], int], None]:
    """`get_swa_avg_fn` for a list of tensors, in place."""
    return _in_place(get_swa_avg_fn())


def _in_place(average: Average) -> Callable[[list[Tensor], list[Tensor], int], None]:
    def update(averages: list[Tensor], current: list[Tensor], num_averaged: int) -> None:
        for a, c in zip(averages, current, strict=True):
            _write(a, average(a, c, num_averaged) if a.dtype.is_floating_point or a.dtype.is_complex else c)

    return update


def _write(target: Tensor, value: Tensor) -> None:
    np.copyto(target._data, value._data, casting="unsafe")
    bump(target)


class AveragedModel(Module):
    """A copy of a model whose weights are an average over the training; `update_parameters(model)` after each step of the optimizer.

    The average is the mean by default; `avg_fn=get_ema_avg_fn(decay)` or `multi_avg_fn` make it an exponential moving average.
    `use_buffers` averages the buffers too, instead of copying them.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Any = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        self.register_buffer("n_averaged", creation.tensor(0))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the present weights of `model` into the average."""
        own, new = self._averaged(self.module), self._averaged(model)
        if int(self.n_averaged) == 0:
            for a, c in zip(own, new, strict=True):
                _write(a, c)
        else:
            update = self.multi_avg_fn or _in_place(self.avg_fn or get_swa_avg_fn())
            update(own, [c.detach() for c in new], int(self.n_averaged))
        if not self.use_buffers:
            for a, c in zip(self.module.buffers(), model.buffers(), strict=True):
                _write(a, c)
        self.n_averaged._data += 1

    def _averaged(self, model: Module) -> list[Tensor]:
        return [*model.parameters(), *(model.buffers() if self.use_buffers else ())]


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of every batch norm anew, as means over one pass through `loader`."""
    layers: dict[Any, Any] = {}
    for module in model.modules():
        if hasattr(module, "running_mean") and hasattr(module, "reset_running_stats"):
            module.reset_running_stats()
            layers[module] = module.momentum
    if not layers:
        return
    was_training = model.training
    model.train()
    for module in layers:
        module.momentum = None  # None: a cumulative mean
    for batch in loader:
        model(batch[0] if isinstance(batch, list | tuple) else batch)
    for module, momentum in layers.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the present rate to the constant `swa_lr` within `anneal_epochs` steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for group, lr in zip(optimizer.param_groups, per_group("swa_lr", optimizer, swa_lr), strict=True):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _part(self, step: int) -> float:
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self) -> Rates:
        step = self.last_epoch - (0 if self.anneal_epochs else -1)
        before, now = self._part(max(0, step - 1)), self._part(max(0, step))
        result = []
        for group in self.optimizer.param_groups:
            final = group["swa_lr"]
            start = final if before == 1 else (group["lr"] - before * final) / (1 - before)
            result.append(final * now + start * (1 - now))
        return result
