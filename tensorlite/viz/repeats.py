"""Loops that no module stands for: blocks that alternate (A B A B …), and a loop over ops in one `forward`.

Each round gets a module call of its own, so that folding, closing and counting treat it like any repeated block. Rounds
are marked only where folding can draw them as one: equal ops and wiring, each round fed by the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .folding import digest, foldable, members_of
from .ir import FLOATING, Graph, Module

_LONGEST = 64  # ops and calls in a round
_OPS = 6  # fewer ops than that are as easily read one by one
_ITEMS = 50_000  # longer scopes are not searched
_FAILURES = 200  # loops of equal ops whose wiring cannot be folded; a scope with more of them is not searched further


@dataclass(frozen=True, slots=True)
class _Item:
    """A module call or an op directly inside a scope."""

    nodes: tuple[int, ...]
    call: int | None


def with_rounds(graph: Graph) -> Graph:
    """`graph` with a module call around each round of a loop."""
    found: list[tuple[int | None, list[list[_Item]]]] = []
    members = members_of(graph)
    digests = [digest(graph, module, ids) for module, ids in enumerate(members)]
    for scope, items in _scopes(graph, members).items():
        if 3 < len(items) <= _ITEMS:
            tokens = _tokens(graph, items, digests)
            found += [(scope, rounds) for rounds in _loops(graph, scope, items, tokens)]
    return _wrapped(graph, found) if found else graph


def _scopes(graph: Graph, members: Sequence[Sequence[int]]) -> dict[int | None, list[_Item]]:
    """What lies directly inside each module call, and outside all of them, in order."""
    scopes: dict[int | None, list[_Item]] = {}
    for node in graph.nodes:
        if node.kind not in FLOATING:
            scopes.setdefault(node.module, []).append(_Item((node.id,), None))
    for module in graph.modules:
        if members[module.id]:
            scopes.setdefault(module.parent, []).append(_Item(tuple(members[module.id]), module.id))
    return {scope: sorted(items, key=lambda item: item.nodes[0]) for scope, items in scopes.items()}


def _tokens(graph: Graph, items: Sequence[_Item], digests: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """A number for each item; equal items have the same."""
    numbers: dict[object, int] = {}
    out = []
    for item in items:
        node = graph.nodes[item.nodes[0]]
        leaves = tuple(
            (e.slot, graph.nodes[e.src].kind) for e in graph.operands[node.id] if graph.nodes[e.src].kind in FLOATING
        )
        what = (node.op, node.attrs, node.shape, node.dtype, leaves) if item.call is None else digests[item.call]
        out.append(numbers.setdefault(what, len(numbers)))
    return np.array(out, dtype=np.int64)


def _loops(
    graph: Graph, scope: int | None, items: Sequence[_Item], tokens: npt.NDArray[np.int64]
) -> Iterator[list[list[_Item]]]:
    """The rounds of each loop, from the first place on where one begins, the longest there; without overlap."""
    n = len(tokens)
    longest = min(_LONGEST, n // 2)
    periods = np.arange(1, longest + 1)
    same = np.zeros((longest, n), dtype=np.int64)  # how long the tokens from each place on repeat with each period
    for period in range(1, longest + 1):
        same[period - 1, : n - period] = _stretch(tokens[:-period] == tokens[period:])
    at = failures = 0
    while at < n - 1:
        wishes = []
        units: list[tuple[int, int]] = []  # periods that are not themselves several equal rounds, and their stretches
        for i in np.flatnonzero(same[:, at] >= periods):
            p, length = int(i) + 1, int(same[i, at])
            if any(p % q == 0 and stretch >= p - q for q, stretch in units):
                continue
            units.append((p, length))
            rounds = length // p + 1
            if _worth(items[at : at + p], p, rounds):
                wishes.append((-p * rounds, p, rounds, length % p))
        loop = next((r for w in sorted(wishes) if (r := _foldable(graph, scope, items, at, *w[1:]))), None)
        if loop is None:
            at += 1
            failures += len(wishes)
            if failures > _FAILURES:
                return
            continue
        yield loop
        at = 1 + next(i for i in range(at, n) if items[i] is loop[-1][-1])


def _stretch(equal: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many True follow one another from each place on."""
    n = len(equal)
    ends = np.where(equal, n, np.arange(n))
    return np.minimum.accumulate(ends[::-1])[::-1] - np.arange(n)


