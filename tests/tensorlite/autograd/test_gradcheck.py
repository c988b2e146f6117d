"""gradcheck accepts what is right and rejects what is wrong: every kind of mistake that gradient rules have been seen to make."""

from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.autograd import GradcheckError, engine, gradcheck, gradgradcheck
from tensorlite.ops.table import OPS


def randn(*shape, seed=0):
    return tl.from_numpy(np.random.default_rng(seed).standard_normal(shape)).requires_grad_()


CASES = {
    "add": (lambda x, y: x + y, lambda: (randn(3, 1), randn(1, 4, seed=1))),
    "mul": (lambda x, y: x * y, lambda: (randn(3, 1), randn(4, seed=1))),
    "square by mul": (lambda x: x * x, lambda: (randn(3),)),
    "div": (lambda x, y: x / y, lambda: (randn(3, 2), randn(3, 1, seed=1))),
    "exp": (lambda x: x.exp(), lambda: (randn(3, 2),)),
    "tanh": (lambda x: x.tanh(), lambda: (randn(3, 2),)),
    "sum": (lambda x: x.sum(0), lambda: (randn(3, 2),)),
    "mean": (lambda x: x.mean(0), lambda: (randn(3, 2),)),
    "matmul": (lambda x, y: x @ y, lambda: (randn(3, 3), randn(3, 3, seed=1))),
    "matmul over a broadcast batch": (lambda x, y: x @ y, lambda: (randn(2, 3, 3), randn(1, 3, 3, seed=1))),
    "permute": (lambda x: x.permute(2, 0, 1), lambda: (randn(2, 2, 2),)),
    "negative step": (lambda x: x[::-1], lambda: (randn(4),)),
    "gather with duplicates": (lambda x: x[tl.tensor([0, 0, 2])], lambda: (randn(3, 2),)),
    "cat": (lambda x, y: tl.cat([x, y]), lambda: (randn(2), randn(2, seed=1))),
    "softmax": (lambda x: x.softmax(-1), lambda: (randn(3, 4),)),
    "layer_norm": (lambda x: tl.nn.functional.layer_norm(x, (4,)), lambda: (randn(3, 4),)),
    "relu with a zero": (
        lambda x: x.relu(),
        lambda: (tl.tensor([-1.0, 0.0, 1.0], dtype=tl.float64, requires_grad=True),),
    ),
    "a diamond": (lambda x: (lambda y: (y * x).exp() + y)(x.tanh()), lambda: (randn(3),)),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_right_passes(name):
    function, inputs = CASES[name]
    assert gradcheck(function, inputs())
    assert gradgradcheck(function, inputs())


def sloppy_float32(g, out):
    return (g.astype(np.float32) * out.astype(np.float32)).astype(np.float64) if isinstance(g, np.ndarray) else g * out


def mutating(g, out):
    if isinstance(g, np.ndarray):
        g *= out
        return g
    return g * out


def overwriting(g, index, x_shape):
    z = np.zeros(x_shape)
    z[index] = g
    return z


# what is wrong: case, op, rules
MUTANTS = {
    "a sign": ("div", "div", {"y": lambda g, x, y, rounding_mode: g * (x / y / y)}),
    "a factor of two": ("square by mul", "mul", {"x": lambda g, y: 2 * g * y}),
    "one of two equal parents forgotten": ("square by mul", "mul", {"y": lambda g, x: g * 0}),
    "a broadcast not undone": ("mul", "mul", {"x": lambda g, y: (g * y)[:, :1]}),
    "float32 inside": ("exp", "exp", {"x": sloppy_float32}),
    "the cotangent changed in place": ("exp", "exp", {"x": mutating}),
    "x in place of the output": ("tanh", "tanh", {"x": lambda g, x: g * (1 - x * x)}),
    "sum over the wrong axis": ("sum", "sum", {"x": lambda g, x_shape: np.broadcast_to(g * np.arange(2), x_shape)}),
    "mean divided by all elements": ("mean", "mean", {"x": lambda g, x_shape: np.broadcast_to(g / 6, x_shape)}),
    "matmul without a transpose": ("matmul", "matmul", {"x": lambda g, y: g @ y}),
    "matmul with one batch for all": (
        "matmul over a broadcast batch",
        "matmul",
        {"y": lambda g, x: (np.swapaxes(x, -1, -2) @ g)[:1]},
    ),
    "a permutation not inverted": ("permute", "permute", {"x": lambda g, dims: np.transpose(g, dims)}),
    "a negative step not flipped": ("negative step", "getitem", {"x": lambda g: g}),
    "duplicates overwritten": ("gather with duplicates", "getitem", {"x": overwriting}),
    "softmax without the sum": ("softmax", "softmax", {"x": lambda g, out: g * out}),
    "relu'(0) = 1": ("relu with a zero", "relu", {"x": lambda g, out: np.where(out >= 0, g, 0)}),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_rule_is_rejected(name):
    case, op_name, rules = MUTANTS[name]
    function, inputs = CASES[case]
    op = OPS[op_name]
    before, joint = dict(op.rules), op.joint_rule
    definition, op.definition = op.definition, None
    try:
        op.joint_rule = None
        op.grad(**rules)
        with pytest.raises(GradcheckError):
            gradcheck(function, inputs())
        assert gradcheck(function, inputs(), raise_exception=False) is False
    finally:
        op.rules.clear()
        op.rules.update(before)
        op.joint_rule, op.definition = joint, definition
        op.forget_plans()


def test_pieces_of_cat_swapped(monkeypatch):
    op = OPS["cat"]
    rule = op.joint_rule
    monkeypatch.setattr(op, "joint_rule", lambda g, needs, tensors_shape, dim: rule(g, needs, tensors_shape, dim)[::-1])
    op.forget_plans()
    try:
        with pytest.raises(GradcheckError):
            gradcheck(*_case("cat"))
    finally:
        op.forget_plans()


def test_layer_norm_without_the_mean_term(monkeypatch):
    op = OPS["layer_norm"]
    plan = type(op.plan(1))(op, 1)
    rule = plan.joint.rule
    plan.joint = plan.joint._replace(rule=lambda g, *rest: (rule(g, *rest)[0] + g.mean(-1, keepdims=True), None, None))
    monkeypatch.setitem(op._plans, 1, plan)
    with pytest.raises(GradcheckError):
        gradcheck(*_case("layer_norm"))


def _case(name):
    function, inputs = CASES[name]
    return function, inputs()


def test_an_engine_that_drops_what_arrives_second(monkeypatch):
    """A node walked before all of its cotangent has arrived, and never again."""
    real, seen = engine.run, set()

    def once(node, g, create_graph):
        if node in seen:
            return []
        seen.add(node)
        return real(node, g, create_graph)

    import heapq

    monkeypatch.setattr(engine, "heappush", lambda heap, item: heapq.heappush(heap, (-item[0], item[1])))
    monkeypatch.setattr(engine, "run", once)
    with pytest.raises(GradcheckError):
        gradcheck(*_case("a diamond"))


def test_gradients_that_share_memory(monkeypatch):
    """An engine that hands the cotangent itself to both inputs of a sum."""
    real = engine.grad

    def aliasing(*arguments):
        first = real(*arguments)
        return (
            tuple(first[:1]) * len(first) if len(first) > 1 and first[0]._data.shape == first[1]._data.shape else first
        )

    monkeypatch.setattr(engine, "grad", aliasing)
    with pytest.raises(GradcheckError, match="shares memory"):
        gradcheck(lambda x, y: x + y, (randn(3), randn(3, seed=1)))


def test_one_wrong_element_among_ten_thousand_is_rejected():
    class Square(tl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            wrong = 2 * x * g
            wrong[0] = 0
            return wrong

    with pytest.raises(GradcheckError):
        gradcheck(Square.apply, randn(10_000))


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(ValueError, match="expects at least one input tensor to require gradient"):
        gradcheck(lambda x: x * 2, tl.ones(2, dtype=tl.float64))
    with pytest.raises(ValueError, match="only meaningful in float64"):
        gradcheck(lambda x: x * 2, tl.ones(2, requires_grad=True))


def test_a_second_derivative_that_is_wrong_is_rejected():
    op = OPS["exp"]
    rule = op.rules["x"]
    try:
        op.grad(x=lambda g, out: g * (out.detach() if isinstance(out, tl.Tensor) else out))
        assert gradcheck(lambda x: x.exp(), randn(3))
        with pytest.raises(GradcheckError):
            gradgradcheck(lambda x: x.exp(), randn(3))
    finally:
        op.grad(x=rule)


def test_numbers_keep_their_shape_while_others_are_moved():
    """The cotangent of a loss is a number, and so may be one of several inputs."""
    x, scale = randn(3), tl.tensor(1.5, dtype=tl.float64, requires_grad=True)
    assert gradgradcheck(lambda x: (x * x).sum(), x)

    def scaled(x, scale):
        assert scale.shape == ()
        return (x * scale).exp()

    assert gradcheck(scaled, (x, scale))
    assert gradgradcheck(scaled, (x, scale))
