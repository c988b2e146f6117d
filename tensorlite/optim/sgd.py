"""Stochastic gradient descent, and its averaged form."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import Array
from ..kernels.optim import sgd_update
from .optimizer import Group, Optimizer, State, new_step, number, scalar

SMALL = 32 * 1024  # elements


def fits_kernel(*arrays: Array) -> bool:
    """Whether the blocked in-place kernels can work on these arrays, and win: below some two blocks the plain formula is faster."""
    return arrays[0].size > SMALL and arrays[0].dtype.char in "fd" and all(a.flags.c_contiguous for a in arrays)


def refuse_both(foreach: Any, fused: Any, differentiable: Any) -> None:
    """Raise torch's error for options that exclude each other."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964) or Nesterov's momentum, as torch computes it."""

    def __init__(
        self, params: Any, lr: Any = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: float = 0, nesterov: bool = False,
        *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        self._check(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        refuse_both(foreach, fused, differentiable)
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov, maximize=maximize,
            foreach=foreach, differentiable=differentiable, fused=fused,
        ))  # fmt: skip

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        lr, momentum, decay = number(group["lr"]), group["momentum"], number(group["weight_decay"])
        first = momentum != 0 and "momentum_buffer" not in state
        if first:
            state["momentum_buffer"] = np.empty_like(param)
        buffer = state.get("momentum_buffer") if momentum != 0 else None
        if buffer is not None and fits_kernel(param, buffer):
            sgd_update(
                param, grad, buffer, lr=lr, momentum=momentum, dampening=group["dampening"], weight_decay=decay,
                nesterov=group["nesterov"], first=first,
            )  # fmt: skip
            return
        d = grad + decay * param if decay else grad
        if buffer is not None:
            buffer[...] = d if first else momentum * buffer + (1 - group["dampening"]) * d
            d = d + momentum * buffer if group["nesterov"] else buffer
        param -= lr * d


class ASGD(Optimizer):
    """Averaged stochastic gradient descent (Polyak and Juditsky 1992); the average is in `state[p]["ax"]`."""

    def __init__(
        self, params: Any, lr: Any = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6, weight_decay: float = 0,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        self._check(lr=lr, weight_decay=weight_decay)
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, foreach=foreach, maximize=maximize,
            differentiable=differentiable, capturable=capturable,
        ))  # fmt: skip

    def init_state(self, param: Array, group: Group) -> State:
        return {"step": new_step(), "eta": scalar(number(group["lr"])), "mu": scalar(1.0), "ax": np.zeros_like(param)}

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        lr, lambd, eta, mu, ax = (
            number(group["lr"]),
            group["lambd"],
            float(state["eta"]),
            float(state["mu"]),
            state["ax"],
        )
        if group["weight_decay"] != 0:
            grad = grad + group["weight_decay"] * param
        param *= 1 - lambd * eta
        param -= eta * grad
        if mu != 1:
            ax += mu * (param - ax)
        else:
            ax[...] = param
        step = float(state["step"])
        state["eta"][...] = lr / (1 + lambd * lr * step) ** group["alpha"]
        state["mu"][...] = 1 / max(1, step - group["t0"])
