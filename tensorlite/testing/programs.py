"""Random programs: expression graphs over the op table, valid by construction, every sink an output.

A program grows op by op. Each op draws its arguments from its own spec, but where the spec asks for a shape or an array it is handed one
that the program has computed already, so ops feed each other. Values are known while it grows; a step that overflows is not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from ..autograd.record import apply
from ..ops.table import OPS
from .backends import TENSORLITE, Torch, tensors_in
from .checking import gradcheck
from .report import Blame, GradReport
from .source import RandomSource, Shape, Source
from .specs import OpSpec, all_specs, format_call, spec_of

LARGEST = 1e3


@dataclass(frozen=True)
class Ref:
    """A value of a program: leaf `number`, or output `slot` of step `number`."""

    leaf: bool
    number: int
    slot: int = 0


@dataclass(frozen=True)
class Step:
    """One op with its arguments: references, lists of references, and constants."""

    op: str
    args: tuple[Any, ...]
    count: int = 0  # outputs of an op with several; 0 for an op with one

    def refs(self) -> list[Ref]:
        return [r for a in self.args for r in (a if isinstance(a, list) else [a]) if isinstance(r, Ref)]

    def replace(self, change: Callable[[Ref], Ref]) -> Step:
        def new(a: Any) -> Any:
            return change(a) if isinstance(a, Ref) else [new(x) for x in a] if isinstance(a, list) else a

        return Step(self.op, tuple(new(a) for a in self.args), self.count)


@dataclass
class Program:
    """Leaves (float64 arrays) and steps; `seed` draws the cotangents."""

    leaves: list[Any]
    steps: list[Step]
    seed: int = 0
    values: list[Any] = field(default_factory=list)  # of each step while it grows

    # -- structure ----------------------------------------------------------------------------------------------------

    def outputs(self) -> list[Ref]:
        """The values that no step uses."""
        used = {r for s in self.steps for r in s.refs()}
        found = [Ref(True, i) for i in range(len(self.leaves))]
        for i, s in enumerate(self.steps):
            found += [Ref(False, i, k) for k in range(s.count or 1)]
        return [r for r in found if r not in used and not (r.leaf and self.steps)]

    def function(self) -> Callable[..., Any]:
        """The program as a function of its leaves that returns all outputs."""
        outputs = self.outputs()

        def run(*leaves: Any) -> Any:
            results = self._execute(leaves, lambda step, args: apply(OPS[step.op], tuple(args)))
            return [_value(r, leaves, results) for r in outputs]

        return run

    def _execute(self, leaves: Sequence[Any], call: Callable[[Step, list[Any]], Any]) -> list[Any]:
        results: list[Any] = []
        for step in self.steps:
            args = [
                [_value(r, leaves, results) for r in a]
                if isinstance(a, list)
                else _value(a, leaves, results)
                if isinstance(a, Ref)
                else a
                for a in step.args
            ]
            results.append(call(step, args))
        return results

    # -- running ------------------------------------------------------------------------------------------------------

    def run(self, backend: str = "tensorlite") -> tuple[list[Any], list[Any]]:
        """(outputs, gradient of each leaf or None) as arrays, in "tensorlite" or "torch"; the cotangents are drawn from `seed`.

        Raises LookupError for an op that torch does not have.
        """
        library, f = self._in(backend)
        leaves = [library.leaf(x) for x in self.leaves]
        floats = [o for o in tensors_in(f(*leaves), library) if library.array(o).dtype.kind == "f"]
        recorded = [
            (o, v) for o, v in zip(floats, self.cotangents([library.array(o).shape for o in floats]), strict=True)
        ]
        recorded = [(o, v) for o, v in recorded if library.needs_grad(o)]
        if not recorded:
            return [library.array(o) for o in floats], [None] * len(leaves)
        grads = library.gradients([o for o, _ in recorded], leaves, [library.leaf(v, False) for _, v in recorded])
        return [library.array(o) for o in floats], [None if g is None else library.array(g) for g in grads]

    def cotangents(self, shapes: Iterable[Shape]) -> list[Any]:
        rng = np.random.default_rng(self.seed)
        return [np.asarray(rng.integers(-8, 9, s) / 8.0) for s in shapes]

    def _torch_function(self, library: Torch) -> Callable[..., Any]:
        names = {"torch": library.torch, "F": library.torch.nn.functional}
        outputs = self.outputs()

        def call(step: Step, args: list[Any]) -> Any:
            held: dict[str, Any] = {}

            def text(value: Any) -> str:
                if isinstance(value, list):
                    return "[" + ", ".join(text(v) for v in value) + "]"
                if isinstance(value, tuple):
                    return "(" + "".join(text(v) + ", " for v in value) + ")"
                name = f"v{len(held)}"
                held[name] = library.torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
                return name

            expression = format_call(spec_of(step.op), tuple(args), text)
            if expression is None:
                raise LookupError(f"op '{step.op}' has no torch equivalent")
            return eval(expression, names, held)

        def run(*leaves: Any) -> Any:
            results = self._execute(leaves, call)
            return [_value(r, leaves, results) for r in outputs]

        return run

    def check(self, backend: str = "tensorlite", **options: Any) -> GradReport:
        """`gradcheck` of the program, in "tensorlite" or "torch"; see there for the options. Raises LookupError as `run` does."""
        library, f = self._in(backend)
        return gradcheck(
            f,
            [library.leaf(x) for x in self.leaves],
            **{"report": "return", "full": False, "blame": False, "seed": self.seed, **options},
        )

    def _in(self, backend: str) -> tuple[Any, Callable[..., Any]]:
        if backend == "tensorlite":
            return TENSORLITE, self.function()
        if backend == "torch":
            library = Torch()
            return library, self._torch_function(library)
        raise ValueError(f"programs run in 'tensorlite' and 'torch', got {backend!r}")

    def blame(self) -> Blame:
        """The op whose gradient, alone and at its recorded values, is wrong; or the engine."""
        from .blaming import blame

        return blame(self.function(), [TENSORLITE.leaf(x) for x in self.leaves], self.seed)

    # -- writing it down ----------------------------------------------------------------------------------------------

    def to_python(self, library: str = "tensorlite") -> str:
        """A script that computes the outputs and the gradients, for tensorlite or torch. Raises LookupError as `run` does."""
        if library not in ("tensorlite", "torch"):
            raise ValueError(f"to_python() writes for 'tensorlite' and 'torch', got {library!r}")
        lines = ["import torch", "import torch.nn.functional as F", ""]
        if library == "tensorlite":
            lines = [
                "import numpy as np",
                "",
                "import tensorlite as tl",
                "import tensorlite.nn.functional as F",
                "from tensorlite.ops import OPS",
                "",
            ]
        prefix = "tl." if library == "tensorlite" else "torch."
        for i, x in enumerate(self.leaves):
            lines.append(f"x{i} = {_tensor_literal(x, prefix, ', requires_grad=True')}")

        def text(value: Any) -> str:
            if isinstance(value, Ref):
                return self.name(value)
            if isinstance(value, list):
                return "[" + ", ".join(map(text, value)) + "]"
            if isinstance(value, tuple):
                return "(" + "".join(text(v) + ", " for v in value) + ")"
            return _tensor_literal(value, prefix) if isinstance(value, np.ndarray) else _literal(value)

        def raw(value: Any) -> str:
            """An argument of an op of the table, which takes constants as arrays."""
            if isinstance(value, np.ndarray):
                return f"np.array({_literal(value.tolist())}, dtype={str(value.dtype)!r}).reshape({value.shape})"
            if isinstance(value, tuple):
                return "(" + "".join(raw(v) + ", " for v in value) + ")"
            return text(value)

        for i, step in enumerate(self.steps):
            expression = format_call(spec_of(step.op), step.args, text)
            if library == "tensorlite":
                call = f"OPS[{step.op!r}]({', '.join(map(raw, step.args))})"
                expression = (
                    call if expression is None or not _spelled_alike(step.op) else expression.replace("torch.", "tl.")
                )
            if expression is None:
                raise LookupError(f"op '{step.op}' has no torch equivalent")
            lines.append(f"t{i} = {expression}")
        results = [tensors_in(r, TENSORLITE)[0] for r in self.function()(*map(TENSORLITE.leaf, self.leaves))]
        floats = [(r, t._data) for r, t in zip(self.outputs(), results, strict=True) if t._data.dtype.kind == "f"]
        outs = [
            f"({self.name(r)}, {_tensor_literal(v, prefix)})"
            for (r, _), v in zip(floats, self.cotangents(x.shape for _, x in floats), strict=True)
        ]
        lines += [
            "",
            "outputs = [" + ", ".join(outs) + "]",
            "outputs = [(t, v) for t, v in outputs if t.requires_grad]",
        ]
        lines += [f"{prefix}autograd.backward([t for t, _ in outputs], [v for _, v in outputs])"]
        lines += [f"print('x{i}.grad =', x{i}.grad)" for i in range(len(self.leaves))]
        return "\n".join(lines) + "\n"

    def name(self, ref: Ref) -> str:
        """`x0` for a leaf, `t2` for a step, `t2[1]` for an output of a step with several."""
        if ref.leaf:
            return f"x{ref.number}"
        return f"t{ref.number}" + (f"[{ref.slot}]" if self.steps[ref.number].count else "")

    def __str__(self) -> str:
        lines = [f"x{i}: float64{list(x.shape)}" for i, x in enumerate(self.leaves)]
        lines += [f"t{i} = {s.op}({', '.join(_short(a, self.name) for a in s.args)})" for i, s in enumerate(self.steps)]
        return "\n".join([*lines, "outputs: " + ", ".join(self.name(r) for r in self.outputs())])

    def to_dot(self, guilty: Blame | None = None) -> str:
        """The graph as DOT, with the node at fault in red."""
        lines = ["digraph program {", '  node [shape=box style="rounded,filled" fillcolor=white fontname="Helvetica"]']
        for i, x in enumerate(self.leaves):
            lines.append(f'  x{i} [label="x{i} {list(x.shape)}" fillcolor="#dbeafe"]')
        for i, s in enumerate(self.steps):
            red = ' color="#cf222e" fillcolor="#ffebe9" penwidth=2' if guilty is not None and guilty.node == i else ""
            lines.append(f'  t{i} [label="t{i} = {s.op}"{red}]')
            lines += [f"  {'x' if r.leaf else 't'}{r.number} -> t{i}" for r in s.refs()]
        return "\n".join([*lines, "}"]) + "\n"

    def reduce(self, fails: Callable[[Program], bool]) -> Program:
        """The smallest program found for which `fails` still holds; see `tensorlite.testing.reducing`."""
        from .reducing import reduce

        return reduce(self, fails)


def _value(ref: Ref, leaves: Sequence[Any], results: Sequence[Any]) -> Any:
    if ref.leaf:
        return leaves[ref.number]
    found = results[ref.number]
    return found[ref.slot] if isinstance(found, tuple | list) else found


def _literal(value: Any) -> str:
    """A number, or nested lists of them, as Python source that needs no import."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not np.isfinite(value):
        return f"float('{value}')"
    return "..." if value is Ellipsis else repr(value)


