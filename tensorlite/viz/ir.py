"""The graph that is drawn: nodes, edges and module calls as frozen records.

A `Graph` is plain data. It knows nothing of tensors, of layout or of colours; tracers make it, renderers read it. Node
ids are topological numbers (every edge goes from a smaller to a larger id), so the same program gives the same graph,
byte for byte.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    pass

SCHEMA = "tensorlite.graph/1"

Kind = Literal["op", "input", "param", "buffer", "const"]
KINDS: tuple[str, ...] = get_args(Kind)
FLOATING: frozenset[str] = frozenset({"param", "buffer", "const"})  # leaves that live wherever they are used


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics of one array; moments are taken over its finite entries."""

    minimum: float
    mean: float
    maximum: float
    std: float
    norm: float
    nan: int
    inf: int
    zero: int
    size: int

    @classmethod
    def of(cls, array: Any) -> Summary:
        values = np.asarray(array)
        if values.dtype.kind not in "biuf":
            values = np.abs(values)
        values = values.astype(np.float64, copy=False)
        finite = values[np.isfinite(values)]
        nan = int(np.isnan(values).sum())
        inf = values.size - finite.size - nan
        zero = int(values.size - np.count_nonzero(values))
        if not finite.size:
            return cls(math.nan, math.nan, math.nan, math.nan, math.nan, nan, inf, zero, values.size)
        with np.errstate(over="ignore", invalid="ignore"):  # float64 statistics of values near the largest double
            moments = (finite.min(), finite.mean(), finite.max(), finite.std(), np.sqrt(np.square(finite).sum()))
        low, mean, high, std, norm = (float(m) for m in moments)
        return cls(low, mean, high, std, norm, nan, inf, zero, values.size)


@dataclass(frozen=True, slots=True)
class Node:
    """One value: the result of an op, or a leaf (input, parameter, buffer, constant)."""

    id: int
    op: str
    kind: Kind = "op"
    name: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    module: int | None = None  # the innermost module call that made it; None is the top level
    source: str = ""  # "file.py:12 forward"
    nbytes: int = 0
    flops: int = 0
    params: int = 0  # number of trainable entries, for kind "param"
    attrs: tuple[tuple[str, str], ...] = ()
    version: int = 0
    seconds: float | None = None
    value: Summary | None = None
    grad: Summary | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """`src` is operand number `slot` of `dst`."""

    src: int
    dst: int
    slot: int = 0
    is_skip: bool = False  # a residual: the other operand of an addition also depends on `src`
    is_view: bool = False  # the result shares memory with this operand


@dataclass(frozen=True, slots=True)
class Module:
    """One call of a module; a module called twice has two records, with `call` 0 and 1."""

    id: int
    path: str
    name: str
    call: int = 0
    parent: int | None = None
    detail: str = ""
    layer: bool = False  # a layer of the library without modules inside: known by its name, so closed unless asked for


class Verified(int):
    """How many ops `Graph.verify` compared. `taken` names the values that it could only take as recorded."""

    taken: tuple[str, ...]

    def __new__(cls, compared: int, taken: tuple[str, ...] = ()) -> Verified:
        self = super().__new__(cls, compared)
        self.taken = taken
        return self

    def __repr__(self) -> str:
        ops = f"{int(self)} op{'' if self == 1 else 's'} replayed, with the recorded results"
        return ops + (f"; taken as recorded: {', '.join(self.taken)}" if self.taken else "")


