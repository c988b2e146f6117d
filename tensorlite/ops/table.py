"""What an op is: one forward on ndarrays, one gradient rule per differentiable input, declared together.

    @op(promote="float", numpy=np.exp)
    def exp(x):
        "Exponential of each element."
        return np.exp(x)

    exp.grad(x=lambda g, out: g * conj(out))

A rule is named after the input it belongs to. Its first parameter `g` is the cotangent of the output; the *names* of its other
parameters say what the op has to remember from the forward pass: an input or argument of the forward by its own name, `out` for the
result, `aux` for what a forward with `aux=True` returns beside its result, `x_shape` for the shape of `x`. Nothing else is saved.

Rules are written in plain NumPy and in operators. In a plain backward pass they run on ndarrays; under `create_graph=True` the same
rules run on Tensors and record themselves. They must not mutate what they are given.

This module knows nothing of Tensor: an op called with ndarrays computes; called with anything that has `__tensorlite_op__`, it hands over.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

Forward = Callable[..., Any]
Rule = Callable[..., Any]


class Table(dict[str, "Op"]):
    """The ops by name. Looking up a name that is not there loads the remaining families first."""

    load_all: Callable[[], None] = staticmethod(lambda: None)

    def __missing__(self, name: str) -> Op:
        self.load_all()
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found


OPS = Table()

ALIASES = {"input": "x", "self": "x", "other": "y", "axis": "dim", "axes": "dim", "keepdims": "keepdim"}
_NO_DEFAULT = object()


def unchanged(g: Any) -> Any:
    """The rule of an input whose gradient is the cotangent itself."""
    return g


class Step(NamedTuple):
    """One rule of a plan: the input it serves, the rule, and which saved values it takes."""

    position: int
    rule: Rule
    picks: tuple[int, ...]


class Plan:
    """How one op goes backward when a certain subset of its inputs requires grad: the rules to run, and the values to save for them.

    Attributes:
        positions: the inputs that get a gradient, one parent of the node each.
        steps: the rules to run, one for each position; empty when there is a joint rule.
        joint: the one rule that serves all positions, if the op has such a rule.
        needs: for a joint rule, which of the positions want a gradient.
        saves: where each saved value comes from: a position among (arguments..., out, aux), or (position,) for a shape alone.
        tensor_saves: which of the saves hold arrays that somebody could change in place.
        origins: for each save, the index of the parent it belongs to, or -1; -2 for the output.
    """

    __slots__ = ("calls", "joint", "needs", "op", "origins", "positions", "saves", "steps", "tensor_saves")

    def __init__(self, op: Op, mask: int) -> None:
        self.op = op
        names: list[str] = []

        def pick(rule: Rule, skip: int) -> tuple[int, ...]:
            wanted = _parameters(rule)[skip:]
            names.extend(dict.fromkeys(name for name in wanted if name not in names))
            return tuple(names.index(name) for name in wanted)

        needed = [i for i in range(len(op.params)) if mask >> i & 1]
        self.joint: Step | None = None
        self.steps: tuple[Step, ...] = ()
        if op.joint_rule is not None:
            self.positions = tuple(sorted(op.differentiable))
            self.joint = Step(-1, op.joint_rule, pick(op.joint_rule, 2))
        else:
            self.positions = tuple(needed)
            self.steps = tuple(Step(i, op.rules[op.params[i]], pick(op.rules[op.params[i]], 1)) for i in needed)
        #: (rule, saved values it takes) as the engine runs them; a rule that hands the cotangent on unchanged is None
        self.calls = tuple((None if s.rule is unchanged else s.rule, s.picks) for s in self.steps)
        self.needs = tuple(bool(mask >> i & 1) for i in self.positions)
        self.saves = tuple(op.locate(name) for name in names)
        n = len(op.params)
        self.tensor_saves = tuple(i for i, s in enumerate(self.saves) if isinstance(s, int) and s <= n)
        self.origins = tuple(
            -2 if s == n else self.positions.index(s) if s in self.positions else -1 for s in self.saves
        )


class Op:
    """A differentiable function of ndarrays, its gradient rules, and everything that is derived from them.

    Attributes:
        name: the name in the `tensorlite` namespace, in graphs and in error messages.
        forward: the computation on ndarrays and plain arguments.
        params: the names of the forward's parameters.
        rules: gradient rule by input name.
        promote: how operand types are unified before the forward ("arith", "float", or None), and over which parameters.
        broadcasts: gradients are summed back to the shape of an input that was broadcast.
        variadic: the first parameter is a sequence of tensors.
        view: the result shares memory with the first input.
        n_outputs: how many results (0: a tuple whose length depends on the arguments).
        samples: draws arguments to check the op with from a `tensorlite.testing.Source`, for an op that brings its own spec.
    """

    def __init__(
        self,
        forward: Forward,
        *,
        name: str | None = None,
        promote: str | None = None,
        over: Sequence[str] = (),
        broadcasts: bool = False,
        variadic: bool = False,
        view: bool = False,
        multiview: bool = False,
        aux: bool = False,
        n_outputs: int = 1,
        nondiff_outputs: Sequence[int] = (),
        quiet: bool = False,
        random: bool = False,
        namespaces: Sequence[str] = ("torch", "Tensor"),
        inplace: bool = False,
        numpy: Any = (),
        definition: Callable[..., Any] | None = None,
        samples: Callable[[Any], tuple[Any, ...]] | None = None,
        outputs: type[Any] | None = None,
    ) -> None:
        self.name = name or forward.__name__.rstrip("_")
        self.forward = forward
        self.__doc__ = forward.__doc__
        self.params, self.defaults, self.rest = _signature(forward)
        self.n_required = len(self.params) - len(self.defaults)
        self.promote = promote
        self.over = tuple(self.params.index(p) for p in over) if over else tuple(range(1 if promote == "float" else 2))
        self.broadcasts = broadcasts
        self.variadic = variadic
        self.view = view or multiview
        self.multiview = multiview
        self.aux = aux
        self.n_outputs = n_outputs
        self.nondiff_outputs = frozenset(nondiff_outputs)
        self.quiet = quiet
        self.random = random
        self.namespaces = tuple(namespaces)
        self.inplace = inplace
        self.numpy = numpy if isinstance(numpy, tuple) else (numpy,)
        self.definition = definition
        self.samples = samples
        self.outputs = outputs
        self.check_number: Callable[[int, Any, Any], None] | None = (
            None  # of a Python number beside integers, before it becomes one of them
        )
        self.writes: Callable[..., None] | None = None  # how the in-place form writes directly, without a copy
        self.rules: dict[str, Rule] = {}
        self.joint_rule: Rule | None = None
        self.differentiable: frozenset[int] = frozenset()
        self._plans: dict[int, Plan] = {}
        self.fast_plans: list[Any] = [None] * 4  # of an operator's fast path

    # -- declaring ------------------------------------------------------------------------------------------------

    def grad(self, joint: Rule | None = None, *, wrt: Sequence[str] = (), **rules: Rule) -> Op:
        """Declare the gradient: a rule per input by name, or one `joint(g, needs, ...)` that returns the gradients of all of `wrt`."""
        if joint is not None:
            self.joint_rule = joint
            names: Sequence[str] = wrt or self.params[:1]
        else:
            self.rules.update(rules)
            names = tuple(self.rules)
        unknown = [n for n in names if n not in self.params]
        if unknown:
            raise TypeError(f"{self.name}: a rule is declared for {unknown}, but the inputs are {list(self.params)}")
        self.differentiable = frozenset(self.params.index(n) for n in names)
        self.forget_plans()
        return self

    def forget_plans(self) -> None:
        """Work the plans out anew when next needed; to be called after a rule was replaced."""
        self._plans.clear()
        self.fast_plans[:] = [None] * 4

    def locate(self, name: str) -> Any:
        """Where a rule's parameter comes from, as `Plan.saves` encodes it."""
        n = len(self.params)
        if name == "out":
            return n
        if name == "aux":
            return n + 1
        if name in self.params:
            return self.params.index(name)
        base, _, what = name.rpartition("_")
        if what == "shape" and base in self.params:
            return (self.params.index(base),)
        raise TypeError(
            f"{self.name}: a gradient rule asks for '{name}', which is neither an argument, 'out', 'aux' nor '<input>_shape'"
        )

    def node_name(self) -> str:
        """torch's name of a node that this op makes, such as `MulBackward0`."""
        return "".join(part.capitalize() for part in self.name.split("_")) + "Backward0"

    # -- using ----------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for a in args:
            hook = getattr(type(a), "__tensorlite_op__", None)
            if hook is None and self.variadic and isinstance(a, list | tuple):
                hook = next((h for h in (getattr(type(b), "__tensorlite_op__", None) for b in a) if h), None)
            if hook is not None:
                return hook(self, args, kwargs)
        out = self.forward(*args, **kwargs)
        return out[0] if self.aux else out

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments in the order of `params`, defaults filled in. Raises TypeError that names the op and its parameters."""
        params = self.params
        if self.rest is not None and len(args) >= self.rest:
            args = _gather_rest(args, self.rest, params[self.rest] in kwargs)
        if len(args) > len(params):
            raise TypeError(
                f"{self.name}() takes at most {len(params)} arguments ({', '.join(params)}), but {len(args)} were given"
            )
        values = [*args, *([_NO_DEFAULT] * (len(params) - len(args)))]
        for key, value in kwargs.items():
            if key not in params:
                key = ALIASES.get(key, key)
            if key not in params:
                raise TypeError(
                    f"{self.name}() got an unexpected keyword argument '{key}'; it takes {', '.join(params)}"
                )
            i = params.index(key)
            if i < len(args):
                raise TypeError(f"{self.name}() got multiple values for argument '{key}'")
            values[i] = value
        for i, value in enumerate(values):
            if value is _NO_DEFAULT:
                if i < self.n_required:
                    raise TypeError(f"{self.name}() missing 1 required positional argument: '{params[i]}'")
                values[i] = self.defaults[i - self.n_required]
        return tuple(values)

    def plan(self, mask: int) -> Plan:
        """The plan for the inputs whose bits are set in `mask`."""
        plan = self._plans.get(mask)
        if plan is None:
            plan = self._plans[mask] = Plan(self, mask)
        return plan

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.params)})>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_by_name, (self.name,))


def _by_name(name: str) -> Op:
    return OPS[name]


@overload
def op(forward: Forward, /) -> Op: ...
@overload
def op(**options: Any) -> Callable[[Forward], Op]: ...
def op(forward: Forward | None = None, /, **options: Any) -> Op | Callable[[Forward], Op]:
    """Declare an op and enter it in the table; see the module docstring."""

    def declare(function: Forward) -> Op:
        declared = Op(function, **options)
        if declared.name in OPS:
            raise ValueError(f"op '{declared.name}' is declared twice")
        OPS[declared.name] = declared
        return declared

    return declare if forward is None else declare(forward)


def elementwise(name: str, forward: Forward, doc: str, /, **options: Any) -> Op:
    """Declare a one-input elementwise op as a line of the derivative table: `elementwise("exp", np.exp, "eˣ", x=lambda g, out: ...)`."""
    rules = {k: options.pop(k) for k in list(options) if k in ("x",)}

    def function(x: Any) -> Any:
        return forward(x)

    function.__name__ = name
    function.__doc__ = doc
    options.setdefault("promote", "float")
    if isinstance(forward, np.ufunc):
        options.setdefault("numpy", forward)
    declared: Op = op(function, **options)
    if isinstance(forward, np.ufunc):
        declared.forward = forward  # skip one Python call; the parameter is the same
    return declared.grad(**rules) if rules else declared


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    # inspect.signature costs more than importing the whole table should
    code = _code(function)
    return code.co_varnames[: code.co_argcount]


def _code(function: Callable[..., Any]) -> types.CodeType:
    code = getattr(function, "__code__", None)
    if code is None:
        raise TypeError(f"an op's forward and rules are plain Python functions, got {function!r}")
    return code  # type: ignore[no-any-return]


def _signature(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[Any, ...], int | None]:
    """Names, defaults, and the position of the parameter that torch lets callers spell as several arguments (`*size`, `*dims`)."""
    code = _code(function)
    if code.co_kwonlyargcount:
        raise TypeError(
            f"{function.__name__}: an op's forward is called by position, so it has no keyword-only parameters"
        )
    names = code.co_varnames[: code.co_argcount]
    return names, tuple(getattr(function, "__defaults__", None) or ()), getattr(function, "rest", None)


def rest_argument(position: int) -> Callable[[Forward], Forward]:
    """Mark a parameter that may be given as a sequence or as several positional arguments: `x.view(2, 3)` and `x.view((2, 3))`."""

    def mark(function: Forward) -> Forward:
        function.rest = position  # type: ignore[attr-defined]
        return function

    return mark


def _gather_rest(args: tuple[Any, ...], position: int, given_by_name: bool) -> tuple[Any, ...]:
    if given_by_name or len(args) == position:
        return args
    if len(args) == position + 1 and (isinstance(args[position], list | tuple) or args[position] is None):
        return args
    return (*args[:position], args[position:])
