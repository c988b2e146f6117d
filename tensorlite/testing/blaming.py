"""Whose fault is it: every op of a computation is checked alone, at the values it was given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd import record
from ..autograd.function import FunctionCtx
from ..autograd.graph import Variable
from ..autograd.record import apply
from ..ops.table import Op
from .backends import TENSORLITE
from .report import NO_GRADIENT, Blame


@dataclass(frozen=True)
class Call:
    """One op as it was called: copies of the arrays, and which of them required grad; for a `Function`, its own arguments."""

    op: Op
    args: tuple[Any, ...]
    needs: tuple[bool, ...]

    def run(self, args: Sequence[Any]) -> Any:
        """The op, or the `Function`, at other arguments."""
        function = getattr(self.op, "cls", None)
        return apply(self.op, tuple(args)) if function is None else function.apply(*args)

    def parameter(self, position: int) -> str:
        return self.op.params[position] if getattr(self.op, "cls", None) is None else f"input {position}"


def _frozen(value: Any) -> Any:
    if isinstance(value, Variable):
        return value._data.copy()
    if isinstance(value, tuple) and any(isinstance(v, Variable) for v in value):
        return [_frozen(v) for v in value]
    return value


def _needs(value: Any) -> bool:
    return any(map(_needs, value)) if isinstance(value, tuple | list) else isinstance(value, Variable) and value._rg


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Every op called in the block, with copies of its arguments."""
    calls: list[Call] = []

    def observe(op: Op, args: tuple[Any, ...], outputs: Any) -> None:
        if hasattr(op, "cls"):
            args = _given_to_function(args, outputs)
        calls.append(Call(op, tuple(_frozen(a) for a in args), tuple(_needs(a) for a in args)))

    record.observers.append(observe)
    try:
        yield calls
    finally:
        record.observers.remove(observe)


def _given_to_function(tensors: tuple[Any, ...], outputs: Any) -> tuple[Any, ...]:
    """All that `Function.apply` was called with: observers are told of the tensors, the context has the rest."""
    results = outputs if isinstance(outputs, tuple) else (outputs,)
    node = next((r._node for r in results if isinstance(r, Variable) and r._node is not None), None)
    ctx = next((s for s in node.saved or () if isinstance(s, FunctionCtx)), None) if node is not None else None
    if ctx is None:
        return tensors
    rest = iter(tensors)
    pairs = zip(ctx._is_tensor, ctx._inputs, strict=True)  # type: ignore[attr-defined]
    return tuple(next(rest) if is_tensor else value for is_tensor, value in pairs)


def alone(call: Call) -> tuple[Callable[..., Any], list[Any]]:
    """The op as a function of its float arguments, and those arguments as leaves."""
    leaves: list[Any] = []
    template: list[Any] = []
    for value, needed in zip(call.args, call.needs, strict=True):
        if not needed:
            template.append((None, value))
        elif isinstance(value, list):
            template.append((len(leaves), len(value)))
            leaves.extend(TENSORLITE.leaf(v) for v in value)
        else:
            template.append((len(leaves), None))
            leaves.append(TENSORLITE.leaf(value))

    def f(*tensors: Any) -> Any:
        args = [
            value if at is None else tensors[at] if value is None else list(tensors[at : at + value])
            for at, value in template
        ]
        return call.run(args)

    return f, leaves


def rule_source(op: Op, parameter: str | None = None) -> str:
    """Where the gradient rule of an op (of one of its inputs) was written: `gradient rule of x at elementwise.py:120`."""
    function = getattr(op, "cls", None)
    rule = op.joint_rule or op.rules.get(parameter or "") or next(iter(op.rules.values()), None)
    code = getattr(function.backward if function is not None else rule, "__code__", None)
    of = f" of {parameter}" if parameter and op.joint_rule is None else ""
    what = f"{function.__name__}.backward" if function is not None else "gradient rule"
    return f"{what}{of} at {os.path.basename(code.co_filename)}:{code.co_firstlineno}" if code is not None else ""


def blame(f: Callable[..., Any], inputs: Sequence[Any], seed: int = 0, order: int = 1) -> Blame:
    """The first op whose gradient, alone and at the values it had in `f(*inputs)`, is wrong.

    If there is none: the place where a value that depends on the inputs lost its gradient, else the engine.
    """
    with recorded() as calls:
        TENSORLITE.run(f, inputs)
    found = blame_calls(calls, seed, order)
    return (_lost(f, inputs, calls, seed) or found) if found.op == "(engine)" else found


def blame_calls(calls: Sequence[Call], seed: int = 0, order: int = 1) -> Blame:
    """`blame` for calls that were recorded already; "(engine)" where every op alone is right."""
    from .checking import gradcheck

    for number, call in enumerate(calls):
        if not any(call.needs) or not call.op.differentiable:
            continue
        function, leaves = alone(call)
        if not any(np.asarray(leaf._data).size for leaf in leaves):
            continue
        report = gradcheck(function, leaves, seed=seed, order=order, report="return", blame=False)
        if not report.ok:
            owners = [
                call.parameter(i)
                for i, (n, a) in enumerate(zip(call.needs, call.args, strict=True))
                if n
                for _ in (a if isinstance(a, list) else [a])
            ]
            worst = report.worst.input if report.worst is not None else 0 if len(owners) == 1 else len(owners)
            parameter = owners[worst] if worst < len(owners) else None  # of order 2, it may be a cotangent
            return Blame(call.op.name, number, rule_source(call.op, parameter), report.message or report.hint)
    return Blame("(engine)")


def _lost(f: Callable[..., Any], inputs: Sequence[Any], calls: Sequence[Call], seed: int) -> Blame | None:
    """Where a value that moves with the inputs goes into an op, or comes out of `f`, without a gradient; None where this does not happen."""
    rng = np.random.default_rng(seed)
    moved = [
        TENSORLITE.leaf(x._data + 1e-3 * rng.standard_normal(x._data.shape)) if TENSORLITE.needs_grad(x) else x
        for x in inputs
    ]
    with recorded() as others:
        outputs = TENSORLITE.run(f, moved)
    if [c.op for c in calls] != [c.op for c in others]:
        return None
    for number, (call, other) in enumerate(zip(calls, others, strict=True)):
        for i, (a, b, needs) in enumerate(zip(call.args, other.args, call.needs, strict=True)):
            if not needs and _differ(a, b):
                return Blame(NO_GRADIENT, number, f"it goes into op '{call.op.name}' as {call.parameter(i)}")
    here = TENSORLITE.run(f, inputs)
    for k, (p, q) in enumerate(zip(here, outputs, strict=False)):
        if not p._rg and _differ(p._data, q._data):
            return Blame(NO_GRADIENT, None, f"it is output {k} of the function")
    return None


def _differ(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return any(_differ(x, y) for x, y in zip(a, b, strict=False))
    return (
        isinstance(a, np.ndarray)
        and isinstance(b, np.ndarray)
        and a.dtype.kind in "fc"
        and not (a.shape == b.shape and np.array_equal(a, b, equal_nan=True))
    )