def _tensor_literal(array: Any, prefix: str, more: str = "") -> str:
    kind = {"b": "bool", "i": "int64"}.get(array.dtype.kind, "float64")
    made = f"tensor({_literal(array.tolist())}" if array.size else f"zeros({array.shape}"
    return f"{prefix}{made}, dtype={prefix}{kind}{more})"


def _short(value: Any, name: Callable[[Ref], str]) -> str:
    if isinstance(value, Ref):
        return name(value)
    if isinstance(value, list):
        return "[" + ", ".join(_short(v, name) for v in value) + "]"
    if isinstance(value, np.ndarray):
        return str(value.tolist())
    return repr(value)


@cache
def _spelled_alike(name: str) -> bool:
    """Whether torch's spelling of the op is tensorlite's as well."""
    return bool(OPS[name].namespaces) or name in ("add", "sub")


# -- growing ----------------------------------------------------------------------------------------------------------


@cache
def program_ops() -> tuple[str, ...]:
    """The ops that random programs are made of."""
    return tuple(n for n, s in all_specs().items() if s.program and s.call is None and not s.op.random)


#: How a value of the program is moved into a domain: ops, each with a constant second argument.
_MOVES: dict[str, tuple[tuple[str, Any], ...]] = {
    "real": (),
    "positive": (("square", None), ("add", 0.5)),
    "nonzero": (("square", None), ("add", 0.5)),
    "above_one": (("square", None), ("add", 1.25)),
    "unit": (("tanh", None), ("mul", 0.875)),
    "probability": (("sigmoid", None), ("mul", 0.75), ("add", 0.125)),
}


