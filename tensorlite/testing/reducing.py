"""Making a failing program small by changing its graph, which deleting draws from a byte stream cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .programs import Program, Ref, Step

Fails = Callable[[Program], bool]


def reduce(program: Program, fails: Fails, limit: int = 400) -> Program:
    """Apply the first reduction after which `fails` still holds, until there is none: drop what one output does not need, put a leaf in
    place of a step, or an input of a step in place of its result."""
    tries = 0
    progress = True
    while progress and tries < limit:
        progress = False
        for smaller in _candidates(program):
            if not smaller.steps:
                continue
            tries += 1
            if tries >= limit:
                break
            if _holds(fails, smaller):
                program, progress = smaller, True
                break
    return program


def _holds(fails: Fails, program: Program) -> bool:
    try:
        return bool(fails(program))
    except (RuntimeError, ValueError, IndexError, TypeError):
        return False


def _candidates(program: Program) -> Iterator[Program]:
    last = len(program.steps) - 1
    for ref in program.outputs():
        if not ref.leaf and len(program.steps) > 1:
            kept = _needed(program, ref.number)
            if len(kept) < len(program.steps):
                yield _keep(program, kept, {})
    values = _values(program)
    for i in range(last, -1, -1):
        step = program.steps[i]
        yield (
            _keep(program, [k for k in range(last + 1) if k != i], {})
            if not _used(program, i)
            else _as_leaf(program, i, values)
        )
        if not step.count and _used(program, i):
            for ref in step.refs():
                if _shape(program, ref, values) == np.shape(values[i]):
                    yield _keep(program, [k for k in range(last + 1) if k != i], {Ref(False, i): ref})


def _values(program: Program) -> list[Any]:
    from ..autograd.mode import no_grad
    from ..autograd.record import apply
    from ..ops.table import OPS
    from .backends import TENSORLITE

    with no_grad():
        leaves = [TENSORLITE.leaf(x, False) for x in program.leaves]
        results = program._execute(leaves, lambda step, args: apply(OPS[step.op], tuple(args)))
    return [tuple(o._data for o in r) if isinstance(r, tuple | list) else r._data for r in results]


def _shape(program: Program, ref: Ref, values: list[Any]) -> tuple[int, ...]:
    if ref.leaf:
        return np.shape(program.leaves[ref.number])
    found = values[ref.number]
    return np.shape(found[ref.slot] if isinstance(found, tuple) else found)


def _used(program: Program, i: int) -> bool:
    return any(not r.leaf and r.number == i for s in program.steps for r in s.refs())


def _needed(program: Program, last: int) -> list[int]:
    needed = {last}
    for i in range(last, -1, -1):
        if i in needed:
            needed |= {r.number for r in program.steps[i].refs() if not r.leaf}
    return sorted(needed)


def _as_leaf(program: Program, i: int, values: list[Any]) -> Program:
    leaves = list(program.leaves)
    found = values[i]
    change: dict[Ref, Ref] = {}
    for k, value in enumerate(found if isinstance(found, tuple) else (found,)):
        array = np.asarray(value)
        change[Ref(False, i, k)] = Ref(True, len(leaves))
        leaves.append(array.astype(np.float64))
    wider = Program(leaves, program.steps, program.seed)
    return _keep(wider, [k for k in range(len(program.steps)) if k != i], change)


def _keep(program: Program, kept: list[int], change: dict[Ref, Ref]) -> Program:
    """The program with only the steps `kept`, references in `change` redirected, and leaves that nobody uses left out."""
    new = {old: i for i, old in enumerate(kept)}
    steps: list[Step] = []

    def follow(ref: Ref) -> Ref:
        while ref in change:
            ref = change[ref]
        return ref if ref.leaf else Ref(False, new[ref.number], ref.slot)

    steps = [program.steps[i].replace(follow) for i in kept]
    used = sorted({r.number for s in steps for r in s.refs() if r.leaf})
    where = {old: i for i, old in enumerate(used)}
    steps = [s.replace(lambda r: Ref(True, where[r.number]) if r.leaf else r) for s in steps]
    return Program([program.leaves[i] for i in used], steps, program.seed)
