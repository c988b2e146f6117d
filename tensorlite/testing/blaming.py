"""Whose fault is it: every op of a computation is checked alone, at the values it was given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd import record
from ..autograd.graph import Variable
from ..autograd.record import apply
from ..ops.table import Op
from .backends import TENSORLITE
from .report import Blame


@dataclass(frozen=True)
class Call:
    """One op as it was called: copies of the arrays, and which of them required grad."""

    op: Op
    args: tuple[Any, ...]
    needs: tuple[bool, ...]


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
        calls.append(Call(op, tuple(_frozen(a) for a in args), tuple(_needs(a) for a in args)))

    record.observers.append(observe)
    try:
        yield calls
    finally:
        record.observers.remove(observe)


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
        return apply(call.op, tuple(args))

    return f, leaves


def rule_source(op: Op, parameter: str | None = None) -> str:
    """Where the gradient rule of an op (of one of its inputs) was written: `gradient rule of x at elementwise.py:120`."""
    rule = op.joint_rule or op.rules.get(parameter or "") or next(iter(op.rules.values()), None)
    code = getattr(rule, "__code__", None)
    of = f" of {parameter}" if parameter and op.joint_rule is None else ""
    return (
        f"gradient rule{of} at {os.path.basename(code.co_filename)}:{code.co_firstlineno}" if code is not None else ""
    )


def blame(f: Callable[..., Any], inputs: Sequence[Any], seed: int = 0) -> Blame:
    """The first op whose gradient, alone and at the values it had in `f(*inputs)`, is wrong; the engine if there is none."""
    with recorded() as calls:
        TENSORLITE.run(f, inputs)
    return blame_calls(calls, seed)


def blame_calls(calls: Sequence[Call], seed: int = 0) -> Blame:
    """`blame` for calls that were recorded already."""
    from .checking import gradcheck

    for number, call in enumerate(calls):
        if not any(call.needs) or not call.op.differentiable:
            continue
        function, leaves = alone(call)
        if not any(np.asarray(leaf._data).size for leaf in leaves):
            continue
        report = gradcheck(function, leaves, seed=seed, report="return", blame=False)
        if not report.ok:
            detail = report.message or report.hint
            owners = [
                p
                for p, n, a in zip(call.op.params, call.needs, call.args, strict=True)
                if n
                for _ in (a if isinstance(a, list) else [a])
            ]
            parameter = (
                owners[report.worst.input] if report.worst is not None else owners[0] if len(owners) == 1 else None
            )
            return Blame(call.op.name, number, rule_source(call.op, parameter), detail)
    return Blame("(engine)")
