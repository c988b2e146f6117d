"""What each op of the table can be given: one `OpSpec` per op that has a gradient.

The spec of an elementwise op, of a binary op and of a reduction follows from its signature; every other op has a line in `declared`. An op
that a user declares may bring its own with `@op(samples=lambda source: (arguments...))`. An op without any fails the completeness test.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..ops import load_all
from ..ops.table import OPS, Op
from .source import Source

Arguments = Callable[[Source], tuple[Any, ...]]


@dataclass(frozen=True)
class OpSpec:
    """How to check one op.

    Attributes:
        op: the op.
        arguments: draws the positional arguments; float arrays at differentiable positions become the inputs that are checked.
        call: what is differentiated, given the op as a function and the arguments: the op itself, unless it takes or gives
            complex numbers, expects a symmetric matrix, or leaves a sign free.
        expression: the call in torch's words, a template over the parameter names; None where torch has no such function.
        method: the numeric derivative that is valid ("auto", or "richardson" for complex values on the way).
        second: whether the rule can be differentiated again.
        program: whether random programs may contain the op.
    """

    op: Op
    arguments: Arguments
    call: Callable[..., Any] | None = None
    expression: str | None = None
    method: str = "auto"
    second: bool = True
    program: bool = True

    @property
    def name(self) -> str:
        return self.op.name


@dataclass(frozen=True)
class Declared:
    """The parts of a spec that do not follow from the op's signature."""

    arguments: Arguments | None = None
    call: Callable[..., Any] | None = None
    expression: str | None = None
    method: str = "auto"
    second: bool = True
    program: bool = True


#: Domains of elementwise functions that are not defined, or not smooth, everywhere.
UNARY_DOMAIN = {
    **dict.fromkeys(["log", "log2", "log10", "log1p", "sqrt", "rsqrt", "digamma", "lgamma", "entr"], "positive"),
    **dict.fromkeys(["asin", "acos", "atanh", "erfinv", "tan"], "unit"),
    **dict.fromkeys(["reciprocal", "frexp"], "nonzero"),
    "acosh": "above_one",
    **dict.fromkeys(["logit", "ndtri"], "probability"),
}
#: Domains of the operands of binary functions.
BINARY_DOMAIN = {
    "div": ("real", "nonzero"),
    "fmod": ("real", "nonzero"),
    "remainder": ("real", "nonzero"),
    "pow": ("positive", "real"),
    "atan2": ("nonzero", "real"),
    "hypot": ("nonzero", "real"),
    "xlogy": ("real", "positive"),
    "xlog1py": ("real", "positive"),
    "copysign": ("real", "nonzero"),
}
#: Other settings of elementwise functions, beside their defaults.
OPTIONS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "hardtanh": ((), (-0.5, 1.5)),
    "leaky_relu": ((), (0.25,)),
    "threshold": ((0.5, -1.0), (0.0, 0.0)),
    "hardshrink": ((), (1.0,)),
    "softshrink": ((), (1.0,)),
    "elu": ((), (0.5,)),
    "celu": ((), (2.0,)),
    "softplus": ((), (2.0, 1.0)),
    "gelu": ((), ("tanh",)),
    "round": ((), (1,)),
    "polygamma": ((1,), (2,)),
}


@cache
def _declared() -> dict[str, Declared]:
    from .declared import DECLARED

    return DECLARED


def spec_of(op: Op | str) -> OpSpec:
    """The spec of an op. Raises LookupError that says how to declare one, if the signature does not tell enough."""
    op = _named(op) if isinstance(op, str) else op
    if not isinstance(op, Op):
        name = getattr(op, "__name__", repr(op))
        raise TypeError(
            f"{name} is no op of the table; check a Function or a function with gradcheck({name}.apply, [x])"
        )
    if not op.differentiable:
        raise LookupError(f"op '{op.name}' has no gradient, so there is nothing to check")
    found = _declared().get(op.name, Declared())
    arguments = op.samples or found.arguments or derived_arguments(op)
    if arguments is None:
        raise LookupError(
            f"op '{op.name}({', '.join(op.params)})' has a gradient, but nothing says what to check it with: "
            "declare it with @op(samples=lambda source: (arguments...)), or add it to tensorlite/testing/declared.py"
        )
    expression = found.expression if found.expression is not None else derived_expression(op)
    return OpSpec(op, arguments, found.call, expression or None, found.method, found.second, found.program)


