"""L-BFGS with an optional strong Wolfe line search (Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 3.5)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.inplace import bump
from ..autograd.mode import enable_grad
from ..dtypes import Array
from ..tensor import Tensor
from .optimizer import Optimizer, number

Evaluate = Callable[[float], tuple[float, Array]]


class LBFGS(Optimizer):
    """Limited-memory BFGS; `step` needs a closure that computes the loss and its gradients, and calls it several times."""

    def __init__(
        self, params: Any, lr: Any = 1, max_iter: int = 20, max_eval: int | None = None, tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9, history_size: int = 100, line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        self._check(lr=lr)
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError(f"only 'strong_wolfe' is supported, got {line_search_fn!r}")
        super().__init__(params, dict(  # noqa: C408 (the names read as the options they are)
            lr=lr, max_iter=max_iter, max_eval=max_iter * 5 // 4 if max_eval is None else max_eval, tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change, history_size=history_size, line_search_fn=line_search_fn,
        ))  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params: list[Tensor] = self.param_groups[0]["params"]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` iterations. Returns the loss before the first. Raises TypeError without a closure."""
        if closure is None:
            raise TypeError(
                "LBFGS.step() needs a closure that zeroes the gradients, computes the loss, calls backward and returns the loss"
            )
        group = self.param_groups[0]
        self._params = group["params"]
        lr, tolerance, change = number(group["lr"]), group["tolerance_grad"], group["tolerance_change"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = self._call(closure)
        loss, evaluations = float(first_loss), 1
        state["func_evals"] += 1
        grad = self._flat_grad()
        if np.abs(grad).max(initial=0.0) <= tolerance:
            return first_loss
        memory = _Memory(state, group["history_size"])
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                memory.restart(grad)
                t = min(1.0, 1.0 / float(np.abs(grad).sum())) * lr
            else:
                memory.learn(grad)
                t = lr
            previous_loss = memory.prev_loss = loss
            d = memory.d
            slope = float(grad @ d)
            memory.t = t
            if slope > -change:
                break
            used = 0
            if group["line_search_fn"] is not None:
                start = [p._data.copy() for p in self._params]
                evaluate = self._along(closure, start, d)
                loss, grad, t, used = strong_wolfe(
                    evaluate, t, d, loss, grad, slope, max_ls=group["max_eval"] - evaluations
                )
                memory.t = t
                self._move(t, d)
            else:
                self._move(t, d)
                if iteration != group["max_iter"]:
                    loss = float(self._call(closure))
                    grad = self._flat_grad()
                    used = 1
            evaluations += used
            state["func_evals"] += used
            small_gradient = np.abs(grad).max() <= tolerance
            small_move = np.abs(d * t).max() <= change or abs(loss - previous_loss) < change
            if iteration == group["max_iter"] or evaluations >= group["max_eval"] or small_gradient or small_move:
                break
        memory.store(state)
        return first_loss

    @staticmethod
    def _call(closure: Callable[[], Any]) -> Any:
        with enable_grad():
            return closure()

    def _flat_grad(self) -> Array:
        parts = [
            np.zeros(p._data.size, p._data.dtype) if p._grad is None else p._grad._data.reshape(-1)
            for p in self._params
        ]
        return np.concatenate([_reals(a) for a in parts])

    def _move(self, t: float, d: Array) -> None:
        offset = 0
        for p in self._params:
            n = p._data.size * (2 if p._data.dtype.kind == "c" else 1)
            part = d[offset : offset + n]
            p._data += (t * (part.view(p._data.dtype) if p._data.dtype.kind == "c" else part)).reshape(p._data.shape)
            bump(p)
            offset += n

    def _along(self, closure: Callable[[], Any], start: list[Array], d: Array) -> Evaluate:
        """Loss and gradient at `start + t d`; the parameters are put back afterwards."""

        def evaluate(t: float) -> tuple[float, Array]:
            self._move(t, d)
            loss = float(self._call(closure))
            grad = self._flat_grad()
            for p, values in zip(self._params, start, strict=True):
                p._data[...] = values
                bump(p)
            return loss, grad

        return evaluate


def _reals(a: Array) -> Array:
    return np.ascontiguousarray(a).view(a.real.dtype) if a.dtype.kind == "c" else a


class _Memory:
    """The last steps and gradient changes, from which the inverse Hessian is approximated; stored under torch's names."""

    def __init__(self, state: dict[str, Any], size: int) -> None:
        def array(name: str) -> Any:
            return None if state.get(name) is None else getattr(state[name], "_data", state[name])

        def arrays(name: str) -> list[Any]:
            return [getattr(v, "_data", v) for v in state.get(name) or []]

        self.size = size
        self.d, self.t, self.prev_grad = array("d"), array("t"), array("prev_flat_grad")
        self.changes, self.steps, self.rho = arrays("old_dirs"), arrays("old_stps"), [float(r) for r in arrays("ro")]
        self.scale = float(array("H_diag")) if state.get("H_diag") is not None else 1.0
        self.al: list[Any] = list(state.get("al") or [None] * size)
        self.prev_loss: float | None = state.get("prev_loss")
        self.t = float(self.t) if self.t is not None else 0.0

    def restart(self, grad: Array) -> None:
        self.d, self.changes, self.steps, self.rho, self.scale = -grad, [], [], [], 1.0
        self.prev_grad = grad.copy()

    def learn(self, grad: Array) -> None:
        """Take in the last step, and set the direction `d` by the two-loop recursion."""
        y = grad - self.prev_grad
        s = self.d * self.t
        ys = float(y @ s)
        if ys > 1e-10:
            if len(self.changes) == self.size:
                for history in (self.changes, self.steps, self.rho):
                    history.pop(0)
            self.changes.append(y)
            self.steps.append(s)
            self.rho.append(1.0 / ys)
            self.scale = ys / float(y @ y)
        q = -grad
        for i in range(len(self.changes) - 1, -1, -1):
            self.al[i] = float(self.steps[i] @ q) * self.rho[i]
            q = q - self.al[i] * self.changes[i]
        d = q * self.scale
        for i in range(len(self.changes)):
            d = d + (self.al[i] - float(self.changes[i] @ d) * self.rho[i]) * self.steps[i]
        self.d, self.prev_grad = d, grad.copy()

    def store(self, state: dict[str, Any]) -> None:
        state.update(
            d=wrap(self.d), t=self.t, old_dirs=[wrap(a) for a in self.changes], old_stps=[wrap(a) for a in self.steps],
            ro=list(self.rho), H_diag=self.scale, prev_flat_grad=wrap(self.prev_grad), prev_loss=self.prev_loss,
        )  # fmt: skip
        if any(a is not None for a in self.al):
            state["al"] = self.al


def _cubic_minimum(
    x1: float, f1: float, g1: float, x2: float, f2: float, g2: float, bounds: tuple[float, float] | None = None
) -> float:
    """The minimum of the cubic through two points with their slopes, kept within bounds."""
    low, high = bounds if bounds is not None else (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if not square >= 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    if x1 <= x2:
        found = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        found = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(found, low), high)


def strong_wolfe(
    evaluate: Evaluate, t: float, d: Array, f: float, g: Array, slope: float,
    c1: float = 1e-4, c2: float = 0.9, tolerance_change: float = 1e-9, max_ls: int = 25,
) -> tuple[float, Array, float, int]:  # fmt: skip
    """A step length along `d` that meets the strong Wolfe conditions: (loss, gradient, step length, evaluations)."""
    d_norm = float(np.abs(d).max())
    Point = tuple[float, float, Array, float]  # step length, loss, gradient, slope

    def at(t: float) -> Point:
        f_t, g_t = evaluate(t)
        return t, f_t, g_t, float(g_t @ d)

    previous: Point = (0.0, f, g, slope)
    new = at(t)
    evaluations, iteration, done = 1, 0, False
    bracket: list[Point] = []
    while iteration < max_ls:  # widen until a minimum is bracketed
        if new[1] > f + c1 * new[0] * slope or (iteration > 1 and new[1] >= previous[1]):
            bracket = [previous, new]
            break
        if abs(new[3]) <= -c2 * slope:
            bracket, done = [new], True
            break
        if new[3] >= 0:
            bracket = [previous, new]
            break
        bounds = (new[0] + 0.01 * (new[0] - previous[0]), new[0] * 10)
        t = _cubic_minimum(previous[0], previous[1], previous[3], new[0], new[1], new[3], bounds)
        previous, new = new, at(t)
        evaluations += 1
        iteration += 1
    if iteration == max_ls:
        bracket = [(0.0, f, g, slope), new]
    stuck = False
    low, high = (0, 1) if bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and iteration < max_ls:  # narrow the bracket
        a, b = bracket
        if abs(b[0] - a[0]) * d_norm < tolerance_change:
            break
        t = _cubic_minimum(a[0], a[1], a[3], b[0], b[1], b[3])
        left, right = min(a[0], b[0]), max(a[0], b[0])
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = at(t)
        evaluations += 1
        iteration += 1
        if new[1] > f + c1 * t * slope or new[1] >= bracket[low][1]:
            bracket[high] = new
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if abs(new[3]) <= -c2 * slope:
                done = True
            elif new[3] * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = new
    best = bracket[low if len(bracket) > 1 else 0]
    return best[1], best[2], best[0], evaluations
