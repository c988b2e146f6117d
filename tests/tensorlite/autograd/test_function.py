"""Ops written by the user, and checkpoints: computed again in the backward pass."""

import gc

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.autograd import Function, gradcheck, gradgradcheck
from tensorlite.autograd.function import once_differentiable
from tensorlite.utils.checkpoint import checkpoint, checkpoint_sequential


def leaf(*values):
    return tl.tensor(values, dtype=tl.float64, requires_grad=True)


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


class Exp(Function):
    @staticmethod
    def forward(x):
        return x.exp()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class SumAndProduct(Function):
    @staticmethod
    def forward(ctx, x, y, scale):
        ctx.save_for_backward(x, y)
        ctx.scale = scale
        return (x + y) * scale, x * y

    @staticmethod
    def backward(ctx, g_sum, g_product):
        x, y = ctx.saved_tensors
        return g_sum * ctx.scale + g_product * y, g_sum * ctx.scale + g_product * x, None


@pytest.mark.parametrize(
    ("function", "inputs"), [(Cube.apply, 1), (Exp.apply, 1), (lambda x, y: SumAndProduct.apply(x, y, 2.0), 2)]
)
def test_first_and_second_derivatives(function, inputs):
    arguments = [leaf(0.5, -1.5), leaf(2.0, 0.25)][:inputs]
    assert gradcheck(function, arguments)
    assert gradgradcheck(function, arguments)


def test_the_node_is_named_after_the_class_and_nothing_leaks():
    gc.collect()
    y = Exp.apply(leaf(1.0, 2.0))
    assert y.grad_fn.name() == "ExpBackward"
    y.sum().backward()
    del y
    assert gc.collect() == 0


def test_only_the_used_output_gets_a_cotangent_unless_asked_for_none():
    seen = []

    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            seen.append((a.tolist(), b.tolist()))
            return a + 2 * b

    x = leaf(1.0)
    Two.apply(x)[1].sum().backward()
    assert seen == [([0.0], [1.0])]
    assert x.grad.item() == 2.0


def bad(result):
    class Bad(Function):
        @staticmethod
        def forward(ctx, x, n):
            return x * n

        @staticmethod
        def backward(ctx, g):
            return result(g)

    return Bad


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (
            lambda g: g,
            RuntimeError,
            r"function BadBackward returned an incorrect number of gradients \(expected 2, got 1\)",
        ),
        (
            lambda g: (g[:1], None),
            RuntimeError,
            r"returned an invalid gradient at index 0 - got \[1\] but expected shape compatible with \[2\]",
        ),
        (lambda g: (g, g), RuntimeError, "returned a gradient different than None at position 2"),
        (lambda g: (1.0, None), TypeError, "expected a tensor or None as gradient 0, got float"),
    ],
)
def test_what_a_backward_may_not_return(result, error, message):
    with pytest.raises(error, match=message):
        bad(result).apply(leaf(1.0, 2.0), 3.0).sum().backward()


def test_needs_input_grad_and_non_differentiable_outputs():
    class Sort(Function):
        @staticmethod
        def forward(ctx, x, y):
            order = x.detach().argsort()
            ctx.save_for_backward(order)
            ctx.mark_non_differentiable(order)
            assert ctx.needs_input_grad == (True, False)
            return x[order], order

        @staticmethod
        def backward(ctx, g, _):
            (order,) = ctx.saved_tensors
            return tl.zeros_like(g).index_add(0, order, g), None

    x = leaf(3.0, 1.0, 2.0)
    values, order = Sort.apply(x, tl.ones(3))
    assert not order.requires_grad
    (values * tl.tensor([1.0, 10.0, 100.0], dtype=tl.float64)).sum().backward()
    assert x.grad.tolist() == [100.0, 1.0, 10.0]


