"""Seeded bugs: small changes to gradient rules and to the engine, each undone when its block ends."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd import engine
from ..ops import load_all
from ..ops.table import OPS, Op, unchanged

KINDS = ("sign", "factor", "unbroadcast", "wrong axis", "stale", "dtype", "alias", "in-place")


@dataclass(frozen=True)
class Mutant:
    """One seeded bug. `op` is "(engine)" for a bug of the engine; `install` is a context manager in which the bug is there."""

    name: str
    op: str
    kind: str
    install: Callable[[], Any]
    classic: bool = False


# -- rules ------------------------------------------------------------------------------------------------------------


@contextmanager
def rules_replaced(op: Op, joint: Any = None, **rules: Any) -> Iterator[None]:
    """Within the block the op has other gradient rules."""
    before = dict(op.rules), op.joint_rule
    try:
        op.rules.update(rules)
        if joint is not None:
            op.joint_rule = joint
        op.forget_plans()
        yield
    finally:
        op.rules.clear()
        op.rules.update(before[0])
        op.joint_rule = before[1]
        op.forget_plans()


def _wrapped(rule: Any, change: Callable[..., Any], extra: str | None = None, skip: int = 1) -> Any:
    """A rule with the parameters of `rule` (their names say what is saved) and perhaps one more, that calls `change(rule, extra, g, *rest)`."""
    code = rule.__code__
    names = list(code.co_varnames[: code.co_argcount])
    shown = [*names, *([extra] if extra and extra not in names else [])]
    more = extra or "None"
    body = f"lambda {', '.join(shown)}: _change(_rule, {more}, {', '.join(names)})"
    return eval(body, {"_change": change, "_rule": rule})


def _array(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _sign(rule: Any, extra: Any, *args: Any) -> Any:
    return -rule(*args)


def _factor(rule: Any, extra: Any, *args: Any) -> Any:
    return rule(*args) * 2


def _wrong_axis(rule: Any, extra: Any, *args: Any) -> Any:
    out = rule(*args)
    if not isinstance(out, np.ndarray) or not out.ndim:
        return out
    if out.ndim > 1 and out.shape[-1] == out.shape[-2]:
        return out.swapaxes(-1, -2)
    return np.flip(out, int(np.argmax(out.shape)))


def _narrow(rule: Any, extra: Any, *args: Any) -> Any:
    out = rule(*args)
    return out.astype(np.float32) if isinstance(out, np.ndarray | np.floating) and out.dtype == np.float64 else out


def _overwriting(rule: Any, extra: Any, *args: Any) -> Any:
    out = np.array(rule(*args)) if isinstance(args[0], np.ndarray) else rule(*args)
    if isinstance(args[0], np.ndarray):
        np.multiply(args[0], 0.5, out=args[0])
    return out


def _first_of_broadcast(rule: Any, shape: Any, *args: Any) -> Any:
    """Where the input was broadcast, one of the contributions instead of their sum."""
    out = rule(*args)
    if not isinstance(out, np.ndarray) or out.shape == tuple(shape):
        return out
    lead = out.ndim - len(shape)
    if lead < 0:
        return out
    out = out[(0,) * lead]
    return out[tuple(slice(0, 1) if n == 1 else slice(None) for n in shape)]


class _Stale:
    """The saved values of an earlier call, wherever there was one with the same shapes."""

    def __init__(self) -> None:
        self.seen: dict[Any, Any] = {}

    def __call__(self, rule: Any, extra: Any, g: Any, *rest: Any) -> Any:
        if not isinstance(g, np.ndarray):
            return rule(g, *rest)
        key = tuple((a.shape, str(a.dtype)) if isinstance(a, np.ndarray) else repr(a) for a in rest)
        old = self.seen.setdefault(key, [a.copy() if _array(a) else a for a in rest])
        return rule(g, *old)


class _Buffer:
    """Every result of one shape is written into, and returned as, the same array."""

    def __init__(self) -> None:
        self.buffers: dict[Any, Any] = {}

    def __call__(self, rule: Any, extra: Any, *args: Any) -> Any:
        out = rule(*args)
        if not isinstance(out, np.ndarray):
            return out
        buffer = self.buffers.setdefault((out.shape, str(out.dtype)), np.empty(out.shape, out.dtype))
        buffer[...] = out
        return buffer


def rule_mutants(op: Op, kinds: tuple[str, ...] = KINDS) -> Iterator[Mutant]:
    """The bugs of each kind that make sense for each rule of an op."""
    changes: dict[str, Callable[[], Any]] = {
        "sign": lambda: _sign,
        "factor": lambda: _factor,
        "wrong axis": lambda: _wrong_axis,
        "dtype": lambda: _narrow,
        "in-place": lambda: _overwriting,
        "unbroadcast": lambda: _first_of_broadcast,
        "stale": _Stale,
        "alias": _Buffer,
    }
    for kind in kinds:
        for name in sorted(op.rules) if op.joint_rule is None else ["(joint)"]:
            rule = op.rules[name] if op.joint_rule is None else op.joint_rule
            if op.joint_rule is not None and kind not in ("sign", "factor", "wrong axis", "dtype"):
                continue
            if kind == "unbroadcast" and not op.broadcasts:
                continue
            if kind == "stale" and rule.__code__.co_argcount < 2:
                continue
            if kind in ("stale", "in-place") and op.n_outputs != 1:
                continue
            yield Mutant(f"{op.name}.{name} {kind}", op.name, kind, _installer(op, name, rule, kind, changes[kind]))


def _installer(op: Op, name: str, rule: Any, kind: str, make: Callable[[], Any]) -> Callable[[], Any]:
    def install() -> Any:
        change = make()
        if name == "(joint)":

            def every(joint: Any, extra: Any, *args: Any) -> Any:
                return [None if g is None else change(lambda *_, g=g: g, None, *args) for g in joint(*args)]

            return rules_replaced(op, joint=_wrapped(rule, every))
        extra = f"{name}_shape" if kind == "unbroadcast" else None
        plain = (lambda g: g) if rule is unchanged else rule
        return rules_replaced(op, **{name: _wrapped(plain, change, extra)})

    return install


# -- the engine -------------------------------------------------------------------------------------------------------


@contextmanager
def source_replaced(function: str, *changes: tuple[str, str]) -> Iterator[None]:
    """Within the block a function of the engine has other text. Raises LookupError if the text to replace is not there."""
    original = getattr(engine, function)
    home = vars(sys.modules[original.__module__])
    text = textwrap.dedent(inspect.getsource(original))
    for old, new in changes:
        if old not in text:
            raise LookupError(
                f"{original.__module__}.{function} does not contain {old!r}; the mutant has to be written anew"
            )
        text = text.replace(old, new)
    exec(compile("from __future__ import annotations\n" + text, f"<mutant of {function}>", "exec"), home)
    setattr(engine, function, home[function])
    try:
        yield
    finally:
        home[function] = original
        setattr(engine, function, original)


def engine_mutants() -> list[Mutant]:
    """Bugs of the walk, of accumulation and of what the engine does around rules."""

    def edit(name: str, kind: str, function: str, *changes: tuple[str, str], classic: bool = False) -> Mutant:
        return Mutant(f"engine: {name}", "(engine)", kind, lambda: source_replaced(function, *changes), classic)

    total = "pending[target] = np.asarray(binary(np.add, found, g))"
    return [
        edit("a value used twice counts once", "accumulation", "walk", (total, "pending[target] = g"), classic=True),
        edit("the first flow is kept, others are dropped", "accumulation", "walk", (total, "pending[target] = found")),
        edit("sums are formed in place in arrays that are shared", "alias", "walk",
             (total, "pending[target] = np.add(found, g, out=found) if found.flags.writeable else found + g"), classic=True),
        edit("sums are formed in float32", "dtype", "walk",
             (total, "pending[target] = np.asarray(found + g).astype(np.float32).astype(g.dtype)"), classic=True),
        edit("oldest node first", "order", "walk", ("(-target.seq, target)", "(target.seq, target)"), classic=True),
        edit("the third contribution replaces the sum", "accumulation", "walk",
             ("binary(np.add, found, g, found)", "np.copyto(found, g)")),
        edit("what was broadcast is averaged", "unbroadcast", "conform",
             ("np.asarray(sum_to_shape.forward(g, shape))", "np.asarray(sum_to_shape.forward(g, shape)) * (np.prod(shape) / max(g.size, 1))")),
        edit("returned gradients share memory", "alias", "grad",
             ("g.copy() if id(g) in given or g.base is not None or sys.getrefcount(g) > 4 else g", "g")),
        edit("`.grad` takes arrays over without a copy", "alias", "accumulate", ("mine = ", "mine = True or ")),
        edit("a second backward replaces `.grad`", "accumulation", "accumulate",
             ("np.add(leaf._grad._data, g, out=leaf._grad._data)", "np.copyto(leaf._grad._data, g)")),
        edit("outputs without a cotangent get ones", "values", "filled", ("np.zeros(", "np.ones(")),
    ]  # fmt: skip


# -- the twenty of the literature -------------------------------------------------------------------------------------


def classic_mutants() -> list[Mutant]:
    """The bugs that autograds have had, as far as they sit in one rule."""
    load_all()

    def replace(label: str, name: str, kind: str = "classic", joint: Any = None, **rules: Any) -> Mutant:
        return Mutant(f"{name}: {label}", name, kind, lambda: rules_replaced(OPS[name], joint, **rules), True)

    def generic(label: str, name: str, key: str, kind: str) -> Mutant:
        found = next(m for m in rule_mutants(OPS[name], (kind,)) if m.name == f"{name}.{key} {kind}")
        return Mutant(f"{name}: {label}", name, kind, found.install, True)

    def spread_max(g: Any, x: Any, out: Any, dim: Any, keepdim: Any) -> Any:
        dims = tuple(range(x.ndim)) if dim in ((), None) else dim
        best = x.max(axis=dims, keepdims=True)
        return np.reshape(g, best.shape) * (x == best)

    def overwrite(g: Any, x_shape: Any, dim: Any, index: Any) -> Any:
        return OPS["scatter_write"](np.zeros(x_shape, g.dtype), dim, index, g)

    def no_mean_term(
        rule: Any, extra: Any, g: Any, needs: Any, x: Any, weight: Any, bias: Any, eps: Any, count: Any, *rest: Any
    ) -> Any:
        dims = tuple(range(x.ndim - count, x.ndim))
        dx, *others = rule(g, needs, x, weight, bias, eps, count, *rest)
        lost = (g if weight is None else g * weight).mean(axis=dims, keepdims=True) / np.sqrt(
            x.var(axis=dims, keepdims=True) + eps
        )
        return [dx + lost, *others]

    def not_flipped(g: Any, index: Any, x_shape: Any) -> Any:
        parts = index if isinstance(index, tuple) else (index,)
        if all(isinstance(p, slice) for p in parts):
            g = np.flip(g, tuple(d for d, p in enumerate(parts) if p.step is not None and p.step < 0))
        return OPS["put_at"](g, index, x_shape)

    matmul_y = OPS["matmul"].rules.get("y")
    cat = OPS["cat"].joint_rule
    mutants = [
        generic("what was broadcast is not summed", "mul", "y", "unbroadcast"),
        replace("wrong sign of the denominator", "div", y=lambda g, x, y, rounding_mode: g * x / (y * y)),
        replace("every tied element gets the whole gradient", "amax", x=spread_max),
        replace("no sum term", "softmax", x=lambda g, out: g * out),
        replace("duplicates overwrite each other", "gather", x=overwrite),
        replace("float32 inside", "exp", x=lambda g, out: g * out.astype(np.float32)),
        replace("divides by the size of everything", "mean", x=lambda g, x_shape, dim, keepdim: _mean_of_all(g, x_shape, dim, keepdim)),
        replace("1 at 0", "relu", x=lambda g, x: g * (x >= 0)),
        generic("the cotangent is changed in place", "tanh", "x", "in-place"),
        replace("uses the input instead of the output", "tanh", x=lambda g, x: g * (1 - x * x)),
        replace("the permutation instead of its inverse", "permute", x=lambda g, dims, x_shape: _again(g, dims, x_shape)),
        replace("a slice with negative step is not turned back", "getitem", x=not_flipped),
        replace("no mean term", "layer_norm", joint=_wrapped(OPS["layer_norm"].joint_rule, no_mean_term)),
    ]  # fmt: skip
    if matmul_y is not None:
        mutants.append(generic("the batch is not summed", "matmul", "y", "unbroadcast"))
        mutants.append(generic("a transpose is missing", "matmul", "y", "wrong axis"))
    if cat is not None:
        swapped = _wrapped(cat, lambda rule, extra, *args: _swapped(rule(*args)))
        mutants.append(replace("pieces swapped", "cat", joint=swapped))
    return mutants


def _swapped(pieces: Any) -> Any:
    out = list(pieces)
    for i in range(len(out) - 1):
        if out[i] is not None and out[i + 1] is not None and out[i].shape == out[i + 1].shape:
            out[i], out[i + 1] = out[i + 1], out[i]
            break
    return out


def _again(g: Any, dims: Any, x_shape: Any) -> Any:
    out = np.transpose(g, dims)
    return out if out.shape == tuple(x_shape) else np.transpose(g, np.argsort([d % g.ndim for d in dims]))


def _mean_of_all(g: Any, x_shape: Any, dim: Any, keepdim: Any) -> Any:
    dims = tuple(range(len(x_shape))) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    kept = tuple(1 if i in {d % len(x_shape) for d in dims} else n for i, n in enumerate(x_shape)) if x_shape else ()
    return np.broadcast_to(np.reshape(g, kept), x_shape) / max(int(np.prod(x_shape)), 1)


def all_mutants(kinds: tuple[str, ...] = KINDS) -> list[Mutant]:
    """The classic bugs, the engine's, and one for each rule and kind."""
    load_all()
    found = classic_mutants() + engine_mutants()
    for op in OPS.values():
        if op.differentiable:
            found += rule_mutants(op, kinds)
    return found
