"""Find repeated blocks: sibling module calls with the same inside, drawn once.

Two calls are the same when an ordered hash of everything inside them agrees: class, ops, attributes, shapes, module
structure and wiring by operand slot. A run of such siblings is folded when the copies form a chain (each one feeds the
next) or stand side by side on the same inputs; anything else stays unfolded, because one picture could not tell the
truth about it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .ir import FLOATING, Graph, Module


@dataclass(frozen=True)
class Run:
    """Copies of one block. `carried` maps an operand (position, slot) to the position in the previous copy that feeds
    it.
    """

    modules: tuple[int, ...]
    copies: tuple[tuple[int, ...], ...]
    carried: dict[tuple[int, int], int]
    weights: str  # "own weights each", "shared weights", "some weights shared" or "no weights"
    place: dict[int, tuple[int, int]] = field(repr=False)  # node -> (copy, position)


@dataclass(frozen=True)
class Folding:
    """Which node and module call stands for which, and the runs, outermost first."""

    node: tuple[int, ...]
    module: tuple[int, ...]
    runs: tuple[Run, ...]


def fold(graph: Graph, enabled: bool = True) -> Folding:
    members = members_of(graph)
    nodes = list(range(len(graph.nodes)))
    modules = list(range(len(graph.modules)))
    runs: list[Run] = []
    if enabled and graph.modules:
        digests = [digest(graph, module, ids) for module, ids in enumerate(members)]
        for children in _children(graph, members):
            if not children or any(modules[child] != child for child in children):
                continue  # inside a copy that is not drawn
            for siblings in _equal_neighbours(graph.modules, children, digests):
                run = _run(graph, siblings, [list(members[module]) for module in siblings])
                if run is not None:
                    runs.append(run)
                    _redirect(graph, run, members, nodes, modules)
    return Folding(tuple(_resolve(nodes)), tuple(_resolve(modules)), tuple(runs))


def members_of(graph: Graph) -> list[list[int]]:
    """Op nodes inside each module call, nested calls included, in order."""
    members: list[list[int]] = [[] for _ in graph.modules]
    for node in graph.nodes:
        module = None if node.kind in FLOATING else node.module
        while module is not None:
            members[module].append(node.id)
            module = graph.modules[module].parent
    return members


def _children(graph: Graph, members: Sequence[Sequence[int]]) -> list[list[int]]:
    """Calls under the top level and under each module call, parents first, in order of their first op."""
    below: list[list[int]] = [[] for _ in range(len(graph.modules) + 1)]
    for module in graph.modules:
        if members[module.id]:
            below[0 if module.parent is None else module.parent + 1].append(module.id)
    return [sorted(children, key=lambda m: (members[m][0], m)) for children in below]


def digest(graph: Graph, module: int, ids: Sequence[int]) -> bytes:
    parts = [graph.modules[module].name, graph.modules[module].detail, *inside(graph, module, ids)]
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).digest()


def inside(graph: Graph, module: int | None, ids: Sequence[int]) -> list[object]:
    """Ops, attributes, shapes, calls and wiring of these nodes of `module`."""
    position = {node: i for i, node in enumerate(ids)}
    calls: dict[int | None, int] = {}
    outside: dict[int, int] = {}
    parts: list[object] = []
    for node_id in ids:
        node = graph.nodes[node_id]
        call = calls.setdefault(node.module, len(calls))
        chain = tuple(_names_up_to(graph, node.module, module))
        parts.append((node.op, node.attrs, node.shape, node.dtype, call, chain))
        for edge in graph.operands[node_id]:
            src = graph.nodes[edge.src]
            if edge.src in position:
                parts.append((edge.slot, position[edge.src]))
            else:
                first = outside.setdefault(edge.src, len(outside))
                kind = src.kind if src.kind in FLOATING else "outside"
                parts.append((edge.slot, kind, src.shape, src.dtype, first))
    return parts


def _names_up_to(graph: Graph, module: int | None, top: int | None) -> list[str]:
    names = []
    while module is not None and module != top:
        own = graph.modules[module].path.rsplit(".", 1)[-1]
        names.append(f"{graph.modules[module].name}:{'#' if own.isdigit() else own}")  # a place in a list is no name
        module = graph.modules[module].parent
    return names


def _equal_neighbours(modules: Sequence[Module], children: Sequence[int], digests: Sequence[bytes]) -> list[list[int]]:
    """Neighbours with the same digest; a loop that starts again (its calls count from 0) is another one."""
    groups: list[list[int]] = []
    for child in children:
        last = modules[groups[-1][-1]] if groups else None
        again = last is not None and last.path == modules[child].path and last.call >= modules[child].call
        if last is not None and not again and digests[last.id] == digests[child]:
            groups[-1].append(child)
        else:
            groups.append([child])
    return [group for group in groups if len(group) > 1]


def foldable(graph: Graph, scope: int | None, copies: Iterable[Sequence[int]]) -> int:
    """How many of these lists of nodes of `scope`, from the first on, are rounds of one loop: equal inside, each fed by the one before."""
    rest = iter(copies)
    taken = [list(next(rest))]
    first = inside(graph, scope, taken[0])
    while more := list(itertools.islice(rest, len(taken))):  # twice as many each time: a loop that breaks off is cheap
        equal = list(itertools.takewhile(lambda copy: inside(graph, scope, copy) == first, more))
        taken += map(list, equal)
        run = _run(graph, (), [copy[:] for copy in taken]) if len(taken) > 1 else None
        if run is None or not run.carried:
            return 0
        if len(equal) < len(more):
            break
    return len(taken) if len(taken) > 1 else 0


def _run(graph: Graph, siblings: Sequence[int], copies: list[list[int]]) -> Run | None:
    place = {node: (i, p) for i, copy in enumerate(copies) for p, node in enumerate(copy)}
    if len(place) != sum(len(copy) for copy in copies):
        return None
    carried: dict[tuple[int, int], int] = {}
    fed: dict[tuple[int, int], list[int]] = {}  # operand -> outside source in each copy
    for i, copy in enumerate(copies):
        for p, node in enumerate(copy):
            for edge in graph.operands[node]:
                at = place.get(edge.src)
                if graph.nodes[edge.src].kind in FLOATING or (at is not None and at[0] == i):
                    continue
                if at is None:
                    fed.setdefault((p, edge.slot), []).append(edge.src)
                elif at[0] != i - 1 or carried.setdefault((p, edge.slot), at[1]) != at[1]:
                    return None
    if not _consistent(graph, copies, place, carried, fed):
        return None
    if not carried and (len(copies[0]) < 2 or not _numbered(graph, siblings)):
        return None
    _adopt_feeders(graph, copies, place, carried, fed)
    return Run(tuple(siblings), tuple(map(tuple, copies)), carried, _weights(graph, copies), place)


def _consistent(
    graph: Graph,
    copies: Sequence[Sequence[int]],
    place: dict[int, tuple[int, int]],
    carried: dict[tuple[int, int], int],
    fed: dict[tuple[int, int], list[int]],
) -> bool:
    n = len(copies)
    for operand in carried:
        if len(fed.get(operand, ())) != 1:  # exactly the first copy is fed from outside
            return False
    starts: dict[int, set[int]] = {}
    for operand, position in carried.items():
        starts.setdefault(position, set()).add(fed[operand][0])
    if any(len(sources) > 1 for sources in starts.values()):
        return False
    for operand, sources in fed.items():
        if operand not in carried and (len(sources) != n or (not carried and len(set(sources)) > 1)):
            return False
    return not _depends_on_run(graph, place, {src for sources in fed.values() for src in sources})


def _depends_on_run(graph: Graph, place: dict[int, tuple[int, int]], sources: set[int]) -> bool:
    if not sources:
        return False
    after: set[int] = set()
    for node in range(min(place), max(sources) + 1):
        if node not in place and any(e.src in place or e.src in after for e in graph.operands[node]):
            after.add(node)
    return bool(after & sources)


def _adopt_feeders(
    graph: Graph,
    copies: list[list[int]],
    place: dict[int, tuple[int, int]],
    carried: dict[tuple[int, int], int],
    fed: dict[tuple[int, int], list[int]],
) -> None:
    """Fold the op that prepares an input for each copy (the slice of one time step) along with the copies."""
    for operand, sources in sorted(fed.items()):
        if operand in carried or len(set(sources)) != len(copies) or any(src in place for src in sources):
            continue
        nodes = [graph.nodes[src] for src in sources]
        alike = {(n.kind, n.op, n.shape, n.dtype, n.module, tuple(e.src for e in graph.operands[n.id])) for n in nodes}
        private = all(
            all(place.get(edge.dst, (-1, 0))[0] == i for edge in graph.consumers[src]) for i, src in enumerate(sources)
        )
        if len(alike) == 1 and nodes[0].kind == "op" and private:
            for i, src in enumerate(sources):
                place[src] = (i, len(copies[i]))
                copies[i].append(src)


def _numbered(graph: Graph, siblings: Sequence[int]) -> bool:
    """heads.0, heads.1, … or one module called several times."""
    paths = [graph.modules[module].path for module in siblings]
    return len({re.sub(r"\d+$", "", path) for path in paths}) == 1


def _weights(graph: Graph, copies: Sequence[Sequence[int]]) -> str:
    sets = [
        {e.src for node in copy for e in graph.operands[node] if graph.nodes[e.src].kind == "param"} for copy in copies
    ]
    if not any(sets):
        return "no weights"
    if all(s == sets[0] for s in sets):
        return "shared weights"
    return "own weights each" if sum(map(len, sets)) == len(set().union(*sets)) else "some weights shared"


def _redirect(graph: Graph, run: Run, members: Sequence[Sequence[int]], nodes: list[int], modules: list[int]) -> None:
    first = run.copies[0]
    for copy in run.copies[1:]:
        for drawn, node in zip(first, copy, strict=True):
            nodes[node] = drawn
            _redirect_module(graph, node, drawn, run, modules)


def _redirect_module(graph: Graph, node: int, drawn: int, run: Run, modules: list[int]) -> None:
    source, target = graph.nodes[node].module, graph.nodes[drawn].module
    while source is not None and target is not None and source != target and modules[source] == source:
        modules[source] = target
        if source in run.modules:
            return
        source, target = graph.modules[source].parent, graph.modules[target].parent


def _resolve(redirect: list[int]) -> list[int]:
    out = []
    for start in range(len(redirect)):
        current = start
        while redirect[current] != current:
            current = redirect[current]
        out.append(current)
    return out