class _Growing(Source):
    """A source that hands out what a program has computed so far."""

    def __init__(self, inner: Source, program: Program) -> None:
        self.inner = inner
        self.program = program
        self.known: dict[int, Ref] = {}  # id of an array that was handed out -> where it is in the program
        self.kept: list[Any] = []  # so that no id is used again
        self.elements = inner.elements

    def integer(self, low: int, high: int) -> int:
        return self.inner.integer(low, high)

    def raw(self, n: int) -> Any:
        return self.inner.raw(n)

    def shape(self, min_dims: int = 0, max_dims: int = 3, min_side: int = 1, max_side: int = 3) -> Shape:
        if self.integer(0, 3):
            fitting = [
                v.shape
                for _, v in self.present()
                if min_dims <= v.ndim <= max_dims and all(min_side <= n <= 6 for n in v.shape)
            ]
            if fitting:
                shape: Shape = fitting[-1 - min(self.integer(0, len(fitting) - 1), self.integer(0, len(fitting) - 1))]
                return shape
        return self.inner.shape(min_dims, max_dims, min_side, max_side)

    def array(self, shape: Shape, domain: str = "real") -> Any:
        if self.integer(0, 4):
            fitting = [(r, v) for r, v in self.present() if v.shape == shape]
            if fitting:
                ref, value = fitting[-1 - self.integer(0, len(fitting) - 1)]
                for op, constant in _MOVES[domain]:
                    args = (ref,) if constant is None else (ref, constant)
                    value = np.asarray(OPS[op](value) if constant is None else OPS[op](value, constant))
                    ref = self._append(Step(op, args), value)
                return self._hand_out(np.array(value), ref)
        return self.leaf(self.inner.array(shape, domain))

    def leaf(self, array: Any) -> Any:
        """A new leaf."""
        self.program.leaves.append(array)
        return self._hand_out(array, Ref(True, len(self.program.leaves) - 1))

    def present(self) -> list[tuple[Ref, Any]]:
        """Every float value there is, oldest first."""
        p = self.program
        found = [(Ref(True, i), x) for i, x in enumerate(p.leaves)]
        for i, (s, v) in enumerate(zip(p.steps, p.values, strict=True)):
            outs = v if s.count else (v,)
            found += [(Ref(False, i, k), o) for k, o in enumerate(outs) if o.dtype.kind == "f" and 0 < o.size <= 64]
        return found

    def ref(self, array: Any) -> Ref:
        """Where an argument is in the program; an array that was made from handed-out ones becomes a leaf."""
        if id(array) not in self.known:
            self.leaf(array)
        return self.known[id(array)]

    def _hand_out(self, array: Any, ref: Ref) -> Any:
        self.known[id(array)] = ref
        self.kept.append(array)
        return array

    def _append(self, step: Step, value: Any) -> Ref:
        self.program.steps.append(step)
        self.program.values.append(value)
        return Ref(False, len(self.program.steps) - 1)

    def grow(self, spec: OpSpec) -> None:
        """Append one op, if its result is finite and of moderate size; otherwise the program stays as it was."""
        p, op = self.program, spec.op
        before = len(p.leaves), len(p.steps)
        arguments = spec.arguments(self)
        with np.errstate(all="ignore"):
            out = op(*[tuple(a) if isinstance(a, list) and op.variadic else a for a in arguments])
        outs = tuple(np.asarray(o) for o in out) if op.n_outputs != 1 else (np.asarray(out),)
        if not all(np.isfinite(o).all() and np.abs(o).max(initial=0) <= LARGEST for o in outs if o.dtype.kind == "f"):
            del p.leaves[before[0] :], p.steps[before[1] :], p.values[before[1] :]
            return
        args: list[Any] = []
        for i, a in enumerate(arguments):
            if isinstance(a, list) and op.variadic and i == 0:
                args.append([self.ref(x) for x in a])
            elif isinstance(a, np.ndarray) and a.dtype.kind == "f" and i in op.differentiable:
                args.append(self.ref(a))
            else:
                args.append(a.copy() if isinstance(a, np.ndarray) else a)
        self._append(
            Step(op.name, tuple(args), len(outs) if op.n_outputs != 1 else 0), outs if op.n_outputs != 1 else outs[0]
        )


