"""gradcheck on functions, inputs and scales out of the ordinary: no wrong gradient passes, no right one fails, nothing is passed unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch

import tensorlite as tl
from tensorlite.ops.table import OPS, op
from tensorlite.testing import GradReport, generate, gradcheck
from tensorlite.testing.mutating import rules_replaced
from tensorlite.testing.source import RandomSource

assert hypothesis.__version__

V = np.array([0.5, -1.25, 2.0])
Z = np.array([[0.5 + 1j, -1.25 - 0.5j], [2.0, 0.75j]])
RNG = np.random.default_rng(0)


def check(f: Callable[..., Any], *inputs: Any, **options: Any) -> GradReport:
    return gradcheck(f, list(inputs), **{"report": "return", **options})


@contextmanager
def declared(forward: Any, **rules: Any) -> Iterator[Any]:
    found = op(forward).grad(**rules)
    try:
        yield found
    finally:
        del OPS[found.name]


def three_halves() -> Any:
    """`square` with a gradient that is 1.5 times too large."""
    return rules_replaced(OPS["square"], x=lambda g, x: 3 * g * x)


# -- a wrong gradient that hides --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (tl.square, np.array([1.0, np.nan, 2.0])),
        (tl.square, np.array([1.0, np.inf, 2.0])),
        (lambda x: tl.square(x) + tl.log(tl.tensor([1.0, -1.0, 0.0], dtype=tl.float64)), V),
        (lambda x: tl.relu(x) + tl.square(x), np.array([0.0, 1.0, 2.0])),
        (lambda x: tl.relu(x).sum() + tl.square(x).sum(), np.array([0.0, 1.0, 2.0])),
        (lambda x: tl.square(x) * 1e-14, V),
        (tl.square, V * 1e-10),
        (tl.square, V * 1e14),
        (tl.square, Z),
    ],
    ids=[
        "NaN input",
        "inf input",
        "NaN output",
        "kink elsewhere",
        "kink in a sum",
        "tiny",
        "tiny input",
        "huge",
        "complex",
    ],
)
def test_wrong_gradient_does_not_hide(f: Any, x: Any) -> None:
    with three_halves():
        report = check(f, x)
    assert report.verdict == "fail"
    assert report.blame is not None
    assert report.blame.op == "square"
    assert check(f, x).ok


def test_small_gradient_does_not_hide_beside_a_large_one() -> None:
    a, b = RNG.standard_normal((2, 100))
    with rules_replaced(OPS["tanh"], x=lambda g, x: g * 0):
        assert check(lambda a, b: a * 1e12 + tl.tanh(b), a, b).verdict == "fail"
    assert check(lambda a, b: a * 1e12 + tl.tanh(b), a, b).verdict == "pass"


def test_imaginary_part_that_is_lost_in_one_term_is_noticed() -> None:
    with declared(lambda x: np.abs(x) * 1.0, x=lambda g: g * 0) as lossy:
        assert check(lambda x: lossy(x) + x + 1e6, V).verdict == "fail"


def test_full_looks_at_every_element() -> None:
    def off_by_little(g: Any, x: Any) -> Any:
        out = 2 * x * g
        out[-1] *= 1 + 1e-8
        return out

    with rules_replaced(OPS["square"], x=off_by_little):
        assert check(tl.square, np.linspace(0.5, 1.5, 4200), full=True, directions=1).verdict == "fail"


def test_rule_that_is_right_once() -> None:
    def use_up(g: Any, x: Any) -> Any:
        out = 2 * x * g
        x *= 0.5  # what was saved is not the rule's to change
        return out

    with rules_replaced(OPS["square"], x=use_up):
        report = check(lambda x: tl.square(x * 1), V)
    assert "second backward" in report.message
    assert report.blame is not None
    assert report.blame.op == "square"


def test_second_order_names_the_op() -> None:
    frozen = lambda g, x: g * np.exp(np.asarray(x.detach() if hasattr(x, "detach") else x))
    with rules_replaced(OPS["exp"], x=frozen):
        report = check(lambda x: tl.sin(x) * tl.exp(x), V, order=2)
    assert report.verdict == "fail"
    assert report.blame is not None
    assert report.blame.op == "exp"


# -- a right gradient that must not be called wrong -------------------------------------------------------------------


def smooth(x: Any) -> Any:
    return tl.exp(x) * x + tl.sin(x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_every_precision(dtype: str) -> None:
    x = (Z if dtype.startswith("complex") else V).astype(dtype)
    assert check(smooth, x).verdict == "pass"
    with three_halves():
        assert check(lambda x: tl.square(x), x).verdict == "fail"


@pytest.mark.parametrize("size", [1e-100, 1e-30, 1e-12, 1e-5, 1e5, 1e12, 1e100])
def test_every_scale(size: float) -> None:
    x = np.abs(V) * size
    for f in (tl.log, tl.sqrt, lambda x: 1 / x, lambda x: x * x):
        assert check(f, x).ok, f
    assert check(tl.log, x).verdict == "pass"


def test_a_tensor_given_twice() -> None:
    x = tl.tensor(V, requires_grad=True)
    assert check(lambda a, b: a * b, x, x).verdict == "pass"


def test_integer_and_boolean_arrays_become_tensors() -> None:
    assert check(
        lambda x, i, m: tl.where(m, x.gather(0, i), 0), V, np.array([0, 0, 2]), np.array([True, False, True])
    ).ok
    assert check(lambda x, i: x.gather(0, i), torch.tensor(V, requires_grad=True), np.array([0, 0, 2])).ok


def test_outputs_in_dicts_and_nested() -> None:
    assert check(lambda x: {"a": x * 2, "b": (x.sum(), [x, {"c": x * x}])}, V).verdict == "pass"


def test_kinks_that_nobody_reports() -> None:
    """torch's functions, and ops that branch without saying so, are recognised by their slopes on either side."""
    tie = np.array([0.0, 1.0])
    assert check(torch.relu, torch.tensor(tie, requires_grad=True)).verdict == "kink"
    with declared(lambda x: np.where(x.real > 0, x, 0 * x), x=lambda g, x: g * (x >= 0)) as relu_with_1_at_0:
        assert check(relu_with_1_at_0, tie).verdict == "kink"
    assert check(lambda x: x * 2 if float(x.sum()) > 0 else x * 3, np.zeros(2)).verdict == "kink"
    assert (
        check(lambda x: tl.relu(x), RNG.standard_normal(20_000)).verdict == "pass"
    )  # some are near a kink, none is at one


