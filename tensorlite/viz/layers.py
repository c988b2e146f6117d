"""One level of the layered layout: ranks, order within ranks, and coordinates (Sugiyama, Tagawa and Toda 1981).

Works on numbered items and knows nothing of graphs or text. An edge that spans several ranks runs through waypoints,
which take a place in each rank like any item; that is why edges never cross a box. Edges that leave the same item under
the same key share their waypoints.
"""

from __future__ import annotations

import itertools
import operator
from bisect import bisect_left, insort
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field

ITEM_GAP = 24.0
LANE_GAP = 12.0
_MAX_WAYPOINTS = 20_000
_FAN = 4  # strands from one item that wait for their users; from this many on they go down to them
_STILL = 0.1  # pixels: coordinates that move less have settled
_PATIENCE = 4  # ordering sweeps without an improvement
_SWEEP_BUDGET = 600_000  # segments looked at over all ordering sweeps


@dataclass(frozen=True, slots=True)
class Arc:
    """An edge between two items; `weight` pulls its ends into line, `out` and `into` are offsets from centres."""

    tail: int
    head: int
    key: Hashable
    weight: float = 1.0
    out: float = 0.0
    into: float = 0.0


@dataclass(slots=True)
class Level:
    """Result: rank and centre of each item, order in each rank, the waypoints of each arc (by its position), backward
    arcs.
    """

    rank: list[int]
    x: list[float]
    rows: list[list[int]]
    chain: list[list[int]]
    backward: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Segment:
    lo: int
    hi: int
    weight: float
    out: float
    into: float


def arrange(widths: Sequence[float], arcs: Sequence[Arc], first: Sequence[int], last: Sequence[int]) -> Level:
    """Place items of the given widths; items in `first` get a rank of their own at the top, those in `last` at the
    bottom.
    """
    n = len(widths)
    backward = _backward(n, arcs)
    forward = [i for i in range(len(arcs)) if i not in backward]
    rank = _ranks(n, [arcs[i] for i in forward], first, last)
    chain, segments, size, rank = _waypoints(arcs, forward, rank)
    rows: list[list[int]] = [[] for _ in range(max(rank, default=0) + 1)]
    for item in range(size):
        rows[rank[item]].append(item)
    breadth = [*widths, *([2.0] * (size - n))]
    order(rows, segments, rank, breadth)
    x = coordinates(rows, segments, rank, breadth, n)
    straighten(rows, chain, x, breadth, n)
    return Level(rank, x, rows, chain, sorted(backward))


def _backward(n: int, arcs: Sequence[Arc]) -> set[int]:
    """Arcs that close a cycle in depth-first order."""
    out: list[list[int]] = [[] for _ in range(n)]
    for i, arc in enumerate(arcs):
        out[arc.tail].append(i)
    state = [0] * n  # 0 new, 1 on the path, 2 done
    backward: set[int] = set()
    for start in range(n):
        if state[start]:
            continue
        state[start] = 1
        stack = [(start, 0)]
        while stack:
            item, i = stack.pop()
            if i == len(out[item]):
                state[item] = 2
                continue
            stack.append((item, i + 1))
            number = out[item][i]
            head = arcs[number].head
            if state[head] == 1:
                backward.add(number)
            elif not state[head]:
                state[head] = 1
                stack.append((head, 0))
    return backward


def _ranks(n: int, arcs: Sequence[Arc], first: Sequence[int], last: Sequence[int]) -> list[int]:
    into: list[list[int]] = [[] for _ in range(n)]
    out: list[list[int]] = [[] for _ in range(n)]
    for arc in arcs:
        into[arc.head].append(arc.tail)
        out[arc.tail].append(arc.head)
    pinned = {*first, *last}
    base = 1 if first else 0
    rank = [0 if item in pinned else base for item in range(n)]
    waiting = [len(tails) for tails in into]
    topological = [item for item in range(n) if not waiting[item]]
    for item in topological:
        for head in out[item]:
            rank[head] = max(rank[head], rank[item] + 1)
            waiting[head] -= 1
            if not waiting[head]:
                topological.append(head)
    ends = set(last)
    for item in reversed(topological):  # pull leaves down to their users
        heads = [rank[head] for head in out[item] if head not in ends]
        if item not in pinned and heads and len(set(out[item])) > len(set(into[item])):
            rank[item] = max(rank[item], min(heads) - 1)
    _sink(rank, into, out, topological, pinned)
    bottom = max((rank[item] for item in range(n) if item not in ends), default=-1) + 1
    for item in last:
        rank[item] = bottom
    return rank


