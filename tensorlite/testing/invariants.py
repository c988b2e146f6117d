"""What every gradient has to satisfy besides being right, and complete checks of ops, modules and optimizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd import backward
from ..autograd.checking import GradcheckError
from ..autograd.mode import no_grad
from ..autograd.record import apply
from ..ops.table import Op
from .backends import TENSORLITE, tensors_in
from .blaming import rule_source
from .checking import gradcheck, prepared
from .conventions import CONVENTIONS, check_conventions
from .report import GradReport
from .source import RandomSource
from .specs import OpSpec, spec_of


def function_of(spec: OpSpec, arguments: tuple[Any, ...]) -> tuple[Callable[..., Any], list[Any]]:
    """An op at drawn arguments as a function of its float inputs, and these as leaves."""
    op = spec.op
    leaves: list[Any] = []
    template: list[tuple[Any, Any]] = []
    for i, value in enumerate(arguments):
        if isinstance(value, list) and op.variadic and i == 0:
            template.append((len(leaves), len(value)))
            leaves.extend(TENSORLITE.leaf(v) for v in value)
        elif (isinstance(value, np.ndarray) and value.dtype.kind == "f" and i in op.differentiable) or (
            spec.call is not None and isinstance(value, np.ndarray) and value.dtype.kind == "f"
        ):
            template.append((len(leaves), None))
            leaves.append(TENSORLITE.leaf(value))
        else:
            template.append((None, value))

    def run(*args: Any) -> Any:
        return apply(op, args)

    def f(*tensors: Any) -> Any:
        args = [
            value if at is None else tensors[at] if value is None else list(tensors[at : at + value])
            for at, value in template
        ]
        return run(*args) if spec.call is None else spec.call(run, *args)

    return f, leaves


# -- what every gradient has to satisfy -------------------------------------------------------------------------------


@np.errstate(all="ignore")
def assert_grad_invariants(f: Callable[..., Any], inputs: Sequence[Any], seed: int = 0) -> None:
    """Check everything about the gradients of `f` that needs no derivative to compare with.

    Gradients have the shape and dtype of their inputs; nothing that was passed in is changed; gradients share no memory with each other, the
    inputs or the cotangents; a zero cotangent gives zeros; the gradient is linear in the cotangent; a second pass gives the same bytes;
    outputs are the same under `no_grad`, and are recorded by nobody there; inputs that are not contiguous, or read-only, give the same.

    Raises AssertionError that says which of these does not hold, and where; ValueError if there is nothing to check.
    """
    b = TENSORLITE
    arguments = prepared(inputs if isinstance(inputs, tuple | list) else [inputs], b, "assert_grad_invariants")
    tensors = [x for x in arguments if b.is_tensor(x)]
    checked = [x for x in tensors if b.needs_grad(x)]
    before = [x._data.copy() for x in tensors]
    outputs = b.run(f, arguments)
    if not outputs:
        raise ValueError(
            "assert_grad_invariants: the function returned no tensorlite tensor, so there is nothing to check"
        )
    recorded = [o for o in outputs if b.needs_grad(o)]
    _same_without_grad(f, arguments, outputs)
    if not recorded or not checked:
        return
    rng = np.random.default_rng(seed)
    v = [np.asarray(rng.standard_normal(o._data.shape)).astype(o._data.dtype) for o in recorded]
    w = [np.asarray(rng.standard_normal(o._data.shape)).astype(o._data.dtype) for o in recorded]

    def gradients(cotangents: list[Any]) -> list[Any]:
        found = b.gradients(recorded, checked, [b.leaf(c, False) for c in cotangents])
        return [np.zeros_like(x._data) if g is None else g._data for g, x in zip(found, checked, strict=True)]

    kept = [c.copy() for c in v]
    first = gradients(v)
    for i, (g, x) in enumerate(zip(first, checked, strict=True)):
        _require(
            g.dtype == x._data.dtype and g.shape == x._data.shape,
            f"the gradient of input {i} is {g.dtype}{list(g.shape)}, the input is {x._data.dtype}{list(x._data.shape)}",
        )
        others = [*v, *first[:i], *(t._data for t in tensors), *(o._data for o in recorded)]
        _require(
            not any(g.size and o.size and np.shares_memory(g, o) for o in others),
            f"the gradient of input {i} shares memory with a cotangent, an input, an output or another gradient",
        )
    _require(_equal(v, kept), "backward changed its cotangent in place")
    _require(_equal([x._data for x in tensors], before), "an input was changed in place")
    saved = [g.copy() for g in first]
    _require(_equal(gradients(v), saved), "a second backward over the same graph gives other values")
    _require(_equal(first, saved), "a second backward changed the gradients that the first one returned")
    zeros = gradients([np.zeros_like(c) for c in v])
    for i, g in enumerate(zeros):
        _require(not g[np.isfinite(g)].any(), f"a zero cotangent gives a gradient of input {i} that is not zero")
    if len(recorded) > 1:
        alone = b.gradients(recorded[:1], checked, [b.leaf(v[0], False)])
        rest = gradients([v[0], *(np.zeros_like(c) for c in v[1:])])
        for i, (g, e) in enumerate(zip(alone, rest, strict=True)):
            _require(
                np.allclose(0 if g is None else g._data, e, rtol=1e-6, atol=1e-9, equal_nan=True),
                f"the gradient of input {i} is another when the other outputs get no cotangent than when they get zeros",
            )
    total = gradients([2 * a - b for a, b in zip(v, w, strict=True)])
    tolerance = 1e-10 if all(x._data.dtype.itemsize >= 8 for x in checked) else 1e-4
    for i, (g, a, c) in enumerate(zip(total, saved, gradients(w), strict=True)):
        finite = np.isfinite(a) & np.isfinite(c)
        g, a, c = g[finite], a[finite], c[finite]
        off = np.abs(g - (2 * a - c))
        _require(
            not off.size or bool(off.max() <= tolerance * (1 + np.abs(a).max() + np.abs(c).max())),
            f"the gradient of input {i} is not linear in the cotangent",
        )
    _accumulates(f, arguments, v, saved)
    _same_in_other_layouts(f, arguments, v, saved)


def _accumulates(
    f: Callable[..., Any], inputs: Sequence[Any], cotangents: Sequence[Any], expected: Sequence[Any]
) -> None:
    """`backward` adds to `.grad`, which is an array of its own."""
    b = TENSORLITE
    fresh = [b.leaf(x._data, True) if b.needs_grad(x) else x for x in inputs]
    outputs = [o for o in b.run(f, fresh) if b.needs_grad(o)]
    if not outputs:
        return
    leaves = [x for x in fresh if b.needs_grad(x)]
    for times in (1, 2):
        backward(outputs, [b.leaf(c, False) for c in cotangents], retain_graph=times == 1)
        for i, (x, e) in enumerate(zip(leaves, expected, strict=True)):
            if x._grad is None:
                continue
            g = x._grad._data
            finite = np.isfinite(e)
            off = np.abs(g - times * e)[finite]
            _require(
                not off.size or off.max() <= 1e-5 * (1 + np.abs(e[finite]).max()),
                f"after {times} backward passes `.grad` of input {i} is not {times} times its gradient",
            )
            others = [
                *cotangents,
                *(y._data for y in leaves),
                *(y._grad._data for y in leaves[:i] if y._grad is not None),
            ]
            _require(
                not any(g.size and o.size and np.shares_memory(g, o) for o in others),
                f"`.grad` of input {i} shares memory with a cotangent, an input or another gradient",
            )


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise AssertionError(problem)


def _equal(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return all(np.array_equal(x, y, equal_nan=x.dtype.kind in "fc") for x, y in zip(a, b, strict=True))


def _same_without_grad(f: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    with no_grad(), np.errstate(all="ignore"):
        again = tensors_in(f(*inputs), TENSORLITE)
    made = [o for o in again if not any(o is x for x in inputs)]
    _require(not any(o._rg for o in made), "an output requires grad although it was computed under no_grad")
    values = [o._data for o in outputs]
    if _equal([o._data for o in again], values):
        return
    if not _equal([o._data for o in TENSORLITE.run(f, inputs)], values):
        raise ValueError(
            "assert_grad_invariants: the function gives other values when it is called again; set the seed inside it"
        )
    _require(False, "the values are others under no_grad")


def _strange(array: Any) -> Any:
    """The same values in reverse memory order, not contiguous, and read-only."""
    wide = np.zeros((*array.shape, 2), array.dtype)
    wide[..., 0] = array
    view = np.asfortranarray(wide)[..., 0]
    view.flags.writeable = False
    return view


def _same_in_other_layouts(
    f: Callable[..., Any], inputs: Sequence[Any], cotangents: Sequence[Any], expected: Sequence[Any]
) -> None:
    b = TENSORLITE
    odd = [b.leaf(_strange(x._data), x._rg) if b.is_tensor(x) else x for x in inputs]
    try:
        outputs = [o for o in b.run(f, odd) if b.needs_grad(o)]
    except RuntimeError:
        return  # some views exist only for contiguous memory, and say so
    wanted = [x for x in odd if b.needs_grad(x)]
    found = b.gradients(outputs, wanted, [b.leaf(_strange(c), False) for c in cotangents])
    for i, (g, e) in enumerate(zip(found, expected, strict=True)):
        got = np.zeros_like(e) if g is None else g._data
        off = np.abs(got - e)[np.isfinite(e)]
        _require(
            not off.size or off.max() <= 1e-5 * (1 + np.abs(e[np.isfinite(e)]).max()),
            f"the gradient of input {i} is another when the memory of inputs and cotangents is not contiguous",
        )


# -- complete checks --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """Why an op, at which example and with which layer of the check."""

    op: str
    layer: str
    example: int
    message: str
    report: GradReport | None = None

    def __str__(self) -> str:
        return f"op '{self.op}' fails at example {self.example} ({self.layer}):\n{self.message}"


def find_failure(spec: OpSpec, examples: int = 30, seed: int = 0) -> Failure | None:
    """The first example at which a layer of the check fails: "value", "invariants", "float32", "tie", "convention" or "second order"."""
    for k in range(examples):
        source = RandomSource((seed, k), "coarse" if k % 3 == 2 else "grid")
        arguments = spec.arguments(source)
        f, leaves = function_of(spec, arguments)
        for layer, run in _LAYERS:
            if layer == "second order" and (not spec.second or k % 3):
                continue
            try:
                report = run(spec, f, leaves)
            except AssertionError as error:
                return Failure(spec.name, layer, k + 1, str(error))
            except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
                return Failure(spec.name, layer, k + 1, f"{type(error).__name__}: {error}")
            if report is not None and not report.ok:
                return Failure(spec.name, layer, k + 1, str(report), report)
    return None


def check_op(op: Op | str | OpSpec, *, examples: int = 30, seed: int = 0) -> None:
    """Check the gradient of one op of the table at drawn arguments, in every layer. Raises GradcheckError with the report."""
    spec = op if isinstance(op, OpSpec) else spec_of(op)
    failure = find_failure(spec, examples, seed)
    if failure is not None:
        raise GradcheckError(
            f"{failure}\nat fault:    {rule_source(spec.op)}\n"
            f"reproduce:   check_op({spec.name!r}, examples={failure.example}, seed={seed})"
        )


def _value(spec: OpSpec, f: Callable[..., Any], leaves: list[Any]) -> GradReport | None:
    # between the one-sided derivatives wherever there is a kink: not so for ops whose outputs are coupled or whose rule follows a convention
    return gradcheck(f, leaves, method=spec.method, report="return", blame=False) if leaves else None


def _tie(spec: OpSpec, f: Callable[..., Any], leaves: list[Any]) -> GradReport | None:
    if not leaves or spec.name not in TIED:
        return None
    return gradcheck(f, leaves, method=spec.method, kinks="subgradient", full=False, report="return", blame=False)


def _convention(spec: OpSpec, f: Callable[..., Any], leaves: list[Any]) -> GradReport | None:
    problem = check_conventions(f, leaves, TENSORLITE) if spec.name in CONVENTIONS else ""
    return GradReport("fail", message=problem) if problem else None


def _invariants(spec: OpSpec, f: Callable[..., Any], leaves: list[Any]) -> GradReport | None:
    assert_grad_invariants(f, leaves)
    return None


def _float32(spec: OpSpec, f: Callable[..., Any], leaves: list[Any]) -> GradReport | None:
    """float32 in, float32 out, and a gradient that agrees with the one in float64."""
    b = TENSORLITE
    narrow = [b.leaf(x._data.astype(np.float32)) for x in leaves]
    outputs = [o for o in b.run(f, narrow) if b.needs_grad(o)]
    wide = [o for o in b.run(f, leaves) if b.needs_grad(o)]
    if not outputs or len(outputs) != len(wide) or spec.method == "richardson" or spec.name == "cast":
        return None
    for o in outputs:
        _require(o._data.dtype == np.float32, f"float32 went in, {o._data.dtype} came out")
    rng = np.random.default_rng(0)
    v = [np.asarray(rng.standard_normal(o._data.shape)) for o in wide]
    small = b.gradients(outputs, narrow, [b.leaf(c.astype(np.float32), False) for c in v])
    large = b.gradients(wide, leaves, [b.leaf(c, False) for c in v])
    for i, (s, g) in enumerate(zip(small, large, strict=True)):
        if s is None or g is None:
            continue
        _require(s._data.dtype == np.float32, f"the gradient of input {i} of type float32 is {s._data.dtype}")
        finite = np.isfinite(g._data) & np.isfinite(s._data)
        off = np.abs(s._data - g._data)[finite]
        scale = 1 + np.abs(g._data[finite]).max(initial=0.0)
        _require(
            not off.size or off.max() <= 2e-3 * scale,
            f"the float32 gradient of input {i} is off by {off.max(initial=0.0):.3g} (largest element {scale:.3g})",
        )
    return None


def _second(spec: OpSpec, f: Callable[..., Any], leaves: list[Any]) -> GradReport | None:
    if not leaves or sum(x._data.size for x in leaves) > 24:
        return None
    return gradcheck(
        f,
        leaves,
        method=spec.method,
        order=2,
        full=False,
        directions=1,
        report="return",
        blame=False,
        rtol=1e-7,
        atol=1e-7,
    )


#: Ops whose gradient at a kink lies between the one-sided derivatives.
TIED = frozenset(
    (
        *(
            "relu",
            "relu6",
            "hardtanh",
            "leaky_relu",
            "softshrink",
            "abs",
            "maximum",
            "minimum",
            "fmax",
            "fmin",
            "clamp",
        ),
        *("amax", "amin", "max_along", "min_along", "median_along", "kthvalue", "sort", "topk", "cummax", "cummin"),
        *("max_pool", "adaptive_max_pool"),
    )
)
_LAYERS: tuple[tuple[str, Callable[..., GradReport | None]], ...] = (
    ("value", _value),
    ("invariants", _invariants),
    ("float32", _float32),
    ("tie", _tie),
    ("convention", _convention),
    ("second order", _second),
)
