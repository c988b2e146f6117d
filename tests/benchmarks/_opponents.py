"""The small GPT for libraries that differentiate NumPy code: one loss over their NumPy, and their training steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._models import Setting

BETA1, BETA2, EPS, DECAY, LR = 0.9, 0.999, 1e-8, 1e-2, 1e-4


def parameters(s: Setting) -> dict[str, np.ndarray]:
    """Weights by the names of the models in `_models`, drawn from one seed."""
    rng = np.random.default_rng(0)
    d = s.d_model
    shapes: dict[str, tuple[int, ...]] = {"token.weight": (s.vocabulary, d), "position.weight": (s.length, d)}
    for i in range(s.layers):
        block = f"blocks.{i}."
        for norm in ("norm1", "norm2"):
            shapes |= {f"{block}{norm}.weight": (d,), f"{block}{norm}.bias": (d,)}
        for name, rows, columns in (("qkv", 3 * d, d), ("proj", d, d), ("fc", 4 * d, d), ("out", d, 4 * d)):
            shapes |= {f"{block}{name}.weight": (rows, columns), f"{block}{name}.bias": (rows,)}
    shapes |= {"norm.weight": (d,), "norm.bias": (d,), "head.weight": (s.vocabulary, d)}
    drawn = {name: rng.standard_normal(shape).astype(np.float32) * np.float32(0.05) for name, shape in shapes.items()}
    return {name: w + np.float32("norm" in name and name.endswith("weight")) for name, w in drawn.items()}


def batch(s: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Token ids (B, T) and targets (B T,)."""
    rng = np.random.default_rng(1)
    return rng.integers(0, s.vocabulary, (s.batch, s.length)), rng.integers(0, s.vocabulary, s.tokens)


def loss(xp: Any, erf: Any, s: Setting, w: Any, ids: Any, target: Any) -> Any:
    """Mean cross-entropy of the model of a setting, in functions that NumPy has (`xp`) and an error function."""

    def norm(x: Any, name: str) -> Any:
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)
        return centred / xp.sqrt(variance + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: Any, name: str) -> Any:
        return xp.dot(x, w[f"{name}.weight"].T) + w[f"{name}.bias"]

    def log_softmax(x: Any) -> Any:
        shifted = x - xp.max(x, axis=-1, keepdims=True)
        return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))

    b, t, d, h = s.batch, s.length, s.d_model, s.heads
    excluded = np.where(np.tri(t, dtype=bool), np.float32(0), np.float32(-1e9)) if s.causal else np.float32(0)
    x = w["token.weight"][ids] + w["position.weight"]
    for i in range(s.layers):
        block = f"blocks.{i}."
        qkv = xp.reshape(linear(norm(x, f"{block}norm1"), f"{block}qkv"), (b, t, 3, h, d // h))
        q, k, v = (xp.transpose(qkv[:, :, j], (0, 2, 1, 3)) for j in range(3))
        scores = xp.matmul(q, xp.swapaxes(k, -1, -2)) * (d // h) ** -0.5 + excluded
        y = xp.matmul(xp.exp(log_softmax(scores)), v)
        x = x + linear(xp.reshape(xp.transpose(y, (0, 2, 1, 3)), (b, t, d)), f"{block}proj")
        z = linear(norm(x, f"{block}norm2"), f"{block}fc")
        x = x + linear(0.5 * z * (1 + erf(z * 0.5**0.5)), f"{block}out")
    logits = xp.reshape(xp.dot(norm(x, "norm"), w["head.weight"].T), (s.tokens, s.vocabulary))
    return -xp.mean(log_softmax(logits)[np.arange(s.tokens), target])


def _adamw(xp: Any, w: Any, g: Any, m: Any, v: Any, step: Any) -> tuple[Any, Any, Any]:
    m = BETA1 * m + (1 - BETA1) * g
    v = BETA2 * v + (1 - BETA2) * g * g
    root = xp.sqrt(v / (1 - BETA2**step)) + EPS
    return w * (1 - LR * DECAY) - LR / (1 - BETA1**step) * m / root, m, v


def autograd_step(s: Setting) -> Callable[[], Any]:
    """One step with HIPS autograd: its gradients, and AdamW in NumPy."""
    import autograd.numpy as anp
    from autograd import value_and_grad
    from autograd.scipy.special import erf

    w = parameters(s)
    ids, target = batch(s)
    m, v = ({name: np.zeros_like(a) for name, a in w.items()} for _ in range(2))
    both = value_and_grad(lambda p: loss(anp, erf, s, p, ids, target))
    taken = [0]

    def step() -> Any:
        value, grads = both(w)
        taken[0] += 1
        for name in w:
            w[name], m[name], v[name] = _adamw(np, w[name], grads[name], m[name], v[name], taken[0])
        return value

    return step


def jax_step(s: Setting) -> Callable[[], Any]:
    """One step with jax, loss, gradients and AdamW compiled together; the steps before timing pay for compiling."""
    import jax
    import jax.numpy as jnp

    ids, target = batch(s)

    @jax.jit
    def update(w: Any, m: Any, v: Any, taken: Any) -> Any:
        value, grads = jax.value_and_grad(lambda p: loss(jnp, jax.scipy.special.erf, s, p, ids, target))(w)
        new = {name: _adamw(jnp, w[name], grads[name], m[name], v[name], taken) for name in w}
        return value, *({name: parts[i] for name, parts in new.items()} for i in range(3))

    w = {name: jnp.asarray(a) for name, a in parameters(s).items()}
    state: list[Any] = [
        w,
        {n: jnp.zeros_like(a) for n, a in w.items()},
        {n: jnp.zeros_like(a) for n, a in w.items()},
        0,
    ]

    def step() -> Any:
        state[3] += 1
        value, *state[:3] = update(*state[:3], np.float32(state[3]))
        return float(value)

    return step


STEPS: dict[str, Callable[[Setting], Callable[[], Any]]] = {"autograd": autograd_step, "jax": jax_step}
