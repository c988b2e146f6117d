"""A stateful test: random sequences of ops, views, in-place ops, hooks, detach and backward passes, on tensorlite and on a reference at once.

`TensorMachine` has torch as the reference: values, gradients, sharing of memory, and *whether an error is raised* must agree, except that
tensorlite may go on after a first backward where it had saved no array, and torch had saved a number or a view. `NumpyMachine`
has plain NumPy arrays: values and sharing of memory must agree, whatever backward, hooks and in-place ops do.

    TestTensors = TensorMachine.TestCase        # in a test module: hypothesis runs it
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as hs
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule

import tensorlite as tl

_UNARY = ("exp", "tanh", "neg", "square", "sin")
_BINARY = ("add", "mul", "sub")
_INPLACE = ("mul_", "add_", "sub_")
_VIEWS: dict[str, Callable[[Any], Any]] = {
    "t": lambda x: x.t(),
    "flat": lambda x: x.reshape(-1),
    "first": lambda x: x[0],
    "tail": lambda x: x[1:],
    "column": lambda x: x[..., 0],
    "unsqueeze": lambda x: x.unsqueeze(0),
    "detach": lambda x: x.detach(),
    "clone": lambda x: x.clone(),
    "contiguous": lambda x: x.contiguous(),
}
_ERRORS = (RuntimeError, IndexError, ValueError, TypeError)


class Pair:
    """One tensor of each library, made by the same steps."""

    def __init__(self, mine: Any, theirs: Any) -> None:
        self.mine, self.theirs = mine, theirs


class TensorMachine(RuleBasedStateMachine):
    """tensorlite against torch, step by step."""

    pairs = Bundle("pairs")
    leaf_values = hs.lists(hs.integers(-8, 8), min_size=4, max_size=4)

    def __init__(self) -> None:
        super().__init__()
        self.reference = self.library()
        self.all: list[Pair] = []
        self.raised = False  # by the last step

    def library(self) -> Any:
        """The reference. Raises RuntimeError where torch is not installed."""
        if importlib.util.find_spec("torch") is None:
            raise RuntimeError("TensorMachine needs torch as the reference; NumpyMachine does not")
        return importlib.import_module("torch")

    def both(self, act: Callable[..., Any], *arguments: Pair, result: bool = True) -> Any:
        """Do the same in both libraries; both must raise, or neither; values must agree. Returns the new pair, or None after an error."""
        outcomes: list[Any] = []
        errors: list[Exception | None] = []
        for library, pick in ((tl, "mine"), (self.reference, "theirs")):
            try:
                outcomes.append(act(library, *[getattr(a, pick) for a in arguments]))
                errors.append(None)
            except _ERRORS as error:
                outcomes.append(None)
                errors.append(error)
        self.raised = errors[1] is not None
        freed = "backward through the graph a second time" in str(errors[1])  # torch frees more than arrays
        if (errors[0] is None) != (errors[1] is None) and not (freed and errors[0] is None):
            raise AssertionError(f"tensorlite: {errors[0]!r}; torch: {errors[1]!r}")
        if self.raised or not result:
            return None
        pair = Pair(*outcomes)
        self.all.append(pair)
        return pair

    # -- rules --------------------------------------------------------------------------------------------------------

    @initialize(target=pairs, values=leaf_values)
    def first_leaf(self, values: list[int]) -> Pair:
        return self.leaf(values, True)

    @rule(target=pairs, values=leaf_values, requires_grad=hs.booleans())
    def create(self, values: list[int], requires_grad: bool) -> Pair:
        return self.leaf(values, requires_grad)

    def leaf(self, values: list[int], requires_grad: bool) -> Pair:
        array = np.array(values, np.float64).reshape(2, 2) / 8
        pair = Pair(
            tl.tensor(array, dtype=tl.float64, requires_grad=requires_grad),
            self.reference.tensor(array, dtype=self.reference.float64, requires_grad=requires_grad),
        )
        self.all.append(pair)
        return pair

    @rule(target=pairs, x=pairs, name=hs.sampled_from(_UNARY))
    def unary(self, x: Pair, name: str) -> Any:
        return self.kept(self.both(lambda lib, t: getattr(lib, name)(t), x), x)

    @rule(target=pairs, x=pairs, y=pairs, name=hs.sampled_from(_BINARY))
    def binary(self, x: Pair, y: Pair, name: str) -> Any:
        return self.kept(self.both(lambda lib, a, b: getattr(lib, name)(a, b), x, y), x)

    @rule(target=pairs, x=pairs, name=hs.sampled_from(sorted(_VIEWS)))
    def view(self, x: Pair, name: str) -> Any:
        if name in ("flat", "contiguous") and x.mine.stride() != x.theirs.stride():
            return x  # a sum of two memory orders lies in either of them, so one library may have to copy where the other need not
        return self.kept(self.both(lambda lib, t: _VIEWS[name](t), x), x)

    @rule(x=pairs, y=pairs, name=hs.sampled_from(_INPLACE))
    def in_place(self, x: Pair, y: Pair, name: str) -> None:
        if np.shares_memory(x.mine.detach().numpy(), y.mine.detach().numpy()):
            return  # `x.mul_(x)`: torch refuses the backward, tensorlite keeps the old values and gets it right
        self.refresh(x)
        self.both(lambda lib, a, b: getattr(a, name)(b), x, y, result=False)

    @rule(x=pairs, name=hs.sampled_from(_INPLACE))
    def in_place_number(self, x: Pair, name: str) -> None:
        self.refresh(x)
        self.both(lambda lib, a: getattr(a, name)(0.5), x, result=False)

    @rule(x=pairs, value=hs.integers(-2, 2))
    def set_item(self, x: Pair, value: int) -> None:
        self.refresh(x)
        self.both(lambda lib, a: a.__setitem__(0, value / 2), x, result=False)

    @rule(x=pairs)
    def in_place_without_grad(self, x: Pair) -> None:
        def act(lib: Any, a: Any) -> None:
            with lib.no_grad():
                a.mul_(0.5)

        self.both(act, x, result=False)

    @rule(x=pairs)
    def hook(self, x: Pair) -> None:
        if x.theirs._is_view():
            return  # torch 2.13 ends with a segmentation fault when a hook is put on a view whose base was changed in place
        self.both(lambda lib, a: a.register_hook(lambda g: g * 2), x, result=False)

    @rule(x=pairs)
    def retain(self, x: Pair) -> None:
        self.both(lambda lib, a: a.retain_grad(), x, result=False)

    @rule(x=pairs, keep=hs.booleans())
    def backward(self, x: Pair, keep: bool) -> None:
        self.both(lambda lib, a: a.sum().backward(retain_graph=True), x, result=False)
        if self.raised:
            for pair in self.all:  # what was reached before the error depends on the order of the walk
                pair.mine.grad = pair.theirs.grad = None
        elif not keep:
            self.both(lambda lib, a: a.sum().backward(), x, result=False)
            assert not self.raised, "backward without retain_graph raised where it did not with it"
        self.agree()

    @precondition(lambda self: len(self.all) > 1)
    @rule(x=pairs)
    def zero(self, x: Pair) -> None:
        x.mine.grad = None
        x.theirs.grad = None

    @staticmethod
    def refresh(x: Pair) -> None:
        """torch finds out that the base of a view was changed in place when it is asked for the view's `grad_fn`, and may refuse before that."""
        _ = x.theirs.grad_fn

    @staticmethod
    def kept(made: Any, instead: Pair) -> Pair:
        return instead if made is None else made

    # -- what must agree ----------------------------------------------------------------------------------------------

    def agree(self) -> None:
        """Values, gradients, versions and the sharing of memory are the same in both libraries."""
        for k, pair in enumerate(self.all):
            a, b = pair.mine.detach().numpy(), pair.theirs.detach().numpy()
            assert np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True), f"value of tensor {k}: {a}, torch {b}"
            assert pair.mine.requires_grad == pair.theirs.requires_grad, f"requires_grad of tensor {k}"
            assert pair.mine.is_leaf == pair.theirs.is_leaf, f"is_leaf of tensor {k}"
            if pair.theirs.is_leaf or pair.theirs.retains_grad:
                g, h = pair.mine.grad, pair.theirs.grad
                assert (g is None) == (h is None), f".grad of tensor {k}: {g}, torch {h}"
                if g is not None:
                    assert np.allclose(g.numpy(), h.numpy(), rtol=1e-9, atol=1e-12, equal_nan=True), (
                        f".grad of tensor {k}: {g}, torch {h}"
                    )
        for i, p in enumerate(self.all):
            for j, q in enumerate(self.all[:i]):
                mine = np.shares_memory(p.mine.detach().numpy(), q.mine.detach().numpy())
                theirs = np.shares_memory(p.theirs.detach().numpy(), q.theirs.detach().numpy())
                assert mine == theirs, f"tensors {j} and {i} share memory: {mine}, in torch {theirs}"

    def teardown(self) -> None:
        if hasattr(self, "all"):
            self.agree()