def _sink(
    rank: list[int],
    into: Sequence[Sequence[int]],
    out: Sequence[Sequence[int]],
    topological: Sequence[int],
    pinned: Collection[int],
) -> None:
    """Where many strands leave one item and wait for their users, let them wait in its one lane, not in one each."""
    single = {
        item: out[item][0]
        for item in topological
        if item not in pinned and len({*into[item]}) == len({*out[item]}) == 1
        if out[item][0] not in pinned
    }
    lowest: dict[int, int] = {}
    fans: dict[int, list[int]] = {}
    for item in reversed(topological):
        if item not in single:
            continue
        head, tail = single[item], into[item][0]
        lowest[item] = lowest.get(head, rank[head]) - 1
        if tail not in single and lowest[item] > rank[item]:
            fans.setdefault(tail, []).append(item)
    for strands in fans.values():
        for item in strands if len(strands) >= _FAN else ():
            at = item
            while at in lowest:
                rank[at] = lowest[at]
                at = single[at]


def _waypoints(
    arcs: Sequence[Arc], forward: Sequence[int], rank: list[int]
) -> tuple[list[list[int]], list[_Segment], int, list[int]]:
    rank = list(rank)
    budget = _MAX_WAYPOINTS
    lanes: dict[tuple[int, Hashable], list[int]] = {}
    chain: list[list[int]] = [[] for _ in arcs]
    segments: dict[tuple[int, int], _Segment] = {}
    for i in sorted(forward, key=lambda i: (rank[arcs[i].head] - rank[arcs[i].tail], i)):
        arc = arcs[i]
        span = rank[arc.head] - rank[arc.tail]
        lane = lanes.setdefault((arc.tail, arc.key), [])
        if span - 1 - len(lane) > budget:
            continue  # a picture this tangled is not made better by more waypoints
        while len(lane) < span - 1:
            before = lane[-1] if lane else arc.tail
            lane.append(len(rank))
            rank.append(rank[arc.tail] + len(lane))
            budget -= 1
            first = len(lane) == 1
            _join(segments, before, lane[-1], arc.weight * (2 if first else 64), arc.out if first else 0.0, 0.0)
        chain[i] = lane[: span - 1]
        before = chain[i][-1] if chain[i] else arc.tail
        _join(segments, before, arc.head, arc.weight * (2 if chain[i] else 1), 0.0 if chain[i] else arc.out, arc.into)
    return chain, list(segments.values()), len(rank), rank


def _join(segments: dict[tuple[int, int], _Segment], lo: int, hi: int, weight: float, out: float, into: float) -> None:
    old = segments.get((lo, hi))
    segments[lo, hi] = _Segment(lo, hi, max(weight, old.weight if old else 0.0), out, into)


# -- order within ranks -----------------------------------------------------------------------------------------------


