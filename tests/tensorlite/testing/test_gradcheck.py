"""gradcheck accepts right gradients, rejects wrong ones, says what they look like, and never fails falsely at kinks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given

import tensorlite as tl
from tensorlite.ops.table import OPS, op
from tensorlite.testing import GradcheckError, gradcheck, gradgradcheck, st
from tensorlite.testing.mutating import rules_replaced

assert hypothesis.__version__


@contextmanager
def user_op(forward: Any, **rules: Any) -> Iterator[Any]:
    declared = op(forward).grad(**rules)
    try:
        yield declared
    finally:
        del OPS[declared.name]


def cube(x: Any) -> Any:
    """x³."""
    return x * x * x


X = np.array([[0.5, -1.25], [2.0, 0.75]])


def test_right_gradient() -> None:
    report = gradcheck(lambda x: tl.tanh(x) @ x, [X])
    assert report.verdict == "pass"
    assert report.method == "complex step"
    assert report.analytic == pytest.approx(report.numeric, rel=1e-12)


def test_zero_element_among_thousands_is_found() -> None:
    def forget_first(g: Any, x: Any) -> Any:
        out = 2 * x * g
        out[0] = 0
        return out

    with rules_replaced(OPS["square"], x=forget_first), pytest.raises(GradcheckError, match=r"x0\[0\]"):
        gradcheck(tl.square, [np.linspace(0.5, 1.5, 3000)])


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda g, x: -3 * x * x * g, "sign"),
        (lambda g, x: 6 * x * x * g, "2 times too large|twice"),
        (lambda g, x: 5 * x * x * g, "constant factor"),
        (lambda g, x: np.swapaxes(3 * x * x * g, 0, 1), "transposed"),
        (lambda g, x: (3 * x * x * g)[::-1], "reversed|transposed"),
        (lambda g, x: g * 0, "zero everywhere"),
        (lambda g, x: (3 * x * x).astype(np.float32) * g, "float32"),
        (lambda g, x: 3 * x * x * g * (x > 0), "no gradient"),
        (lambda g, x: 3 * x * x * g / (x - x), "infinite|NaN"),
    ],
)
def test_what_a_wrong_rule_looks_like(rule: Any, says: str) -> None:
    with user_op(cube, x=rule) as f, np.errstate(all="ignore"):
        report = gradcheck(f, [X / 3 + 0.01], report="return")
        assert report.verdict == "fail"
        assert report.blame is not None
        assert report.blame.op == "cube"
        assert "test_gradcheck.py" in report.blame.source
        assert any(hypothesis_ in report.hint for hypothesis_ in says.split("|")), report.hint


def test_wrong_shape_and_changed_cotangent_are_reported() -> None:
    with user_op(cube, x=lambda g, x: (3 * x * x * g)[:1]) as f, pytest.raises(GradcheckError, match="shape"):
        gradcheck(f, [X])

    def overwrite(g: Any, x: Any) -> Any:
        g *= 3 * x * x
        return g

    with user_op(cube, x=overwrite) as f, pytest.raises(GradcheckError, match="in place"):
        gradcheck(f, [X])


def test_kinks() -> None:
    at_kink = np.array([0.0, 1.0, -1.0])
    assert gradcheck(tl.relu, [at_kink]).verdict == "kink"
    assert gradcheck(tl.abs, [at_kink], kinks="subgradient").ok
    assert gradcheck(tl.relu, [at_kink], kinks="convention").ok
    with rules_replaced(OPS["relu"], x=lambda g, x: g * (x >= 0)):
        assert gradcheck(tl.relu, [at_kink], kinks="subgradient").ok  # 1 is a subgradient, too
        with pytest.raises(GradcheckError, match="convention"):
            gradcheck(tl.relu, [at_kink], kinks="convention")
    tied = np.array([1.0, 1.0, 0.0])
    with rules_replaced(OPS["amax"], x=lambda g, x, out: g * (x == out)), pytest.raises(GradcheckError, match="add up"):
        gradcheck(tl.amax, [tied], kinks="subgradient")


def test_a_function_too_rough_for_the_numeric_derivative_is_inconclusive_not_wrong() -> None:
    def rough(x: Any) -> Any:
        return tl.sin(x * 1e6) * tl.floor(x * 0 + 1)

    assert gradcheck(rough, [np.array([0.3])], method="richardson", report="return").verdict in (
        "pass",
        "inconclusive",
        "kink",
    )


def test_second_order() -> None:
    assert gradgradcheck(lambda x: tl.exp(x) * tl.sin(x), [X]).order == 2
    # a rule that hides its dependence on x is right once and wrong twice
    frozen = lambda g, x: g * np.exp(np.asarray(x.detach() if hasattr(x, "detach") else x))
    with rules_replaced(OPS["exp"], x=frozen):
        assert gradcheck(tl.exp, [X]).ok
        with pytest.raises(GradcheckError):
            gradgradcheck(tl.exp, [X])


def test_float32_and_options() -> None:
    assert gradcheck(tl.tanh, [tl.tensor(X, dtype=tl.float32, requires_grad=True)]).ok
    with pytest.raises(ValueError, match="kinks is one of"):
        gradcheck(tl.tanh, [X], kinks="ignore")
    with pytest.raises(ValueError, match="no input"):
        gradcheck(tl.tanh, [3])


def test_report_as_html_and_dict() -> None:
    with user_op(cube, x=lambda g, x: x * g) as f:
        report = gradcheck(f, [X], report="return")
    assert "<table" in report._repr_html_()
    assert report.as_dict()["ok"] is False
    assert "cube" in str(report)
    assert "worst" in str(report)


@given(st.arrays(elements="floats", layouts=["strided", "reversed", "readonly", "transposed", "stride0"]))
def test_no_false_alarm_on_awkward_values_and_layouts(x: Any) -> None:
    gradcheck(lambda t: tl.relu(t) * t + tl.logaddexp(t, t * 0), [x])


@given(st.arrays(shape=st.shapes(1, 2), elements="coarse"))
def test_assume_draws_another_point(x: Any) -> None:
    assert gradcheck(lambda t: tl.abs(t).sum(), [x], kinks="assume").verdict == "pass"
