"""Adam and its relatives: AdamW, Adamax, NAdam, RAdam."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..autograd.inplace import bump
from ..dtypes import Array
from ..kernels.optim import adam_update, adam_update_all
from ..tensor import Tensor
from .optimizer import Group, Optimizer, State, new_step, number, scalar
from .sgd import fits_kernel, refuse_both

#: Elements of a parameter below which it is updated together with others: a call for itself would cost more than copying it.
SMALL_PARAMETER = 8192


_KERNEL_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def moments(m: Array, v: Array, grad: Array, beta1: float, beta2: float) -> None:
    """Move the running averages of the gradient and of its square towards this gradient."""
    m *= beta1
    m += (1 - beta1) * grad
    v *= beta2
    v += (1 - beta2) * (grad * grad)


def _overlap(arrays: list[Array]) -> bool:
    """Whether some of these share memory: an update of one is then seen by the next, so they go one by one."""
    owners = []
    for a in arrays:
        while isinstance(a.base, np.ndarray):
            a = a.base
        owners.append(id(a))
    if len(set(owners)) == len(owners):
        return False
    bounds = sorted(np.lib.array_utils.byte_bounds(a) for a in arrays if a.size)
    return any(before[1] > after[0] for before, after in itertools.pairwise(bounds))


def decayed(param: Array, grad: Array, group: Group) -> Array:
    """The gradient with L2 decay added; decoupled decay shrinks the parameter at once instead (Loshchilov and Hutter 2019)."""
    decay = number(group["weight_decay"])
    if decay == 0:
        return grad
    if group.get("decoupled_weight_decay"):
        param *= 1 - number(group["lr"]) * decay
        return grad
    return grad + decay * param


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); with `amsgrad`, the variant of Reddi et al. 2018."""

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False,
        *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
        fused: bool | None = None, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        self._check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay)
        refuse_both(foreach, fused, differentiable)
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize, foreach=foreach,
            capturable=capturable, differentiable=differentiable, fused=fused, decoupled_weight_decay=decoupled_weight_decay,
        ))  # fmt: skip

    def init_state(self, param: Array, group: Group) -> State:
        state = {"step": new_step(), "exp_avg": np.zeros_like(param), "exp_avg_sq": np.zeros_like(param)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = np.zeros_like(param)
        return state

    def _update_group(self, params: list[Tensor], group: Group) -> None:
        """Parameters of one dtype and age are updated together, the small ones among them as one flat array."""
        together: dict[tuple[Any, float], list[Tensor]] = {}
        if not group["amsgrad"] and type(self).update is Adam.update and not _overlap([p._data for p in params]):
            for p in params:
                a = p._data
                if a.dtype in _KERNEL_DTYPES and a.flags.writeable:
                    kept = self.state.get(p) or self.make_state(p, group)
                    arrays = (a, kept["exp_avg"]._data, kept["exp_avg_sq"]._data)
                    if all(x.flags.c_contiguous and x.dtype == a.dtype and x.shape == a.shape for x in arrays):
                        together.setdefault((a.dtype, float(kept["step"]._data)), []).append(p)
        taken = set()
        for (_, step), several in together.items():
            if len(several) > 1:
                self._update_together(several, group, int(step) + 1)
                taken.update(several)
        for p in params:
            if p not in taken:
                self._update_one(p, group)

    def _update_together(self, params: list[Tensor], group: Group, step: int) -> None:
        arrays: list[tuple[Array, Array, Array, Array]] = []
        small: list[tuple[Array, Array, Array, Array]] = []
        maximize = group["maximize"]
        for p in params:
            state, grad = self.state[p], p._grad._data
            four = (p._data, -grad if maximize else grad, state["exp_avg"]._data, state["exp_avg_sq"]._data)
            (small if p._data.size < SMALL_PARAMETER else arrays).append(four)
        flat = [np.concatenate(each, axis=None) for each in zip(*small, strict=True)]
        adam_update_all(
            [*arrays, tuple(flat)] if flat else arrays, step=step, lr=number(group["lr"]), eps=group["eps"],  # type: ignore[list-item]
            betas=(number(group["betas"][0]), number(group["betas"][1])), weight_decay=number(group["weight_decay"]),
            decoupled=group["decoupled_weight_decay"],
        )  # fmt: skip
        start = 0
        for param, _, m, v in small:
            stop = start + param.size
            for a, updated in ((param, flat[0]), (m, flat[2]), (v, flat[3])):
                a[...] = updated[start:stop] if a.ndim == 1 else updated[start:stop].reshape(a.shape)
            start = stop
        for tensor in params:
            self.state[tensor]["step"]._data += 1
            bump(tensor)

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        lr, eps, step = number(group["lr"]), group["eps"], float(state["step"])
        beta1, beta2 = number(group["betas"][0]), number(group["betas"][1])
        m, v, largest = state["exp_avg"], state["exp_avg_sq"], state.get("max_exp_avg_sq") if group["amsgrad"] else None
        if fits_kernel(param, m, v, *(() if largest is None else (largest,))):
            adam_update(
                param, grad, m, v, step=int(step), lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=number(group["weight_decay"]),
                decoupled=group["decoupled_weight_decay"], max_exp_avg_sq=largest,
            )  # fmt: skip
            return
        grad = decayed(param, grad, group)
        moments(m, v, grad, beta1, beta2)
        if largest is not None:
            v = np.maximum(largest, v, out=largest)
        param -= lr / (1 - beta1**step) * m / (np.sqrt(v) / math.sqrt(1 - beta2**step) + eps)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False,
        *, maximize: bool = False, foreach: bool | None = None, capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip


class Adamax(Optimizer):
    """Adamax: Adam with the largest recent gradient in place of the second moment (Kingma and Ba 2015, section 7)."""

    def __init__(
        self, params: Any, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        self._check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay)
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=foreach, maximize=maximize,
            differentiable=differentiable, capturable=capturable,
        ))  # fmt: skip

    def init_state(self, param: Array, group: Group) -> State:
        return {"step": new_step(), "exp_avg": np.zeros_like(param), "exp_inf": np.zeros_like(param)}

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        (beta1, beta2), m, largest = group["betas"], state["exp_avg"], state["exp_inf"]
        grad = decayed(param, grad, group)
        m *= beta1
        m += (1 - beta1) * grad
        largest *= beta2
        np.maximum(largest, np.abs(grad) + group["eps"], out=largest)
        param -= number(group["lr"]) / (1 - beta1 ** float(state["step"])) * m / largest


