"""A recording of ops while they run: values, module calls, source lines, and copies to run it all again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..autograd import grad as _grad
from ..autograd.graph import Variable, wrap
from ..autograd.mode import no_grad
from ..autograd.record import compute, observers
from ..ops.flops import flops
from ..ops.table import OPS
from .ir import Edge, Graph, Kind, Module, Node, Summary, mark_skips
from .observed import MAX_ATTR, arrays, attributes, call_again, caller, flatten, owner, place, same, version

_LAYERS = __name__.rsplit(".", 2)[0] + ".nn"


@dataclass(slots=True)
class _Ref:
    """An operand in a recorded call: output `out` of a node."""

    node: int
    out: int = 0


@dataclass(slots=True)
class _Step:
    """What it takes to run a node again."""

    run: (
        Callable[[list[Any]], tuple[Any, ...]] | None
    )  # None: what changed the value was not an op; it is taken as recorded
    args: Any
    result: Any


@dataclass
class Tape:
    """A recording of ops; see `record`."""

    keep: bool = True
    timed: bool = False
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._at: dict[int, tuple[int, int, int]] = {}  # id of a tensor -> node, output, version
        self._made: dict[tuple[int, int], _Ref] = {}  # (id of an autograd node, output) -> node
        self._memory: dict[tuple[Any, ...], _Ref] = {}
        self._writers: dict[int, int] = {}  # owner of memory -> the last op on it, which may have written there
        self._alive: list[Any] = []
        self._tensors: dict[int, Any] = {}
        self._names: dict[int, tuple[Kind, str]] = {}
        self._arrays: dict[int, str] = {}  # address of an array among the inputs -> name
        self._steps: dict[int, _Step] = {}
        self._leaves: dict[int, Any] = {}
        self._scope: list[int] = []
        self._calls: dict[str, int] = {}
        self._clock = 0.0
        self._thread = 0

    # -- names --------------------------------------------------------------------------------------------------------

    def name_inputs(self, args: Sequence[Any], kwargs: Mapping[str, Any], parameters: Sequence[str] = ()) -> None:
        named = [(parameters[i] if i < len(parameters) else f"input {i}", arg) for i, arg in enumerate(args)]
        for key, value in [*named, *kwargs.items()]:
            for name, array in arrays(key, value):
                self._arrays.setdefault(array.__array_interface__["data"][0], name)
                self._alive.append(array)
            tensors = flatten(value)
            for i, tensor in enumerate(tensors):
                if id(tensor) in self._names:
                    continue
                self._name(tensor, "input", key if len(tensors) == 1 else f"{key}[{i}]")

    def name_leaves(self, names: Mapping[str, Any]) -> None:
        for key, tensor in names.items():
            kind = self._names.get(id(tensor), ("param" if tensor.requires_grad else "buffer", ""))[0]
            self._name(tensor, kind, key)

    def _name(self, tensor: Any, kind: Kind, name: str) -> None:
        self._names[id(tensor)] = (kind, name)
        self._alive.append(tensor)

    # -- listening ----------------------------------------------------------------------------------------------------

    @contextmanager
    def listening(self, module: Any = None) -> Iterator[None]:
        handles = self._hook(module) if module is not None else []
        self._thread = threading.get_ident()  # ops of other threads (a data loader) are not ours
        observers.append(self._observe)
        self._clock = time.perf_counter()
        try:
            yield
        finally:
            observers.remove(self._observe)
            for handle in handles:
                handle.remove()

    def _hook(self, module: Any) -> list[Any]:
        for name, param in module.named_parameters():
            self._name(param, "param", name)
        for name, buffer in module.named_buffers():
            self._name(buffer, "buffer", name)
        handles = []
        for path, child in module.named_modules():
            handles.append(child.register_forward_pre_hook(self._entered(path, child)))
            handles.append(child.register_forward_hook(self._left))
        return handles

    def _entered(self, path: str, module: Any) -> Callable[..., None]:
        detail = str(module.extra_repr()) if hasattr(module, "extra_repr") else ""
        children = any(True for _ in module.children())

        def enter(*_: Any) -> None:
            call = self._calls.get(path, 0)
            self._calls[path] = call + 1
            parent = self._scope[-1] if self._scope else None
            shown = detail if children or len(detail) <= MAX_ATTR else ""
            layer = not children and type(module).__module__.startswith(_LAYERS)
            self.modules.append(Module(len(self.modules), path, type(module).__name__, call, parent, shown, layer))
            self._scope.append(len(self.modules) - 1)

        return enter

    def _left(self, *_: Any) -> None:
        self._scope.pop()

    def _observe(self, op: Any, args: tuple[Any, ...], result: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        now = time.perf_counter()
        operands: list[tuple[_Ref, int]] = []
        packed = tuple(self._pack(arg, op, i, operands) for i, arg in enumerate(args))
        outputs = (result,) if isinstance(result, Variable) else tuple(t for t in result if isinstance(t, Variable))
        if not outputs:
            return
        first = outputs[0]
        shapes = [self.nodes[ref.node].shape for ref, _ in operands]
        node = self._add(
            op.name,
            "op",
            first._data,
            attrs=attributes(op, args),
            flops=flops(op.name, shapes, first._data.shape),
            nbytes=sum(t._data.nbytes for t in outputs),
            module=self._scope[-1] if self._scope else None,
            source=caller(),
            seconds=now - self._clock if self.timed else None,
        )
        for slot, (ref, _) in enumerate(operands):
            self.edges.append(Edge(ref.node, node, slot, is_view=bool(op.view) and slot == 0))
        for out, tensor in enumerate(outputs):
            self._remember(tensor, node, out)
        if args and isinstance(args[0], Variable):
            self._writers[owner(args[0])] = node
        if self.keep:
            kept = tuple(t._data.copy() for t in outputs)
            self._steps[node] = _Step(_runner(op, outputs), packed, kept)
        self._clock = time.perf_counter()

    def _pack(self, arg: Any, op: Any, position: int, operands: list[tuple[_Ref, int]]) -> Any:
        """`arg` with every tensor replaced by a reference, and the references collected in order."""
        if isinstance(arg, Variable):
            ref = self._find(arg)
        elif isinstance(arg, np.ndarray):
            ref = _Ref(self._leaf("const", "", arg))
        elif isinstance(arg, int | float | complex) and op.promote and position in op.over and arg is not None:
            ref = _Ref(self._leaf("const", "", np.asarray(arg)))
            operands.append((ref, position))
            return arg
        elif isinstance(arg, tuple | list):
            packed = [self._pack(entry, op, -1, operands) for entry in arg]
            return tuple(packed) if type(arg) is tuple else packed if type(arg) is list else arg
        else:
            return arg
        operands.append((ref, position))
        return ref

    def _find(self, tensor: Any) -> _Ref:
        made = tensor._node
        if made is not None and (id(made), tensor._out) in self._made:
            ref = self._made[id(made), tensor._out]
            self._at[id(tensor)] = (ref.node, ref.out, version(tensor))
            return ref
        known = self._at.get(id(tensor))
        if known is not None and known[2] == version(tensor):
            return _Ref(known[0], known[1])
        if known is not None:
            return self._changed(tensor, known[0])
        alias = self._memory.get(place(tensor))
        if alias is not None and id(tensor) not in self._names:
            return self._alias(tensor, alias)
        given = self._arrays.get(tensor._data.__array_interface__["data"][0]) if tensor._data.size else None
        unnamed: tuple[Kind, str] = ("param", "") if tensor.requires_grad else ("const", "")
        kind, name = self._names.get(id(tensor), unnamed if given is None else ("input", given))
        node = self._leaf(kind, name, tensor._data, tensor)
        self._remember(tensor, node, 0)
        return _Ref(node)

    def _changed(self, tensor: Any, before: int) -> _Ref:
        """A known tensor whose memory was changed in place: the result of the op that did it, else a node that says so."""
        writer = self._writers.get(owner(tensor))
        written = None if writer is None else self._tensors[writer]._data
        if writer is not None and written is not None and same(written, tensor._data):
            self._remember(tensor, writer, 0)
            return _Ref(writer)
        module = self._scope[-1] if self._scope else None
        node = self._add("in place", "op", tensor._data, module=module, source=caller())
        sources = [before] if writer is None or writer <= before else [before, writer]
        self.edges += [Edge(src, node, slot) for slot, src in enumerate(sources)]
        self._remember(tensor, node, 0)
        if self.keep:  # what happened in between was not an op, so there is nothing to run again
            self._steps[node] = _Step(None, (), (tensor._data.copy(),))
        return _Ref(node)

    def _alias(self, tensor: Any, origin: _Ref) -> _Ref:
        """A tensor over the memory of a known one, made without an op: `detach`."""
        module = self._scope[-1] if self._scope else None
        node = self._add("detach", "op", tensor._data, module=module, source=caller())
        self.edges.append(Edge(origin.node, node, 0, is_view=True))
        self._remember(tensor, node, 0)
        if self.keep:
            self._steps[node] = _Step(tuple, (origin,), (tensor._data.copy(),))
        return _Ref(node)

    def _remember(self, tensor: Any, node: int, out: int) -> None:
        self._at[id(tensor)] = (node, out, version(tensor))
        self._memory[place(tensor)] = _Ref(node, out)
        self._alive.append(tensor)
        if out == 0:
            self._tensors[node] = tensor
        if tensor._node is not None:
            self._made[id(tensor._node), tensor._out] = _Ref(node, out)
            self._alive.append(tensor._node)

    def _leaf(self, kind: Kind, name: str, data: Any, tensor: Any = None) -> int:
        gradient = None if tensor is None or tensor._grad is None else Summary.of(tensor._grad._data)
        frozen = kind == "param" and tensor is not None and not tensor.requires_grad
        node = self._add(
            kind,
            kind,
            data,
            name=name,
            nbytes=data.nbytes,
            params=data.size if kind == "param" else 0,
            attrs=(("frozen", "yes"),) if frozen else (),
            grad=gradient,
        )
        if self.keep:
            self._leaves[node] = data.copy()
        return node

    def _add(self, op: str, kind: Kind, data: Any, **fields: Any) -> int:
        node = Node(
            len(self.nodes), op, kind, shape=data.shape, dtype=str(data.dtype), value=Summary.of(data), **fields
        )
        self.nodes.append(node)
        return node.id

    # -- the graph ----------------------------------------------------------------------------------------------------

    def graph(self, outputs: Any, *, name: str = "graph", backward: bool = False) -> Graph:
        """The part of the recording that `outputs` depend on, and every input."""
        refs = [self._find(tensor) for tensor in flatten(outputs)]
        ends = [ref.node for ref in refs]
        if not ends:
            raise TypeError(f"the outputs hold no tensor: got {type(outputs).__name__}")
        if backward:
            self._backward(flatten(outputs))
        keep = self._needed(ends)
        number = {old: new for new, old in enumerate(keep)}
        nodes = [replace(self.nodes[old], id=number[old]) for old in keep]
        edges = [replace(e, src=number[e.src], dst=number[e.dst]) for e in self.edges if e.dst in number]
        unique = tuple(dict.fromkeys(number[end] for end in ends))
        replay = (lambda: self._replay(keep, number)) if self.keep else None
        return Graph(name, tuple(nodes), mark_skips(nodes, edges), tuple(self.modules), unique, replay)

    def _needed(self, ends: Sequence[int]) -> list[int]:
        parents: dict[int, list[int]] = {}
        for edge in self.edges:
            parents.setdefault(edge.dst, []).append(edge.src)
        seen = {node.id for node in self.nodes if node.kind == "input"} | set(ends)
        stack = list(ends)
        while stack:
            for src in parents.get(stack.pop(), ()):
                if src not in seen:
                    seen.add(src)
                    stack.append(src)
        return sorted(seen)

    def _backward(self, outputs: Sequence[Any]) -> None:
        roots = [t for t in outputs if t.requires_grad]
        wanted = {node: t for node, t in self._tensors.items() if t.requires_grad}
        if not roots or not wanted:
            return
        seeds = [type(t)(np.ones_like(t._data)) for t in roots]
        grads = _grad(roots, list(wanted.values()), grad_outputs=seeds, retain_graph=True, allow_unused=True)
        for node, gradient in zip(wanted, grads, strict=True):
            if gradient is not None:
                self.nodes[node] = replace(self.nodes[node], grad=Summary.of(gradient._data))

    def _replay(self, keep: Sequence[int], number: Mapping[int, int]) -> list[tuple[int, Any, Any]]:
        """(node, replayed, recorded) for every result of every op, each run on the replayed results of its drawn operands; replayed is
        None where there is nothing to run again.
        """
        results: dict[int, tuple[Any, ...]] = {}
        compared = []
        for old in keep:
            step = self._steps.get(old)
            if step is None:
                results[old] = (self._leaves[old],)
                continue
            if step.run is None:
                results[old] = step.result
            else:
                results[old] = step.run([_unpack(arg, results) for arg in step.args])
            for replayed, recorded in zip(results[old], step.result, strict=True):
                compared.append((number[old], None if step.run is None else replayed, recorded))
        return compared


def _runner(op: Any, outputs: Sequence[Any]) -> Callable[[list[Any]], tuple[Any, ...]] | None:
    """How to compute the arrays of `outputs` again from those of the operands; None where that is not known."""
    known = OPS.get(op.name)
    if known is not None and known is op:

        def run(values: list[Any]) -> tuple[Any, ...]:
            out, _ = compute(known, values)
            return tuple(out) if isinstance(out, tuple | list) else (np.asarray(out),)

        return run
    function = call_again(op, outputs)
    if function is None:
        return None

    def run_function(values: list[Any]) -> tuple[Any, ...]:
        with no_grad():  # on copies: a Function may write into its inputs
            return tuple(t._data for t in flatten(function(*[wrap(np.array(v)) for v in values])))

    return run_function


def _unpack(arg: Any, results: Mapping[int, tuple[Any, ...]]) -> Any:
    if isinstance(arg, _Ref):
        return results[arg.node][arg.out]
    if type(arg) in {tuple, list}:
        return type(arg)(_unpack(entry, results) for entry in arg)
    return arg
