"""Updates of SGD, Adam, AdamW and Lion in place over flat arrays, block by block with reused scratch memory.

Every function changes `param` and its state, never `grad`. Arrays are C-contiguous, of one dtype (float32 or float64).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite.kernels.blocks import Array, constants, row_blocks, scratch
from tensorlite.kernels.threads import parallel_for


def sgd_definition(
    param: Array, grad: Array, buffer: Array | None, lr: float, momentum: float, dampening: float, weight_decay: float,
    nesterov: bool, first: bool,
) -> tuple[Array, Array | None]:  # fmt: skip
    """New parameter and momentum buffer."""
    d = grad + weight_decay * param
    if buffer is None:
        return param - lr * d, None
    buffer = d if first else momentum * buffer + (1 - dampening) * d
    return param - lr * (d + momentum * buffer if nesterov else buffer), buffer


def adam_definition(
    param: Array, grad: Array, m: Array, v: Array, step: int, lr: float, betas: tuple[float, float], eps: float,
    weight_decay: float, decoupled: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """New parameter and moments (Kingma and Ba 2015; decoupled decay: Loshchilov and Hutter 2019)."""
    if decoupled:
        param = param * (1 - lr * weight_decay)
    else:
        grad = grad + weight_decay * param
    m = betas[0] * m + (1 - betas[0]) * grad
    v = betas[1] * v + (1 - betas[1]) * grad * grad
    m_hat, v_hat = m / (1 - betas[0] ** step), v / (1 - betas[1] ** step)
    return param - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def lion_definition(
    param: Array, grad: Array, m: Array, lr: float, betas: tuple[float, float], weight_decay: float
) -> tuple[Array, Array]:
    """New parameter and momentum (Chen et al. 2023)."""
    direction = np.sign(betas[0] * m + (1 - betas[0]) * grad)
    return param - lr * (direction + weight_decay * param), betas[1] * m + (1 - betas[1]) * grad


def sgd_update(
    param: Array,
    grad: Array,
    momentum_buffer: Array | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    first: bool = False,
    grad_scale: float = 1.0,
) -> None:
    """One step of SGD as torch takes it; with a buffer, with momentum (`first`: the buffer becomes the gradient)."""

    rate, kept = constants(param.dtype, lr, momentum)

    def block(p: Array, g: Array, *state: Array) -> None:
        t, d = scratch("optim.a", p.shape, p.dtype), g
        if weight_decay or grad_scale != 1:
            d = scratch("optim.b", p.shape, p.dtype)
            _effective_gradient(p, g, weight_decay, grad_scale, d)
        if not state:
            np.subtract(p, np.multiply(d, rate, out=t), out=p)
            return
        (buffer,) = state
        if first:
            np.copyto(buffer, d)
        else:
            np.multiply(buffer, kept, out=buffer)
            np.add(buffer, np.multiply(d, 1 - dampening, out=t) if dampening else d, out=buffer)
        if nesterov:
            np.add(np.multiply(buffer, kept, out=t), d, out=t)
            np.multiply(t, rate, out=t)
        else:
            np.multiply(buffer, rate, out=t)
        np.subtract(p, t, out=p)

    _over_blocks(block, param, grad, *(() if momentum_buffer is None else (momentum_buffer,)))


def adam_update(
    param: Array,
    grad: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    max_exp_avg_sq: Array | None = None,
    grad_scale: float = 1.0,
) -> None:
    """Step number `step` (from 1) of Adam, or of AdamW when `decoupled`; AMSGrad with `max_exp_avg_sq`."""
    block = _adam_block(param.dtype, step, lr, betas, eps, weight_decay, decoupled, grad_scale)
    _over_blocks(block, param, grad, exp_avg, exp_avg_sq, *(() if max_exp_avg_sq is None else (max_exp_avg_sq,)))


def adam_update_all(
    arrays: Sequence[tuple[Array, Array, Array, Array]],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """The same for several (param, grad, exp_avg, exp_avg_sq) of one dtype, prepared once and shared out together."""
    if not arrays:
        return
    block = _adam_block(arrays[0][0].dtype, step, lr, betas, eps, weight_decay, decoupled, 1.0)
    pieces: list[list[Array]] = []
    for several in arrays:
        flat = [array.reshape(-1) for array in several]
        pieces += [[a[start:stop] for a in flat] for start, stop in row_blocks(flat[0].size, 1)]
    parallel_for(lambda start, _: block(*pieces[start]), [(i, i + 1) for i in range(len(pieces))])


def _adam_block(
    dtype: np.dtype[Any],
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
    grad_scale: float,
) -> Callable[..., None]:
    """The update of one block of param, grad, exp_avg, exp_avg_sq and perhaps max_exp_avg_sq."""
    beta1, beta2 = betas
    step_size = lr / (1 - beta1**step)
    # √v / √(1 − β₂ᵗ) + ε with the root folded into the step: (√v + ε r) / r, r = √(1 − β₂ᵗ).
    root = math.sqrt(1 - beta2**step)
    b1, c1, b2, c2, eps_scaled, step_scaled, kept = constants(
        dtype, beta1, 1 - beta1, beta2, 1 - beta2, eps * root, step_size * root, 1 - lr * weight_decay
    )

    def block(p: Array, g: Array, m: Array, v: Array, *largest: Array) -> None:
        t = scratch("optim.a", p.shape, dtype)
        if decoupled and weight_decay:
            np.multiply(p, kept, out=p)
        if grad_scale != 1 or (weight_decay and not decoupled):
            given, g = g, scratch("optim.b", p.shape, dtype)
            _effective_gradient(p, given, 0.0 if decoupled else weight_decay, grad_scale, g)
        np.multiply(m, b1, out=m)
        np.add(m, np.multiply(g, c1, out=t), out=m)
        np.multiply(g, g, out=t)
        np.multiply(t, c2, out=t)
        np.multiply(v, b2, out=v)
        np.add(v, t, out=v)
        second = v
        if largest:
            second = np.maximum(largest[0], v, out=largest[0])
        np.sqrt(second, out=t)
        np.add(t, eps_scaled, out=t)
        np.divide(m, t, out=t)
        np.multiply(t, step_scaled, out=t)
        np.subtract(p, t, out=p)

    return block


def adamw_update(
    param: Array,
    grad: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    max_exp_avg_sq: Array | None = None,
    grad_scale: float = 1.0,
) -> None:
    """Step number `step` (from 1) of AdamW: the decay acts on the parameter, not on the gradient."""
    adam_update(
        param,
        grad,
        exp_avg,
        exp_avg_sq,
        step=step,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        decoupled=True,
        max_exp_avg_sq=max_exp_avg_sq,
        grad_scale=grad_scale,
    )


def lion_update(
    param: Array,
    grad: Array,
    exp_avg: Array,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0.0,
    grad_scale: float = 1.0,
) -> None:
    """One step of Lion: the sign of an interpolated momentum, and decoupled decay."""
    beta1, beta2 = betas

    def block(p: Array, g: Array, m: Array) -> None:
        d, t = scratch("optim.a", p.shape, p.dtype), scratch("optim.b", p.shape, p.dtype)
        if grad_scale != 1:
            g = np.multiply(g, grad_scale, out=scratch("optim.c", p.shape, p.dtype))
        np.multiply(m, beta1, out=d)
        np.add(d, np.multiply(g, 1 - beta1, out=t), out=d)
        np.sign(d, out=d)
        np.multiply(d, lr, out=d)
        if weight_decay:
            np.multiply(p, 1 - lr * weight_decay, out=p)
        np.subtract(p, d, out=p)
        np.multiply(m, beta2, out=m)
        np.add(m, np.multiply(g, 1 - beta2, out=t), out=m)

    _over_blocks(block, param, grad, exp_avg)


def _effective_gradient(p: Array, g: Array, weight_decay: float, grad_scale: float, out: Array) -> None:
    if weight_decay:
        np.multiply(p, weight_decay, out=out)
        np.add(out, g if grad_scale == 1 else g * p.dtype.type(grad_scale), out=out)
    else:
        np.multiply(g, grad_scale, out=out)


def _over_blocks(update: Callable[..., None], *arrays: Array) -> None:
    first = arrays[0]
    for array in arrays:
        if array.shape != first.shape or array.dtype != first.dtype or array.dtype.kind != "f" or array.itemsize < 4:
            described = ", ".join(f"{a.dtype}{a.shape}" for a in arrays)
            raise ValueError(f"an update needs float32 or float64 arrays of one shape and dtype, got {described}")
    if not all(array.flags.c_contiguous for index, array in enumerate(arrays) if index != 1):
        raise ValueError("an update in place needs C-contiguous arrays; pass views of one flat buffer")
    flat = [array.reshape(-1) for array in arrays]
    parallel_for(lambda start, stop: update(*(array[start:stop] for array in flat)), row_blocks(first.size, 1))