def generate(source: Source, *, ops: Sequence[str] | None = None, max_ops: int = 8, must: str | None = None) -> Program:
    """A random program of at most `max_ops` drawn ops (besides those that move values into a domain), with `must` among them."""
    names = program_ops() if ops is None else tuple(ops)
    if max_ops < 1 or not names:
        raise ValueError(f"a program has at least one op: got max_ops={max_ops}, ops={ops!r}")
    program = Program([], [], source.integer(0, 2**16 - 1))
    growing = _Growing(source, program)
    count = source.integer(1, max_ops)
    place = source.integer(0, count - 1) if must is not None else -1
    for k in range(count):
        growing.grow(spec_of(must if k == place and must is not None else source.choice(names)))
    if not program.steps:
        growing.leaf(source.array((2,)))
        growing.grow(spec_of("add"))
    _drop_unused_leaves(program)
    return program


def _drop_unused_leaves(program: Program) -> None:
    used = sorted({r.number for s in program.steps for r in s.refs() if r.leaf})
    where = {old: new for new, old in enumerate(used)}
    program.leaves = [program.leaves[i] for i in used]
    program.steps = [s.replace(lambda r: Ref(True, where[r.number]) if r.leaf else r) for s in program.steps]


def random_programs(
    count: int, *, seed: int = 0, ops: Sequence[str] | None = None, max_ops: int = 8, must: str | None = None
) -> Iterator[Program]:
    """`count` programs from NumPy's generator, many times faster than from hypothesis; the same seed gives the same programs."""
    for k in range(count):
        yield generate(RandomSource((seed, k)), ops=ops, max_ops=max_ops, must=must)


@dataclass
class Soak:
    """What a run over many programs found."""

    checked: int = 0
    kinks: int = 0
    inconclusive: int = 0
    failures: list[tuple[Program, GradReport]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.checked} programs: {len(self.failures)} failures, {self.kinks} at kinks, {self.inconclusive} inconclusive"


def soak(count: int, *, seed: int = 0, **options: Any) -> Soak:
    """Check `count` random programs and say how many fail: 0 on a correct library."""
    result = Soak()
    for program in random_programs(count, seed=seed, **options):
        if not program.leaves:
            continue
        report = program.check(directions=1)
        result.checked += 1
        result.kinks += report.verdict == "kink"
        result.inconclusive += report.verdict == "inconclusive"
        if not report.ok:
            result.failures.append((program, report))
    return result
