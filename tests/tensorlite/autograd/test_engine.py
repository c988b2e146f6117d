"""The backward walk: what arrives where, how often, and what stays untouched."""

import gc
import pickle
import threading
import tracemalloc

import numpy as np
import pytest

import tensorlite as tl


def leaf(*values, dtype=tl.float64):
    return tl.tensor(values, dtype=dtype, requires_grad=True)


def test_a_node_used_twice_is_walked_once_with_the_sum_of_its_cotangents():
    a = leaf(1.0, 2.0)
    b = a + a
    (b + b).backward(tl.tensor([1.0, 10.0], dtype=tl.float64))
    assert a.grad.tolist() == [4.0, 40.0]


@pytest.mark.parametrize(
    ("function", "expected"),
    [(lambda x: x * x, 6.0), (lambda x: x - x, 0.0), (lambda x: x / x, 0.0), (lambda x: x**x, 27 * (np.log(3) + 1))],
)
def test_the_same_tensor_as_both_operands(function, expected):
    x = leaf(3.0)
    function(x).backward(tl.ones(1, dtype=tl.float64))
    np.testing.assert_allclose(x.grad.item(), expected, atol=1e-14)


def test_the_same_tensor_twice_in_a_list():
    x = leaf(5.0, 6.0)
    tl.cat([x, x]).backward(tl.tensor([1.0, 2.0, 3.0, 4.0], dtype=tl.float64))
    assert x.grad.tolist() == [4.0, 6.0]


def test_diamonds_deep_enough_that_an_order_by_depth_would_be_wrong():
    x = leaf(0.3)
    y = x.tanh()
    z = (y * x).exp() + y  # y is reached directly and through z's other branch
    for _ in range(20):
        z = z * 0.5 + z * 0.5
    z.backward(tl.ones(1, dtype=tl.float64))
    t = np.tanh(0.3)
    expected = np.exp(t * 0.3) * (t + 0.3 * (1 - t * t)) + 1 - t * t
    np.testing.assert_allclose(x.grad.item(), expected, rtol=1e-14)


def test_no_two_gradients_share_memory_with_each_other_or_the_cotangent():
    x, y, g = leaf(1.0, 2.0), leaf(3.0, 4.0), tl.tensor([5.0, 6.0], dtype=tl.float64)
    (x + y).backward(g)
    arrays = [x.grad._data, y.grad._data, g._data]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    x.grad.add_(1)
    assert y.grad.tolist() == g.tolist() == [5.0, 6.0]


def test_the_gradient_of_a_sum_is_an_array_of_its_own():
    x = leaf(1.0, 2.0, 3.0)
    x.sum().backward()
    assert x.grad._data.flags.c_contiguous
    assert x.grad._data.flags.writeable
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


def test_gradients_accumulate_in_place():
    x = leaf(1.0, 2.0)
    (x * 3).sum().backward()
    first = x.grad
    (x * 4).sum().backward()
    assert x.grad is first
    assert x.grad.tolist() == [7.0, 7.0]


def test_a_second_pass_over_freed_values_raises_but_one_over_nothing_saved_does_not():
    x = leaf(1.0)
    y = x.exp()
    y.backward(tl.ones(1, dtype=tl.float64))
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward(tl.ones(1, dtype=tl.float64))
    z = (x + 1).sum()
    x.grad = None
    z.backward()
    z.backward()
    assert x.grad.item() == 2.0


def test_retain_graph():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: (x * 2).backward(), "grad can be implicitly created only for scalar outputs"),
        (
            lambda x: x.detach().sum().backward(),
            "element 0 of tensors does not require grad and does not have a grad_fn",
        ),
        (lambda x: (x * 2).backward(tl.ones(5)), "Mismatch in shape: grad_output"),
        (
            lambda x: tl.autograd.grad(x.sum(), [x, tl.ones(1, requires_grad=True)]),
            "The differentiated Tensor at index 1 appears to not have been used in the graph. Set allow_unused=True",
        ),
        (lambda x: (x * 2).sum().backward(inputs=[]), "'inputs' argument to backward\\(\\) cannot be empty"),
    ],
)
def test_errors(call, message):
    with pytest.raises(RuntimeError, match=message):
        call(leaf(1.0, 2.0))


def test_grad_of_an_unused_input():
    x, unused = leaf(1.0), leaf(2.0)
    assert tl.autograd.grad(x.sum(), [x, unused], allow_unused=True)[1] is None
    assert tl.autograd.grad(x.sum(), [x, unused], materialize_grads=True)[1].tolist() == [0.0]


def test_grad_with_respect_to_a_tensor_in_the_middle():
    x = leaf(2.0)
    y = x * 3
    z = (y * y).sum()
    gy, gx = tl.autograd.grad(z, [y, x])
    assert (gy.item(), gx.item()) == (12.0, 36.0)
    assert x.grad is None


def test_backward_with_inputs_fills_only_those():
    x, y = leaf(2.0), leaf(3.0)
    (x * y).sum().backward(inputs=[y])
    assert x.grad is None
    assert y.grad.item() == 2.0


def test_double_and_triple_backward():
    x = leaf(2.0)
    y = (x**4).sum()
    for expected in (32.0, 48.0, 48.0):
        (y,) = tl.autograd.grad(y, x, create_graph=True)
        assert y.item() == expected


def test_grad_of_a_result_is_none_with_a_warning_unless_retained():
    x = leaf(2.0)
    y = x * 3
    with pytest.warns(UserWarning, match="not a leaf Tensor is being accessed"):
        assert y.grad is None
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.item() == 12.0