def test_cancellation_in_a_complex_step_is_not_blamed_on_the_gradient() -> None:
    def closed_form(x: Any) -> Any:
        """sin(x) / x with the derivative by its series: near 0 the complex step of the quotient has lost its digits, the rule has not."""
        return np.sin(x) / x

    with declared(closed_form, x=lambda g, x: g * (-x / 3 + x * x * x / 30)) as quotient:
        assert check(quotient, np.array([1e-8, -1e-9, 3e-10])).ok


def test_small_kink_beside_large_terms() -> None:
    """|x| at 5e-11 in a function whose branches are not reported, beside terms a thousand times larger."""
    with declared(lambda x: np.where(x.real > 0, x, -x) * 1e-3, x=lambda g, x: g * np.sign(x) * 1e-3) as shallow:
        f = lambda x, y: (shallow(x), tl.exp(y))
        assert check(f, np.array([5e-11, -0.4]), V, method="richardson", full=False).ok


@pytest.mark.parametrize("elements", ["coarse", "floats", "extreme"])
def test_programs_of_other_elements(elements: str) -> None:
    programs = [generate(RandomSource((5, k), elements), max_ops=6) for k in range(60)]
    assert [str(p) for p in programs if p.leaves and not p.check(directions=1).ok] == []


# -- what cannot be checked says so -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "inputs", "options", "says"),
    [
        (lambda x: None, [V], {}, "returned no tensorlite tensor"),
        (lambda x: x.detach().numpy(), [V], {}, "returned no tensorlite tensor"),
        (lambda x: tl.nn.functional.dropout(x, 0.5), [np.ones(50)], {}, "other values when it is called again"),
        (lambda ts, y: ts[0] * y, [[V], V], {}, "input 0 is a list that holds tensors"),
        (lambda ts, y: ts["a"] * y, [{"a": tl.tensor(V, requires_grad=True)}, V], {}, "input 0 is a dict"),
        (tl.square, [V], {"directions": 0}, "at least one direction"),
        (tl.square, [V], {"seed": -1}, "seed that is not negative"),
        (tl.square, [V], {"method": "fd"}, "method one of"),
    ],
)
def test_nothing_is_passed_unseen(f: Any, inputs: Any, options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        gradcheck(f, inputs, **options)


def test_torch_dropout_is_not_called_wrong() -> None:
    with pytest.raises(ValueError, match="other values"):
        check(lambda x: torch.nn.functional.dropout(x, 0.5), torch.tensor([0.3, 1.0] * 25, requires_grad=True))


def test_function_that_changes_its_input() -> None:
    def f(x: Any, i: Any) -> Any:
        i.mul_(2).clamp_(0, 2)
        return x[i]

    report = check(f, V, tl.tensor([0, 1, 2]))
    assert "the function changed its input 1" in report.message
    assert report.blame is None


def test_another_result_under_no_grad() -> None:
    assert "under no_grad" in check(lambda x: x * 2 if tl.is_grad_enabled() else x * 3, V).message


def test_integer_outputs_are_noted() -> None:
    assert "no output is a floating-point tensor" in check(lambda x: x.argmax(), V).notes[0]


# -- whose fault it is ------------------------------------------------------------------------------------------------


class Wrong(tl.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, power: int, y: Any) -> Any:
        ctx.save_for_backward(x, y)
        return x**power * y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        return 3 * g * x * y, None, g * x * x


def test_a_function_of_the_user_is_blamed() -> None:
    report = check(lambda x, y: tl.sin(Wrong.apply(x, 2, y) * 2), V, V + 3)
    assert report.blame is not None
    assert report.blame.op == "Wrong"
    assert "Wrong.backward at test_awkward_functions.py" in report.blame.source


@pytest.mark.parametrize(
    ("f", "into"),
    [
        (lambda x: x.detach() * x, "op 'mul' as x"),
        (lambda x: tl.tensor(np.sin(x.detach().numpy())) + x, "op 'add' as x"),
        (lambda x: tl.tensor(np.sin(x.detach().numpy())), "output 0"),
    ],
)
def test_a_lost_gradient_is_not_blamed_on_the_engine(f: Any, into: str) -> None:
    report = check(f, V)
    assert report.verdict == "fail"
    assert report.blame is not None
    assert report.blame.op == "(no gradient)"
    assert into in str(report.blame)
    assert report.hint == ""


def test_one_number_looks_like_nothing() -> None:
    with rules_replaced(OPS["tanh"], x=lambda g, x: g * (1 - x * x)):
        assert "constant factor" not in check(tl.tanh, np.array([0.7])).hint