def test_saved_tensors_are_guarded():
    x = leaf(1.0, 2.0) * 1
    y = Cube.apply(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_only_tensors_are_saved():
    class Saves(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(1.0)

    with pytest.raises(TypeError, match="save_for_backward can only save variables"):
        Saves.apply(leaf(1.0))


def test_once_differentiable():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return 2 * ctx.saved_tensors[0] * g

    x = leaf(3.0)
    assert tl.autograd.grad(Once.apply(x).sum(), x)[0].item() == 6.0


def test_without_grad_nothing_is_recorded():
    assert not Cube.apply(tl.ones(2)).requires_grad
    with tl.no_grad():
        assert not Cube.apply(leaf(1.0)).requires_grad


# -- checkpoint -------------------------------------------------------------------------------------------------------


def test_checkpoint_gives_the_same_gradients_and_computes_twice():
    weight, x = leaf(2.0, 3.0), leaf(0.5, -0.25)
    calls = []

    def block(x):
        calls.append(1)
        return (x * weight).tanh()

    block(x).sum().backward()
    expected = [x.grad.tolist(), weight.grad.tolist()]
    x.grad = weight.grad = None
    calls.clear()
    checkpoint(block, x).sum().backward()
    assert [x.grad.tolist(), weight.grad.tolist()] == expected
    assert len(calls) == 2


def test_checkpoint_draws_the_same_random_numbers_and_leaves_the_stream_alone():
    x = leaf(*np.ones(1000))
    tl.manual_seed(0)
    y = checkpoint(lambda x: x * tl.rand(1000, dtype=tl.float64), x)
    after = tl.rand(3).tolist()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.tolist(), y.tolist())
    tl.manual_seed(0)
    tl.rand(1000, dtype=tl.float64)
    assert tl.rand(3).tolist() == after


def test_checkpoint_when_only_parameters_require_grad():
    weight = leaf(2.0)
    checkpoint(lambda x: x * weight, tl.ones(1, dtype=tl.float64)).sum().backward()
    assert weight.grad.item() == 1.0


def test_checkpoint_of_what_is_no_argument_and_of_keywords_with_a_history_of_their_own():
    x, w = leaf(0.5, -0.25), leaf(2.0, 3.0)

    def block(a, *, scale):
        return (a * scale).tanh() * inner, None

    def gradients(run):
        nonlocal inner
        inner = w.exp()
        y, _ = run(block, x, scale=w.sin())
        return [g.tolist() for g in tl.autograd.grad((y * inner).sum(), [x, w])]

    inner = w
    assert gradients(checkpoint) == gradients(lambda f, *a, **k: f(*a, **k))


def test_checkpoint_inside_a_checkpoint_twice_differentiated():
    class Exponential(tl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    def plain(f, *a):
        return f(*a)

    def second(run):
        x, w = leaf(0.5, -0.25), leaf(2.0, 3.0)

        def inner(a):
            return Exponential.apply((a * w).sin())

        def outer(a, b):
            return run(inner, a) * b + run(inner, run(inner, b))

        y = run(outer, x, x * 2)
        first = tl.autograd.grad(y.sum(), [x, w], create_graph=True)
        return [g.tolist() for g in (*first, *tl.autograd.grad((first[0] ** 2).sum() + first[1].prod(), [x, w]))]

    assert second(checkpoint) == second(plain)


def test_checkpoint_of_a_view_whose_base_has_changed_since():
    def gradient(run):
        x = leaf(1.0, -0.5, 2.0, 0.25)
        y = x * 1
        v, w = y[1:], y[:2]
        y.mul_(1.5)
        return tl.autograd.grad(run(lambda a: a.exp() * w.sum(), v).sum(), x)[0].tolist()

    assert gradient(checkpoint) == gradient(lambda f, a: f(a))


def test_checkpoint_keeps_nothing_but_the_arguments():
    x = leaf(*np.ones(10))
    y = checkpoint(lambda x: x.exp().sin().exp(), x)
    node = y.grad_fn
    while node is not None and not hasattr(node, "variable"):
        assert node.saved is None
        node = node.next_functions[0][0]
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_checkpoint_says_that_a_function_did_not_do_the_same_again():
    x, calls = leaf(0.5), []

    def changing(a):
        calls.append(1)
        return a.exp() if len(calls) == 1 else a.exp().sin()

    y = checkpoint(changing, x)
    with pytest.raises(RuntimeError, match="the same both times"):
        y.sum().backward()


def test_checkpoint_notices_that_an_argument_was_changed():
    x = leaf(0.5) * 1
    y = checkpoint(lambda a: a * a, x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_function_that_asked_for_it_gets_none_for_an_output_without_gradient():
    seen = []

    class Two(tl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            seen.append(a)
            return b * 2

    x = leaf(0.5)
    Two.apply(x)[1].sum().backward()
    assert seen == [None]
    assert x.grad.tolist() == [2.0]


def test_checkpoint_sequential():
    weights = [leaf(1.5), leaf(0.5), leaf(2.0)]
    layers = [lambda x, w=w: (x * w).tanh() for w in weights]
    x = leaf(0.3)
    checkpoint_sequential(layers, 2, x).sum().backward()
    grads = [w.grad.item() for w in (*weights, x)]
    for w in (*weights, x):
        w.grad = None
    y = x
    for layer in layers:
        y = layer(y)
    y.sum().backward()
    np.testing.assert_allclose(grads, [w.grad.item() for w in (*weights, x)], rtol=1e-15)


def test_the_name_of_a_class_of_several_words_stays_as_it_is():
    class MyCube(Cube):
        pass

    assert "grad_fn=<MyCubeBackward>" in repr(MyCube.apply(leaf(1.0)))


def test_an_instance_is_refused_with_the_way_out():
    with pytest.raises(RuntimeError, match=r"Legacy autograd function .* Cube\.apply"):
        Cube()
