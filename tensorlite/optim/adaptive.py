"""Optimizers that scale each coordinate: RMSprop, Adagrad, Adadelta, Adafactor; and those that use signs alone: Rprop, Lion."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import Array
from ..kernels.optim import lion_update
from .adam import decayed
from .optimizer import Group, Optimizer, State, new_step, number
from .sgd import fits_kernel, refuse_both


class RMSprop(Optimizer):
    """RMSprop (Hinton 2012, lecture 6); `centered` subtracts the squared mean (Graves 2013)."""

    def __init__(
        self, params: Any, lr: Any = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0, momentum: float = 0,
        centered: bool = False, capturable: bool = False, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        self._check(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered, weight_decay=weight_decay, capturable=capturable,
            foreach=foreach, maximize=maximize, differentiable=differentiable,
        ))  # fmt: skip

    def init_state(self, param: Array, group: Group) -> State:
        state = {"step": new_step(), "square_avg": np.zeros_like(param)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = np.zeros_like(param)
        if group["centered"]:
            state["grad_avg"] = np.zeros_like(param)
        return state

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        alpha, v = group["alpha"], state["square_avg"]
        grad = decayed(param, grad, group)
        v *= alpha
        v += (1 - alpha) * (grad * grad)
        if group["centered"]:
            mean = state["grad_avg"]
            mean += (1 - alpha) * (grad - mean)
            v = v - mean * mean
        direction = grad / (np.sqrt(v) + group["eps"])
        if group["momentum"] > 0:
            buffer = state["momentum_buffer"]
            buffer *= group["momentum"]
            buffer += direction
            direction = buffer
        param -= number(group["lr"]) * direction


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011): steps shrink with the sum of squared gradients."""

    def __init__(
        self, params: Any, lr: Any = 1e-2, lr_decay: float = 0, weight_decay: float = 0, initial_accumulator_value: float = 0, eps: float = 1e-10,
        foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        self._check(
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        refuse_both(foreach, fused, differentiable)
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value,
            foreach=foreach, maximize=maximize, differentiable=differentiable, fused=fused,
        ))  # fmt: skip
        for group in self.param_groups:  # torch makes this state at once
            for p in group["params"]:
                self.make_state(p, group)

    def init_state(self, param: Array, group: Group) -> State:
        return {"step": new_step(), "sum": np.full_like(param, group["initial_accumulator_value"])}

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        grad = decayed(param, grad, group)
        total = state["sum"]
        total += grad * grad
        param -= (
            number(group["lr"])
            / (1 + (float(state["step"]) - 1) * group["lr_decay"])
            * grad
            / (np.sqrt(total) + group["eps"])
        )


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012): the step has the unit of the parameter, so no learning rate is needed."""

    def __init__(
        self, params: Any, lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0, foreach: bool | None = None,
        *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        self._check(lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize, capturable=capturable, foreach=foreach,
            differentiable=differentiable,
        ))  # fmt: skip

    def init_state(self, param: Array, group: Group) -> State:
        return {"step": new_step(), "square_avg": np.zeros_like(param), "acc_delta": np.zeros_like(param)}

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        rho, eps, v, accumulated = group["rho"], group["eps"], state["square_avg"], state["acc_delta"]
        grad = decayed(param, grad, group)
        v *= rho
        v += (1 - rho) * (grad * grad)
        delta = np.sqrt(accumulated + eps) / np.sqrt(v + eps) * grad
        accumulated *= rho
        accumulated += (1 - rho) * (delta * delta)
        param -= number(group["lr"]) * delta


class Adafactor(Optimizer):
    """Adafactor (Shazeer and Stern 2018): second moments of a matrix kept as one row and one column."""

    def __init__(
        self, params: Any, lr: Any = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0,
        weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        for ok, message in (
            (float(lr) >= 0, f"Learning rate should be >= 0 but is: {lr}"),
            (beta2_decay <= 0, f"beta2_decay should be <= 0 but is: {beta2_decay}"),
            (eps[0] is None or eps[0] >= 0, f"epsilon1 should be >= 0 but is: {eps[0]}"),
            (eps[1] >= 0, f"epsilon2 should be >= 0 but is: {eps[1]}"),
            (d >= 1, f"Clipping threshold d should be >= 1 but is: {d}"),
            (weight_decay >= 0, f"weight_decay should be >= 0 but is: {weight_decay}"),
        ):
            if not ok:
                raise ValueError(message)
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay, foreach=foreach, maximize=maximize,
        ))  # fmt: skip

    def init_state(self, param: Array, group: Group) -> State:
        if param.ndim < 2:
            return {"step": new_step(), "variance": np.zeros_like(param)}
        rows, columns = param.shape[:-1], param.shape[:-2]
        return {
            "step": new_step(),
            "row_var": np.zeros((*rows, 1), param.dtype),
            "col_var": np.zeros((*columns, 1, param.shape[-1]), param.dtype),
        }

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        lr, step, (eps1, eps2) = number(group["lr"]), float(state["step"]), group["eps"]
        eps1 = float(np.finfo(param.dtype).eps) if eps1 is None else eps1
        rate = step ** group["beta2_decay"]
        size = math.sqrt(max(param.size, 1))
        alpha = max(eps2, float(np.linalg.norm(param.reshape(-1))) / size) * min(lr, 1 / math.sqrt(step))
        param *= 1 - lr * group["weight_decay"]
        squared = grad * grad
        if param.ndim < 2:
            state["variance"] += rate * (squared - state["variance"])
            variance = state["variance"]
        else:
            row, column = state["row_var"], state["col_var"]
            row += rate * (squared.mean(-1, keepdims=True) - row)
            column += rate * (squared.mean(-2, keepdims=True) - column)
            variance = row @ column / np.maximum(row.mean(-2, keepdims=True), eps1)
        direction = grad / np.sqrt(np.maximum(variance, eps1 * eps1))
        param -= alpha / max(1.0, float(np.linalg.norm(direction.reshape(-1))) / (size * group["d"])) * direction


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller and Braun 1993): step sizes grow while the sign of the gradient stays the same."""

    def __init__(
        self, params: Any, lr: Any = 1e-2, etas: tuple[float, float] = (0.5, 1.2), step_sizes: tuple[float, float] = (1e-6, 50),
        *, capturable: bool = False, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        self._check(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, etas=etas, step_sizes=step_sizes, foreach=foreach, maximize=maximize, differentiable=differentiable, capturable=capturable,
        ))  # fmt: skip

    def init_state(self, param: Array, group: Group) -> State:
        return {"step": new_step(), "prev": np.zeros_like(param), "step_size": np.full_like(param, number(group["lr"]))}

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        (shrink, grow), (smallest, largest) = group["etas"], group["step_sizes"]
        agreement = np.sign(grad * state["prev"])
        size = state["step_size"]
        size *= np.where(agreement > 0, grow, np.where(agreement < 0, shrink, 1)).astype(size.dtype)
        np.clip(size, smallest, largest, out=size)
        grad = np.where(agreement < 0, 0, grad)
        param -= np.sign(grad) * size
        state["prev"][...] = grad


class Lion(Optimizer):
    """Lion (Chen et al. 2023): the sign of an interpolated momentum, with decoupled weight decay."""

    def __init__(
        self, params: Any, lr: Any = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0,
        *, maximize: bool = False, foreach: bool | None = None, fused: bool | None = None,
    ) -> None:  # fmt: skip
        self._check(lr=lr, betas=betas, weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "fused": fused,
            },
        )

    def init_state(self, param: Array, group: Group) -> State:
        return {"exp_avg": np.zeros_like(param)}

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        lr, (beta1, beta2), decay, m = number(group["lr"]), group["betas"], group["weight_decay"], state["exp_avg"]
        if fits_kernel(param, m):
            lion_update(param, grad, m, lr=lr, betas=(beta1, beta2), weight_decay=decay)
            return
        param *= 1 - lr * decay
        param -= lr * np.sign(beta1 * m + (1 - beta1) * grad)
        m *= beta2
        m += (1 - beta2) * grad