def _worth(unit: Sequence[_Item], period: int, rounds: int) -> bool:
    calls = sum(item.call is not None for item in unit)
    if calls == period == 1:
        return False  # a repeated block as it is
    return calls > 1 or (rounds > 2 and period * rounds >= _OPS and (period > 1 or rounds >= _OPS))


def _foldable(
    graph: Graph, scope: int | None, items: Sequence[_Item], at: int, period: int, rounds: int, slack: int
) -> list[list[_Item]] | None:
    """The most rounds that can be folded, begun up to `slack` items after `at`; the latest such place, as a loop ends whole."""
    best: list[list[_Item]] = []
    for start in range(at + slack, at - 1, -1):
        starts = range(start, start + rounds * period, period)
        n = foldable(graph, scope, ([node for item in items[i : i + period] for node in item.nodes] for i in starts))
        if n > len(best):
            best = [list(items[i : i + period]) for i in starts[:n]]
        if n == rounds:
            break
    return best if best and _worth(best[0], period, len(best)) else None


# -- the new calls ----------------------------------------------------------------------------------------------------


def _wrapped(graph: Graph, found: Sequence[tuple[int | None, list[list[_Item]]]]) -> Graph:
    """`graph` with the rounds as calls, numbered again so that parents come first."""
    around: dict[int, Module] = {}  # call -> the round that it lies in
    inside: dict[int, Module] = {}  # op -> the round that it lies in
    below: dict[int | None, list[Module]] = {}
    for scope, loop in found:
        for number, items in enumerate(loop):
            made = _round(graph, items, number, scope)
            below.setdefault(scope, []).append(made)
            for item in items:
                if item.call is None:
                    inside[item.nodes[0]] = made
                else:
                    around[item.call] = made
    modules: list[Module] = []
    number_of: dict[int, int] = {}
    made_at: dict[int, int] = {}  # id of a round -> number

    def add_rounds(scope: int | None) -> None:
        for made in below.get(scope, ()):
            made_at[id(made)] = len(modules)
            parent = None if scope is None else number_of[scope]
            modules.append(replace(made, id=len(modules), parent=parent))

    add_rounds(None)
    for module in graph.modules:
        outer = around.get(module.id)
        inherited = None if module.parent is None else number_of[module.parent]
        parent = inherited if outer is None else made_at[id(outer)]
        number_of[module.id] = len(modules)
        modules.append(replace(module, id=len(modules), parent=parent))
        add_rounds(module.id)
    nodes = tuple(
        replace(node, module=made_at[id(inside[node.id])])
        if node.id in inside
        else node
        if node.module is None
        else replace(node, module=number_of[node.module])
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes, modules=tuple(modules))


def _round(graph: Graph, items: Sequence[_Item], number: int, scope: int | None) -> Module:
    """A call named after what is in it; its id is given later."""
    calls = [graph.modules[item.call] for item in items if item.call is not None]
    names = [call.name for call in calls] or [graph.nodes[item.nodes[0]].op for item in items]
    ops = len(items) - len(calls)
    if calls:
        path = ", ".join(call.path for call in calls[:2]) + (", …" if len(calls) > 2 else "")
        extra = [f"{ops} op{'s' * (ops > 1)}"] if ops else []
        return Module(-1, path, " + ".join([*_few(names), *extra]), number, scope)
    return Module(-1, ", ".join(_few(names)), "round of ops" if len(items) > 1 else "op", number, scope)


def _few(names: Sequence[str]) -> list[str]:
    return list(names) if len(names) <= 4 else [*names[:3], "…"]
