"""Every module open, repeated blocks folded, leaves inlined where only one box uses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from . import labels
from .folding import Folding, Run, fold
from .ir import FLOATING, Edge, Graph, Module, Node
from .palette import role_of, role_of_module
from .view import Box, BoxKind, Group, Link, LinkKind, View


def unfold(graph: Graph, *, fold_repeats: bool = True, show_params: bool | None = None) -> View:
    """The view of `graph` with every group open.

    `show_params=None` draws parameters and constants as boxes of their own when all values are scalars (micrograd
    style), else writes them into the box that uses them.
    """
    if show_params is None:
        show_params = bool(graph.nodes) and all(node.shape == () for node in graph.nodes if node.kind != "const")
    return _Unfolding(graph, fold(graph, fold_repeats), show_params).view()


def with_closed_members(view: View) -> View:
    """`view` whose groups' closed boxes know which nodes they would stand for."""
    inside: dict[str, list[int]] = {group.key: [] for group in view.groups}
    for box in view.boxes:
        if box.group is not None:
            inside[box.group] += box.members
    for group in reversed(view.groups):  # children before parents
        if group.parent is not None:
            inside[group.parent] += inside[group.key]
    groups = (replace(g, closed=replace(g.closed, members=tuple(sorted(inside[g.key])))) for g in view.groups)
    return replace(view, groups=tuple(groups))