def test_hooks_replace_and_are_removed():
    x = leaf(1.0, 2.0)
    y = x * 1
    seen = []
    handle = y.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: seen.append(g.tolist()))
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    handle.remove()
    y = x * 1
    y.sum().backward()
    assert seen == [[2.0, 2.0], [1.0, 1.0]]


def test_hook_errors():
    with pytest.raises(RuntimeError, match="cannot register a hook on a tensor that doesn't require gradient"):
        tl.ones(2).register_hook(lambda g: g)
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g[:1])
    with pytest.raises(RuntimeError, match="hook '<lambda>' has changed the size of value"):
        x.sum().backward()


@pytest.mark.parametrize("mode", [tl.no_grad, tl.inference_mode])
def test_nothing_is_recorded_in_no_grad_and_inference_mode(mode):
    x = leaf(1.0)
    with mode():
        y = x * 2
        with tl.enable_grad() if mode is tl.no_grad else tl.set_grad_enabled(True):
            z = x * 2
    assert not y.requires_grad
    assert z.requires_grad
    assert tl.is_grad_enabled()

    @mode()
    def function():
        return (x * 2).requires_grad

    assert function() is False


def test_no_grad_as_a_bare_decorator():
    @tl.no_grad
    def function(x):
        return x * 2

    assert not function(leaf(1.0)).requires_grad


def test_grad_mode_belongs_to_the_thread():
    found = []
    with tl.no_grad():
        thread = threading.Thread(target=lambda: found.append(tl.is_grad_enabled()))
        thread.start()
        thread.join()
    assert found == [True]


def test_inference_tensors_cannot_be_saved():
    with tl.inference_mode():
        frozen = tl.ones(2) * 1
    x = tl.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        x * frozen
    (x * frozen.clone()).sum().backward()


def test_a_freed_graph_leaves_nothing_to_the_garbage_collector():
    gc.collect()
    x = leaf(1.0, 2.0)
    y = ((x * x).exp() + x).sum()
    y.backward()
    del y
    assert gc.collect() == 0


def test_a_deep_chain_needs_no_recursion_and_gives_its_memory_back():
    x = tl.ones(1, requires_grad=True)
    tracemalloc.start()
    try:
        y = x
        for _ in range(20_000):
            y = y + x
        y.backward()
        assert x.grad.item() == 20_001
        del y
        x.grad = None
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 100_000


def test_copies():
    import copy

    x = leaf(1.0, 2.0)
    x.sum().backward()
    twin = copy.deepcopy(x)
    assert twin.requires_grad
    assert twin.grad.tolist() == [1.0, 1.0]
    assert not np.shares_memory(twin._data, x._data)
    assert pickle.loads(pickle.dumps(x)).tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(x * 2)


def test_assigning_a_gradient_of_another_shape_or_type_raises():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="assigned grad has data of a different size"):
        x.grad = tl.ones(3, dtype=tl.float64)
    with pytest.raises(RuntimeError, match="assigned grad has data of a different type"):
        x.grad = tl.ones(2)


@pytest.mark.parametrize("dtype", [tl.int64, tl.bool])
def test_only_floating_tensors_require_grad(dtype):
    with pytest.raises(RuntimeError, match="only Tensors of floating point dtype can require gradients"):
        tl.zeros(2, dtype=dtype).requires_grad_()


def test_node_names_and_edges():
    x = leaf(1.0)
    y = x * 2
    assert y.grad_fn.name() == "MulBackward0"
    ((accumulate, slot),) = y.grad_fn.next_functions
    assert accumulate.name() == "AccumulateGrad"
    assert accumulate.variable is x
    assert slot == 0


def test_errors_in_a_backward_name_the_op():
    from tensorlite.ops.table import OPS

    x = leaf(1.0)
    y = x.exp()
    rule = OPS["exp"].rules["x"]
    try:
        OPS["exp"].grad(x=lambda g, out: g.no_such_method())
        with pytest.raises(AttributeError) as caught:
            x.exp().backward(tl.ones(1, dtype=tl.float64))
    finally:
        OPS["exp"].grad(x=rule)
    assert "in the backward of 'exp'" in caught.value.__notes__
    y.backward(tl.ones(1, dtype=tl.float64))


def test_anomaly_mode_names_the_op_and_the_line():
    x = leaf(0.0)
    with tl.autograd.set_detect_anomaly(True):
        y = tl.where(x > 0, x.log(), 0.0)  # the line that made the logarithm
        z = (y * x).sqrt()
        with pytest.raises(RuntimeError, match="returned nan values in its 0th output") as caught:
            z.sum().backward()
    assert "test_engine.py" in caught.value.__notes__[1]
    assert not tl.autograd.is_anomaly_enabled()


@pytest.mark.slow
def test_a_chain_of_a_million_ops_gives_its_memory_back():
    x = tl.ones(1, requires_grad=True)
    tracemalloc.start()
    try:
        y = x
        for _ in range(1_000_000):
            y = y + x
        y.backward()
        assert x.grad.item() == 1_000_001
        del y
        x.grad = None
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 100_000


def test_hooks_after_the_accumulation_see_the_finished_gradient_and_may_drop_it():
    x, seen = tl.tensor([1.0, 2.0], requires_grad=True), []

    def step(p):
        seen.append((p is x, p.grad.tolist()))
        p.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    (x * x + x).sum().backward()
    assert seen == [(True, [3.0, 5.0])]
    assert x.grad is None
    handle.remove()
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    assert len(seen) == 1


def test_hooks_after_the_accumulation_are_for_leaves():
    x = tl.tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="non-leaf"):
        (x * 2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        tl.ones(1).register_post_accumulate_grad_hook(print)