def _named(name: str) -> Op:
    load_all()
    if name not in OPS:
        close = difflib.get_close_matches(name, OPS, 3)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else "; tensorlite.ops.OPS has all names"
        raise LookupError(f"there is no op '{name}' in the table{hint}")
    return OPS[name]


def all_specs() -> dict[str, OpSpec]:
    """The specs of every op of the table that has a gradient. Raises LookupError for one that has none."""
    load_all()
    return {op.name: spec_of(op) for op in OPS.values() if op.differentiable}


def missing_specs() -> list[str]:
    """The ops with a gradient for which there is no spec."""
    load_all()
    missing = []
    for op in OPS.values():
        if op.differentiable:
            try:
                spec_of(op)
            except LookupError:
                missing.append(op.name)
    return missing


def derived_arguments(op: Op) -> Arguments | None:
    """What the signature tells: elementwise functions, binary functions that broadcast, reductions `(x, dim, keepdim)`."""
    if op.params == ("x",) or op.name in OPTIONS:
        domain = UNARY_DOMAIN.get(op.name, "real")
        options = OPTIONS.get(op.name, ((),))
        return lambda s: (s.array(s.shape(), domain), *(s.choice(options) if len(options) > 1 else options[0]))
    if op.broadcasts and op.params[:2] == ("x", "y") and op.n_required == 2:
        left, right = BINARY_DOMAIN.get(op.name, ("real", "real"))
        return lambda s: _binary(s, left, right)
    if op.params[:3] == ("x", "dim", "keepdim") and op.n_outputs == 1:
        if op.n_required == 1:
            return lambda s: _reduction(s, s.reduced)
        return lambda s: _reduction(s, s.axis)
    if op.params[:3] == ("x", "dim", "keepdim"):
        return lambda s: _reduction(s, s.axis)
    if op.params[:2] == ("x", "dim") and op.n_required == 2:
        return lambda s: _along(s)
    return None


def _binary(s: Source, left: str, right: str) -> tuple[Any, ...]:
    a, b = s.broadcastable(2)
    return s.array(a, left), s.array(b, right)


def _reduction(s: Source, dims: Callable[[int], Any]) -> tuple[Any, ...]:
    x = s.array(s.shape(1, 3))
    dim = dims(x.ndim)
    return x, dim, s.boolean()


def _along(s: Source) -> tuple[Any, ...]:
    x = s.array(s.shape(1, 3))
    return x, s.axis(x.ndim)


def derived_expression(op: Op) -> str | None:
    """The call as torch spells it: `torch.name(...)`, `F.name(...)` or `x.name(...)`; options by keyword."""
    required = op.params[: op.n_required]
    rest = "".join(f", {{?{p}}}" for p in op.params[op.n_required :])  # {?p}: "p=value", or nothing at the default
    places = ", ".join(f"{{{p}}}" for p in required)
    if "torch" in op.namespaces:
        return f"torch.{op.name}({places}{rest})"
    if "F" in op.namespaces:
        return f"F.{op.name}({places}{rest})"
    if "Tensor" in op.namespaces:
        places = ", ".join(f"{{{p}}}" for p in required[1:])
        return f"{{{op.params[0]}}}.{op.name}({places}{rest if places else rest[2:]})"
    return None


def format_call(spec: OpSpec, arguments: tuple[Any, ...], text: Callable[[Any], str]) -> str | None:
    """The call with every argument written by `text`; None where there is no expression."""
    if spec.expression is None:
        return None
    result = spec.expression
    op = spec.op
    for i, name in enumerate(op.params):
        value = arguments[i] if i < len(arguments) else op.defaults[i - op.n_required]
        result = result.replace(f"{{{name}}}", text(value))
        default = op.defaults[i - op.n_required] if i >= op.n_required else None
        given = i < len(arguments) and (isinstance(value, np.ndarray) or value is not default)
        if name == "dim" and "keepdim" in op.params:  # torch takes no keepdim without dim
            at = op.params.index("keepdim")
            given = given or (at < len(arguments) and bool(arguments[at]))
        result = result.replace(f", {{?{name}}}", f", {name}={text(value)}" if given else "")
        result = result.replace(f"{{?{name}}}", f"{name}={text(value)}" if given else "")
    return result.replace("(, ", "(")