def order(rows: list[list[int]], segments: Sequence[_Segment], rank: Sequence[int], breadth: Sequence[float]) -> None:
    """Sort each row by the mean position of its neighbours, up and down; keep the order with the fewest crossings."""
    above: dict[int, list[tuple[int, float]]] = {}
    below: dict[int, list[tuple[int, float]]] = {}
    for s in segments:
        above.setdefault(s.hi, []).append((s.lo, s.out / (breadth[s.lo] + 1)))
        below.setdefault(s.lo, []).append((s.hi, s.into / (breadth[s.hi] + 1)))
    sweeps = max(2, min(16, _SWEEP_BUDGET // (len(segments) + 1)))
    best, best_rows = crossings(rows, segments, rank), [row[:] for row in rows]
    patience = _PATIENCE
    for sweep in range(sweeps):
        if not best or not patience:
            break
        patience -= 1
        near, sequence = (above, range(1, len(rows))) if sweep % 2 == 0 else (below, range(len(rows) - 2, -1, -1))
        position = {item: float(i) for row in rows for i, item in enumerate(row)}
        for r in sequence:
            row = rows[r]
            wish = {
                item: sum(position[other] + shift for other, shift in near[item]) / len(near[item])
                if item in near
                else position[item]
                for item in row
            }
            row.sort(key=wish.__getitem__)
            for i, item in enumerate(row):
                position[item] = float(i)
        count = crossings(rows, segments, rank)
        if count < best:
            best, best_rows, patience = count, [row[:] for row in rows], _PATIENCE
    rows[:] = best_rows


def crossings(rows: Sequence[Sequence[int]], segments: Sequence[_Segment], rank: Sequence[int]) -> int:
    position = {item: i for row in rows for i, item in enumerate(row)}
    by_rank: list[list[tuple[float, float]]] = [[] for _ in rows]
    for s in segments:
        by_rank[rank[s.lo]].append((position[s.lo] + s.out * 1e-4, position[s.hi] + s.into * 1e-4))
    total = 0
    for pairs in by_rank:
        pairs.sort()
        seen: list[float] = []
        for _, hi in pairs:
            total += len(seen) - bisect_left(seen, hi + 1e-9)
            insort(seen, hi)
    return total


# -- coordinates ------------------------------------------------------------------------------------------------------


def coordinates(
    rows: Sequence[Sequence[int]], segments: Sequence[_Segment], rank: Sequence[int], breadth: Sequence[float], n: int
) -> list[float]:
    """Centres that keep each row's order and gaps and pull the ends of every segment into line."""
    above: list[list[tuple[int, float, float]]] = [[] for _ in rank]
    below: list[list[tuple[int, float, float]]] = [[] for _ in rank]
    for s in segments:
        shift = s.out - s.into  # hi wants to sit at lo + shift
        above[s.hi].append((s.lo, shift, s.weight))
        below[s.lo].append((s.hi, -shift, s.weight))
    gaps = [_gaps(row, breadth, n) for row in rows]
    x = [0.0] * len(rank)
    for row, gap in zip(rows, gaps, strict=True):
        at = -sum(gap) / 2
        for i, item in enumerate(row):
            at += gap[i - 1] if i else 0.0
            x[item] = at
    rounds = 8 if len(rank) < 4000 else 3
    down, up = range(len(rows)), range(len(rows) - 1, -1, -1)
    for both, steps in ((False, 2 * rounds), (True, 2 * rounds), (False, 3)):
        before: dict[bool, list[float]] = {}
        for step in range(steps):
            downwards = step % 2 == 0
            near, far = (above, below) if downwards else (below, above)
            for r in down if downwards else up:
                _settle(rows[r], gaps[r], x, near, far, both, n)
            old, before[downwards] = before.get(downwards), x[:]
            if old is not None and max(map(abs, map(operator.sub, x, old)), default=0.0) < _STILL:
                break
    return x


def _gaps(row: Sequence[int], breadth: Sequence[float], n: int) -> list[float]:
    """Least distances between neighbouring centres."""
    return [_least(a, b, breadth, n) for a, b in itertools.pairwise(row)]


def _settle(
    row: Sequence[int],
    gaps: Sequence[float],
    x: list[float],
    near: Sequence[Sequence[tuple[int, float, float]]],
    far: Sequence[Sequence[tuple[int, float, float]]],
    both: bool,
    n: int,
) -> None:
    """Least-squares positions under the order: pool adjacent violators (isotonic regression)."""
    blocks: list[list[float]] = []  # weight, weighted sum of wishes, number of items
    offset = 0.0
    offsets = []
    for i, item in enumerate(row):
        offset += gaps[i - 1] if i else 0.0
        offsets.append(offset)
        weight, wish = 1e-6, 1e-6 * x[item]
        for at, shift, pull in near[item]:
            weight += pull
            wish += pull * (x[at] + shift)
        if item >= n or both:  # a waypoint always looks both ways, so that long edges stay straight
            for at, shift, pull in far[item]:
                weight += pull
                wish += pull * (x[at] + shift)
        blocks.append([weight, wish - weight * offset, 1])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][0] > blocks[-1][1] * blocks[-2][0]:
            weight, wish, size = blocks.pop()
            blocks[-1][0] += weight
            blocks[-1][1] += wish
            blocks[-1][2] += size
    i = 0
    for weight, wish, size in blocks:
        for _ in range(int(size)):
            x[row[i]] = wish / weight + offsets[i]
            i += 1


def straighten(
    rows: Sequence[Sequence[int]], chain: Sequence[Sequence[int]], x: list[float], breadth: Sequence[float], n: int
) -> None:
    """Put the waypoints of each lane on as few vertical lines as its neighbours leave room for."""
    left: dict[int, int] = {}
    right: dict[int, int] = {}
    for row in rows:
        for a, b in itertools.pairwise(row):
            right[a], left[b] = b, a
    longest: dict[int, Sequence[int]] = {}
    for lane in chain:
        if lane and len(lane) > len(longest.get(lane[0], ())):
            longest[lane[0]] = lane
    for lane in longest.values():
        piece: list[int] = []
        low, high = -float("inf"), float("inf")
        for point in [*lane, -1]:
            if point >= 0:
                lo = x[left[point]] + _least(left[point], point, breadth, n) if point in left else -float("inf")
                hi = x[right[point]] - _least(point, right[point], breadth, n) if point in right else float("inf")
                if max(low, lo) <= min(high, hi):
                    low, high = max(low, lo), min(high, hi)
                    piece.append(point)
                    continue
            if piece:
                middle = sorted(x[p] for p in piece)[len(piece) // 2]
                for p in piece:
                    x[p] = min(max(middle, low), high)
            piece, low, high = ([point], lo, hi) if point >= 0 else ([], 0.0, 0.0)


def _least(a: int, b: int, breadth: Sequence[float], n: int) -> float:
    return (breadth[a] + breadth[b]) / 2 + (ITEM_GAP if a < n and b < n else LANE_GAP)