class NAdam(Optimizer):
    """Adam with Nesterov momentum (Dozat 2016)."""

    def __init__(
        self, params: Any, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False,
        *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        self._check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay, momentum_decay=momentum_decay)
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize, foreach=foreach, capturable=capturable, differentiable=differentiable,
        ))  # fmt: skip

    def init_state(self, param: Array, group: Group) -> State:
        return {
            "step": new_step(),
            "mu_product": scalar(1.0),
            "exp_avg": np.zeros_like(param),
            "exp_avg_sq": np.zeros_like(param),
        }

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        (beta1, beta2), lr, step = group["betas"], number(group["lr"]), float(state["step"])
        m, v, psi = state["exp_avg"], state["exp_avg_sq"], group["momentum_decay"]
        grad = decayed(param, grad, group)
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * psi))
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * psi))
        state["mu_product"] *= mu
        product = float(state["mu_product"])
        moments(m, v, grad, beta1, beta2)
        denominator = np.sqrt(v / (1 - beta2**step)) + group["eps"]
        param -= lr * (1 - mu) / (1 - product) * grad / denominator
        param -= lr * mu_next / (1 - product * mu_next) * m / denominator


class RAdam(Optimizer):
    """Rectified Adam (Liu et al. 2020): plain momentum until the second moment can be trusted."""

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        self._check(lr=lr, eps=eps, betas=betas, weight_decay=weight_decay)
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize, foreach=foreach, capturable=capturable,
            decoupled_weight_decay=decoupled_weight_decay, differentiable=differentiable,
        ))  # fmt: skip

    def init_state(self, param: Array, group: Group) -> State:
        return {"step": new_step(), "exp_avg": np.zeros_like(param), "exp_avg_sq": np.zeros_like(param)}

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        (beta1, beta2), lr, step = group["betas"], number(group["lr"]), float(state["step"])
        m, v = state["exp_avg"], state["exp_avg_sq"]
        moments(m, v, decayed(param, grad, group), beta1, beta2)
        direction = lr / (1 - beta1**step) * m
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * step * beta2**step / (1 - beta2**step)
        if rho > 5:
            rectification = math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            direction *= rectification * math.sqrt(1 - beta2**step) / (np.sqrt(v) + group["eps"])
        param -= direction