@dataclass(frozen=True)
class Graph:
    """A computation graph with its module calls.

    Raises `ValueError` when ids are not 0..n-1, an edge does not go to a larger id, or a module comes before its
    parent.
    """

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    modules: tuple[Module, ...] = ()
    outputs: tuple[int, ...] = ()
    replay: Callable[[], Sequence[tuple[int, Any, Any]]] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        n = len(self.nodes)
        for position, node in enumerate(self.nodes):
            if node.id != position:
                raise ValueError(f"node ids must be 0..{n - 1} in order: got {node.id} at position {position}")
            if node.kind not in KINDS:
                raise ValueError(f"node {node.id}: kind must be one of {KINDS}, got {node.kind!r}")
            if node.module is not None and not 0 <= node.module < len(self.modules):
                raise ValueError(f"node {node.id}: module {node.module} does not exist ({len(self.modules)} modules)")
        for edge in self.edges:
            if not 0 <= edge.src < edge.dst < n:
                raise ValueError(
                    f"an edge must go from a smaller to a larger node id below {n}: got {edge.src} -> {edge.dst}"
                )
        for position, module in enumerate(self.modules):
            if module.id != position or (module.parent is not None and not 0 <= module.parent < position):
                raise ValueError(f"modules must be numbered in order, parents first: got {module}")
        if any(not 0 <= out < n for out in self.outputs):
            raise ValueError(f"outputs must be node ids below {n}: got {self.outputs}")

    # -- reading ------------------------------------------------------------------------------------------------------

    @cached_property
    def operands(self) -> tuple[tuple[Edge, ...], ...]:
        """Edges into each node, by slot."""
        into: list[list[Edge]] = [[] for _ in self.nodes]
        for edge in self.edges:
            into[edge.dst].append(edge)
        return tuple(tuple(sorted(edges, key=lambda e: (e.slot, e.src))) for edges in into)

    @cached_property
    def consumers(self) -> tuple[tuple[Edge, ...], ...]:
        """Edges out of each node, in order of their target."""
        out: list[list[Edge]] = [[] for _ in self.nodes]
        for edge in self.edges:
            out[edge.src].append(edge)
        return tuple(tuple(sorted(edges, key=lambda e: (e.dst, e.slot))) for edges in out)

    @property
    def params(self) -> int:
        """Number of trainable entries; a shared parameter counts once."""
        return sum(node.params for node in self.nodes)

    @property
    def flops(self) -> int:
        """Floating-point operations of one forward pass."""
        return sum(node.flops for node in self.nodes)

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return sum(node.nbytes for node in self.nodes)

    def describe(self) -> str:
        """The graph in sentences, for screen readers and for `<desc>`."""
        from .text import describe

        return describe(self)

    def verify(self, rtol: float = 0.0, atol: float = 0.0) -> Verified:
        """Replay every drawn op on its drawn operands and compare with the recorded results; say how many were.

        Functions of the user are called again. A value that was written by something other than an op (a buffer through
        NumPy) is taken as recorded, and named in the result. Raises `ValueError` when the graph holds no recording (it
        was loaded from JSON, or walked back from an output), `AssertionError` naming the first node whose replay
        differs.
        """
        if self.replay is None:
            raise ValueError(
                "this graph holds no recording to replay: make it with tensorlite.viz.graph(module, *inputs), which "
                "listens while the ops run (not from an output tensor, from JSON, or with record=False)"
            )
        compared: set[int] = set()
        taken: list[Node] = []
        for node_id, replayed, recorded in self.replay():
            if replayed is None:
                taken.append(self.nodes[node_id])
                continue
            node = self.nodes[node_id]
            if replayed.shape != recorded.shape:
                raise AssertionError(f"node {node_id} ({node.op}): replay gives {replayed.shape}, not {recorded.shape}")
            if not np.allclose(replayed, recorded, rtol=rtol, atol=atol, equal_nan=True):
                gap = float(np.nanmax(np.abs(np.asarray(replayed, float) - np.asarray(recorded, float))))
                raise AssertionError(
                    f"node {node_id} ({node.op} {node.shape}): replay differs from the recording by {gap:.3g}"
                )
            compared.add(node_id)
        return Verified(
            len(compared), tuple(f"{n.op} (node {n.id}{', ' if n.source else ''}{n.source})" for n in taken)
        )

    # -- data ---------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe dictionary; fields at their default are left out, non-finite numbers are strings."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "nodes": [_pack(node) for node in self.nodes],
            "edges": [_pack(edge) for edge in self.edges],
            "modules": [_pack(module) for module in self.modules],
            "outputs": list(self.outputs),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Graph:
        """Inverse of `to_dict`. Raises `ValueError` for another schema or a malformed graph."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"expected schema {SCHEMA!r}, got {data.get('schema')!r}")
        return cls(
            name=data["name"],
            nodes=tuple(_node(entry) for entry in data["nodes"]),
            edges=tuple(Edge(**entry) for entry in data["edges"]),
            modules=tuple(Module(**entry) for entry in data["modules"]),
            outputs=tuple(data["outputs"]),
        )

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def to_model_explorer(self) -> dict[str, Any]:
        """The graph in the JSON layout of Google's Model Explorer."""
        from .export import model_explorer

        return model_explorer(self)

    # -- pictures (each imports its renderer when called) --------------------------------------------------------------

    def svg(self, **options: Any) -> str:
        """SVG, for readers with light and dark screens. Every picture takes these options:

        Args:
            collapse: "auto" (at most `max_visible` boxes), "none", "max", or a function of a `Module` that is true for
                those to close.
            depth: open this many levels of modules instead.
            open: paths of modules to open, with everything around them.
            max_visible: how many boxes "auto" shows at most (40).
            fold_repeats: draw equal blocks once (True).
            show_params: parameters as boxes of their own (default: where all values are scalars).
            color_by: "grad_norm", "flops", "bytes", "time", "nan" or "dead": a number on each box, and a bar.
            direction: "forward", or "backward" for the arrows of the gradients.
            theme: "auto" (the reader's), "light" or "dark"; of .svg, .html and .png.
            engine: "auto", "dot", "pygraphviz", "wasi" or "builtin", for .svg and .png: what computes the layout.
        """
        from .render import svg

        return svg(self, **options)

    def html(self, **options: Any) -> str:
        """A page of its own in which modules open and close; the options of `svg` but `engine`."""
        from .render import html

        return html(self, **options)

    def dot(self, **options: Any) -> str:
        """DOT for Graphviz; the options of `svg` but `theme` and `engine`."""
        from .render import dot

        return dot(self, **options)

    def mermaid(self, **options: Any) -> str:
        """A Mermaid flowchart; the options of `svg` but `theme` and `engine`."""
        from .render import mermaid

        return mermaid(self, **options)

    def text(self, **options: Any) -> str:
        """An indented tree for terminals; the options of `svg` but `theme` and `engine`."""
        from .render import text

        return text(self, **options)

    def save(self, path: Any, **options: Any) -> Any:
        """Write the picture; the suffix chooses the format (.svg .html .png .pdf .dot .mmd .json .txt).

        The options are those of `svg`; `scale` sets the pixels of a .png. A .json holds the whole graph and takes none.
        Raises `ValueError` for another suffix, `RuntimeError` naming what to install where a converter is missing.
        """
        from .render import save

        return save(self, path, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from .render import mimebundle

        return mimebundle(self)


def mark_skips(nodes: Sequence[Node], edges: Iterable[Edge], window: int = 2000) -> tuple[Edge, ...]:
    """Set `is_skip` on residual edges: operands of an addition (or concatenation) that another operand depends on.

    The search behind each addition looks at `window` nodes at most, so a million-node chain stays linear.
    """
    edges = tuple(edges)
    parents: dict[int, list[int]] = {}
    for edge in edges:
        parents.setdefault(edge.dst, []).append(edge.src)
    return tuple(
        Edge(e.src, e.dst, e.slot, True, e.is_view)
        if _joins(nodes[e.dst])
        and nodes[e.src].kind not in FLOATING
        and nodes[e.src].op not in _PARTS  # one of several results: the other operand may come from another one
        and _is_bypass(e, parents, window)
        else e
        for e in edges
    )


_PARTS = frozenset({"unbind", "split", "split_with_sizes", "chunk", "tensor_split"})


def _joins(node: Node) -> bool:
    return node.op in {"add", "add_", "cat", "concat", "concatenate"}


def _is_bypass(edge: Edge, parents: Mapping[int, list[int]], window: int) -> bool:
    others = [src for src in parents[edge.dst] if src != edge.src]
    seen: set[int] = set()
    stack = [src for src in others if src > edge.src]
    while stack and len(seen) < window:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        for src in parents.get(current, ()):
            if src == edge.src:
                return True
            if src > edge.src:
                stack.append(src)
    return False


_DEFAULTS: dict[type, dict[str, Any]] = {
    cls: {name: f.default for name, f in cls.__dataclass_fields__.items()} for cls in (Node, Edge, Module)
}


def _pack(record: Node | Edge | Module) -> dict[str, Any]:
    defaults = _DEFAULTS[type(record)]
    packed = {name: value for name, value in asdict(record).items() if value != defaults[name]}
    for name in ("value", "grad"):
        if name in packed:
            packed[name] = {k: v if math.isfinite(v) else str(v) for k, v in packed[name].items()}
    if packed.get("seconds") is not None and not math.isfinite(packed["seconds"]):
        packed["seconds"] = str(packed["seconds"])
    return {name: _plain(value) for name, value in packed.items()}


def _plain(value: Any) -> Any:
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def _number(value: float | str) -> float:
    """A number that JSON may hold as a word; NaN is the one that `Summary.of` gives, so that equal graphs compare equal."""
    return math.nan if value == "nan" else float(value) if isinstance(value, str) else value


def _node(entry: Mapping[str, Any]) -> Node:
    fields = dict(entry)
    fields["shape"] = tuple(fields.get("shape", ()))
    fields["attrs"] = tuple((str(k), str(v)) for k, v in fields.get("attrs", ()))
    for name in ("value", "grad"):
        if fields.get(name) is not None:
            numbers: dict[str, Any] = {k: _number(v) for k, v in fields[name].items()}
            fields[name] = Summary(**numbers)
    if isinstance(fields.get("seconds"), str):
        fields["seconds"] = float(fields["seconds"])
    return Node(**fields)