class _Unfolding:
    def __init__(self, graph: Graph, folding: Folding, show_params: bool) -> None:
        self.graph = graph
        self.folding = folding
        self.show_params = show_params
        self.run_of = {run.modules[0]: run for run in folding.runs}
        self.runs_at: dict[int, list[int]] = {}
        for i, run in enumerate(folding.runs):
            for node in run.place:
                self.runs_at.setdefault(node, []).append(i)
        self.ops_in = self._count_ops()
        self.root = self._root()
        self.results = self._results()

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _count_ops(self) -> list[int]:
        """Drawn ops in each module call."""
        ops = [0] * len(self.graph.modules)
        for node in self.graph.nodes:
            if node.kind in FLOATING or self.folding.node[node.id] != node.id:
                continue
            for module in self._chain(node.module):
                ops[module] += 1
        return ops

    def _root(self) -> int | None:
        """The one call that holds nearly everything: a title is enough, it needs no frame."""
        tops = [m for m in self.graph.modules if m.parent is None and self.ops_in[m.id]]
        total = sum(node.kind == "op" for node in self.graph.nodes)
        return (
            tops[0].id
            if len(tops) == 1 and tops[0].path == "" and self.ops_in[tops[0].id] * 2 > min(total, 4)
            else None
        )

    def _chain(self, module: int | None) -> list[int]:
        chain = []
        while module is not None:
            chain.append(self.folding.module[module])
            module = self.graph.modules[self.folding.module[module]].parent
        return chain

    def _is_group(self, module: int) -> bool:
        return module != self.root and (self.ops_in[module] > 1 or module in self.run_of)

    def _group(self, node: Node) -> str | None:
        return next((f"m{module}" for module in self._chain(node.module) if self._is_group(module)), None)

    def _alone_in(self, node: Node) -> Module | None:
        """The module whose whole work is this op."""
        chain = self._chain(node.module)
        return self.graph.modules[chain[0]] if chain and self.ops_in[chain[0]] == 1 and chain[0] != self.root else None

    # -- leaves -------------------------------------------------------------------------------------------------------

    def _leaf_uses(self, leaf: Node) -> tuple[tuple[int, int], ...]:
        return tuple(sorted({(self.folding.node[e.dst], e.slot) for e in self.graph.consumers[leaf.id]}))

    def _is_inlined(self, leaf: Node, users: set[int]) -> bool:
        if len(users) != 1:
            return False
        user = self.graph.nodes[next(iter(users))]
        if leaf.kind == "buffer":
            return self._alone_in(user) is not None
        if leaf.kind == "const" and leaf.shape == () and leaf.value is not None and not leaf.name:
            return True
        return not self.show_params

    def _leaves(self) -> tuple[dict[int, list[Node]], dict[int, int], dict[int, list[Node]]]:
        """Inlined leaves by box, the drawn leaf of each other leaf, and what each drawn leaf stands for."""
        inlined: dict[int, list[Node]] = {}
        drawn: dict[int, int] = {}
        stands_for: dict[int, list[Node]] = {}
        alike: dict[object, int] = {}
        for leaf in self.graph.nodes:
            if leaf.kind not in FLOATING:
                continue
            uses = self._leaf_uses(leaf)
            users = {user for user, _ in uses}
            if not users and leaf.kind != "param":
                continue  # nothing reads it
            if self._is_inlined(leaf, users):
                inlined.setdefault(next(iter(users)), []).append(leaf)
                continue
            copied = any(self.folding.node[e.dst] != e.dst for e in self.graph.consumers[leaf.id])
            key = (uses, leaf.kind, leaf.shape, leaf.dtype) if uses and (copied or self._in_run(users)) else leaf.id
            first = alike.setdefault(key, leaf.id)
            drawn[leaf.id] = first
            stands_for.setdefault(first, []).append(leaf)
        return inlined, drawn, stands_for

    def _in_run(self, users: set[int]) -> bool:
        return any(user in self.runs_at for user in users)

    def _leaf_group(self, users: set[int]) -> str | None:
        """The innermost group around all users."""
        chains = [
            [m for m in self._chain(self.graph.nodes[user].module) if self._is_group(m)] for user in sorted(users)
        ]
        common = set(chains[0]).intersection(*chains[1:]) if chains else set()
        return next((f"m{m}" for m in chains[0] if m in common), None) if chains else None

    # -- edges --------------------------------------------------------------------------------------------------------

    def _path(self, edge: Edge) -> tuple[list[str], list[tuple[str, str]]]:
        """Boxes along a drawn edge, entry points included, and the loop arrows that it stands for."""
        src, dst = edge.src, edge.dst
        stops: list[str] = []
        loops: list[tuple[str, str]] = []
        index = -1
        while (nxt := next((i for i in self.runs_at.get(dst, ()) if i > index), None)) is not None:
            index = nxt
            run = self.folding.runs[index]
            copy, position = run.place[dst]
            source = run.place.get(src)
            if source is not None and source[0] == copy:
                src = run.copies[0][source[1]]
            elif (position, edge.slot) in run.carried:
                carried = run.carried[position, edge.slot]
                entry = f"e{index}.{carried}"
                if source is not None:
                    stops = []
                    loops.append((f"n{self.folding.node[src]}", entry))
                    src = -1
                stops.append(entry)
            dst = run.copies[0][position]
        head = [] if src < 0 else [f"n{self.folding.node[src]}"]
        return [*head, *stops, f"n{self.folding.node[dst]}"], loops

    def _links(self, drawn: dict[int, int]) -> tuple[list[Link], dict[str, int]]:
        counted: dict[tuple[str, str, LinkKind], int] = {}
        inner: dict[str, int] = {}
        for edge in self.graph.edges:
            source = self.graph.nodes[edge.src]
            if source.kind in FLOATING:
                target = f"n{self.folding.node[edge.dst]}"
                if edge.src in drawn:
                    _count(counted, f"n{drawn[edge.src]}", target, "leaf", 1)
                else:
                    inner[target] = inner.get(target, 0) + 1
                continue
            path, loops = self._path(edge)
            last: LinkKind = "skip" if edge.is_skip else "data"
            for i, (src, dst) in enumerate(pairwise(path)):
                final = i == len(path) - 2
                _count(counted, src, dst, last if final else "data", int(final))
            for src, dst in loops:
                _count(counted, src, dst, "loop", 0)
        return [Link(src, dst, kind, n) for (src, dst, kind), n in counted.items()], inner

    # -- the view -----------------------------------------------------------------------------------------------------

    def view(self) -> View:
        inlined, drawn, stands_for = self._leaves()
        links, inner = self._links(drawn)
        copies: dict[int, list[Node]] = {}
        for node in self.graph.nodes:
            if node.kind not in FLOATING:
                copies.setdefault(self.folding.node[node.id], []).append(node)
        skips = {link.dst for link in links if link.kind == "skip"}
        boxes = [
            self._box(node, copies[node.id], inlined.get(node.id, []), f"n{node.id}" in skips, inner)
            if node.kind not in FLOATING
            else self._leaf_box(node, stands_for[node.id])
            for node in self.graph.nodes
            if node.id in copies or node.id in stands_for
        ]
        boxes += self._entries(links) + self._outputs(links)
        title = self.graph.name
        links = _with_loop_labels(links, self.folding.runs)
        return View(title, self.graph.describe(), tuple(boxes), tuple(self._groups(boxes, inlined)), tuple(links))

    def _box(
        self, node: Node, copies: Sequence[Node], leaves: Sequence[Node], skip: bool, inner: dict[str, int]
    ) -> Box:
        key = f"n{node.id}"
        module = None if node.module is None else self.graph.modules[node.module]
        members = [*copies, *leaves]
        kind: BoxKind = "input" if node.kind == "input" else "op"
        own = [leaf for leaf in leaves if any(e.dst == node.id for e in self.graph.consumers[leaf.id])]
        lines = (
            labels.leaf_lines(node)
            if kind == "input"
            else labels.op_lines(self.graph, node, self._alone_in(node), own, skip=skip)
        )
        role = "" if kind == "input" else role_of(node.op)
        tip = labels.tip(node, module)
        return Box(key, kind, role, lines, self._group(node), *_totals(members, inner.get(key, 0)), tip)

    def _leaf_box(self, leaf: Node, members: Sequence[Node]) -> Box:
        users = {user for user, _ in self._leaf_uses(leaf)}
        kind: BoxKind = "param" if leaf.kind == "param" else "buffer"
        return Box(
            f"n{leaf.id}",
            kind,
            "",
            labels.leaf_lines(leaf),
            self._leaf_group(users),
            *_totals(members),
            labels.tip(leaf, None),
        )

    def _entries(self, links: Sequence[Link]) -> list[Box]:
        used = {link.src for link in links}
        return [
            Box(f"e{i}.{position}", "entry", "", (), f"m{run.modules[0]}")
            for i, run in enumerate(self.folding.runs)
            for position in sorted(set(run.carried.values()))
            if f"e{i}.{position}" in used
        ]

    def _outputs(self, links: list[Link]) -> list[Box]:
        boxes = []
        for i, out in enumerate(self.graph.outputs):
            node = self.graph.nodes[out]
            if node.kind != "op" or role_of(node.op) == "loss" or labels.is_scalar(node):
                continue
            name = "output" if len(self.graph.outputs) == 1 else f"output {i}"
            boxes.append(
                Box(f"o{i}", "output", "", (name, labels.leaf_lines(node)[1]), None, tip=labels.tip(node, None))
            )
            links.append(Link(f"n{self.folding.node[out]}", f"o{i}", "data", 0))
        return boxes

    def _groups(self, boxes: Sequence[Box], inlined: dict[int, list[Node]]) -> list[Group]:
        used: set[int] = set()
        ops: dict[int, dict[str, int]] = {}
        params: dict[int, int] = {}
        total: dict[int, int] = {}
        for box in boxes:
            chain = self._groups_around(box.group)
            used.update(chain)
            node = self.graph.nodes[int(box.key[1:])] if box.key[0] == "n" else None
            for module in chain:
                total[module] = total.get(module, 0) + box.params
                if node is not None and node.kind == "op":
                    flops = ops.setdefault(module, {})
                    flops[node.op] = flops.get(node.op, 0) + max(node.flops, 1)
                    own = (leaf.params for leaf in inlined.get(node.id, ()) if self._feeds(leaf, node.id))
                    params[module] = params.get(module, 0) + sum(own)
        return [
            self._make_group(module, ops.get(module, {}), params.get(module, 0), total[module])
            for module in sorted(used)
        ]

    def _feeds(self, leaf: Node, node: int) -> bool:
        return any(edge.dst == node for edge in self.graph.consumers[leaf.id])

    def _groups_around(self, key: str | None) -> list[int]:
        return [] if key is None else [m for m in self._chain(int(key[1:])) if self._is_group(m)]

    def _results(self) -> dict[int, set[tuple[int, ...]]]:
        """Shapes of the values that leave each module call."""
        shapes: dict[int, set[tuple[int, ...]]] = {}
        for node in self.graph.nodes:
            if node.kind in FLOATING or self.folding.node[node.id] != node.id:
                continue
            chain = self._chain(node.module)
            users = self.graph.consumers[node.id]
            homes = [set(self._chain(self.graph.nodes[edge.dst].module)) for edge in users]
            for module in chain:
                if not users or any(module not in home for home in homes):
                    shapes.setdefault(module, set()).add(node.shape)
        return shapes

    def _make_group(self, module: int, ops: dict[str, int], params: int, total: int) -> Group:
        record = self.graph.modules[module]
        run: Run | None = self.run_of.get(module)
        calls = [self.graph.modules[m] for m in run.modules] if run else []
        parent = next((f"m{m}" for m in self._chain(record.parent) if self._is_group(m)), None)
        if not any(m in self.run_of for m in self._chain(record.parent)):
            params = total  # of all copies of the blocks inside; within a repeated block, of the one copy that is drawn
        title, subtitle = labels.group_title(record, total if run else params, calls, run.weights if run else "")
        shapes = self.results.get(module, set())
        lines = labels.closed_lines(
            record, self.ops_in[module], params, next(iter(shapes)) if len(shapes) == 1 else None
        )
        if run:
            lines = (f"▸ {title}", subtitle)
        key = f"m{module}"
        closed = Box(
            key, "module", role_of_module(record.name, ops), lines, parent, tip=f"{record.path} ({record.name})"
        )
        depth = 1 + len(self._groups_around(parent))
        return Group(
            key, parent, depth, record.path or record.name, title, subtitle, closed, len(calls) or 1, record.layer
        )


def _count(counted: dict[tuple[str, str, LinkKind], int], src: str, dst: str, kind: LinkKind, n: int) -> None:
    counted[src, dst, kind] = counted.get((src, dst, kind), 0) + n


def _totals(members: Sequence[Node], inner: int = 0) -> tuple[tuple[int, ...], int, int, int, int]:
    ids = tuple(sorted(node.id for node in members))
    return ids, inner, sum(n.params for n in members), sum(n.flops for n in members), sum(n.nbytes for n in members)


def _with_loop_labels(links: Sequence[Link], runs: Sequence[Run]) -> list[Link]:
    labelled = []
    for link in links:
        if link.kind == "loop":
            n = len(runs[int(link.dst[1:].split(".")[0])].modules)
            link = Link(link.src, link.dst, "loop", 0, f"runs {n} times")
        labelled.append(link)
    return labelled