class Values:
    """A NumPy array with the methods that the rules call; what has to do with gradients does nothing."""

    grad: Any = None
    grad_fn: Any = None

    def __init__(self, array: Any) -> None:
        self.array = array

    def t(self) -> Values:
        return Values(self.array.T)

    def stride(self) -> tuple[int, ...]:
        return tuple(n // self.array.itemsize for n in self.array.strides)

    def reshape(self, *shape: int) -> Values:
        return Values(self.array.reshape(*shape))

    def unsqueeze(self, dim: int) -> Values:
        return Values(np.expand_dims(self.array, dim))

    def detach(self) -> Values:
        return Values(self.array)

    def clone(self) -> Values:
        return Values(self.array.copy())

    def contiguous(self) -> Values:
        return Values(np.ascontiguousarray(self.array) if self.array.ndim else self.array)

    def __getitem__(self, index: Any) -> Values:
        return Values(self.array[index if isinstance(index, tuple) else (index, ...)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.array[index] = value

    def mul_(self, other: Any) -> None:
        self.array *= _plain(other)

    def add_(self, other: Any) -> None:
        self.array += _plain(other)

    def sub_(self, other: Any) -> None:
        self.array -= _plain(other)

    def sum(self) -> Values:
        return self

    def _nothing(self, *arguments: Any, **options: Any) -> None:
        return None

    backward = register_hook = retain_grad = _nothing

    def _is_view(self) -> bool:
        return False


def _plain(x: Any) -> Any:
    return x.array if isinstance(x, Values) else x


class _Numpy:
    """NumPy under the names that the rules use."""

    no_grad = staticmethod(contextlib.nullcontext)
    float64 = np.float64

    def __getattr__(self, name: str) -> Callable[..., Values]:
        function = getattr(np, {"neg": "negative", "mul": "multiply", "sub": "subtract"}.get(name, name))
        return lambda *arguments: Values(np.asarray(function(*map(_plain, arguments))))

    def tensor(self, array: Any, dtype: Any = None, requires_grad: bool = False) -> Values:
        return Values(np.array(array))


class NumpyMachine(TensorMachine):
    """tensorlite against NumPy: whatever is recorded, values and the sharing of memory are those of arrays."""

    def library(self) -> Any:
        return _Numpy()

    def both(self, act: Callable[..., Any], *arguments: Pair, result: bool = True) -> Any:
        try:
            mine = act(tl, *[a.mine for a in arguments])
        except _ERRORS:
            self.raised = True
            return None  # an error has to leave all values as they were
        self.raised = False
        with np.errstate(all="ignore"):
            theirs = act(self.reference, *[a.theirs for a in arguments])
        if not result:
            return None
        pair = Pair(mine, theirs)
        self.all.append(pair)
        return pair

    def agree(self) -> None:
        """Values and the sharing of memory are those of the arrays."""
        for i, p in enumerate(self.all):
            a, b = p.mine.detach().numpy(), p.theirs.array
            assert np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True), f"value of tensor {i}: {a}, NumPy {b}"
            for j, q in enumerate(self.all[:i]):
                mine, theirs = np.shares_memory(a, q.mine.detach().numpy()), np.shares_memory(b, q.theirs.array)
                assert mine == theirs, f"tensors {j} and {i} share memory: {mine}, in NumPy {theirs}"
