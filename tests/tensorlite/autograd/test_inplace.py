"""In-place ops and views: histories rewritten, versions counted, and every forbidden case refused."""

import numpy as np
import pytest

import tensorlite as tl


def leaf(*values):
    return tl.tensor(values, requires_grad=True)


@pytest.mark.parametrize(
    "change", [lambda x: x.add_(1), lambda x: x.__iadd__(1), lambda x: x.__setitem__(0, 1.0), lambda x: x.exp_()]
)
def test_a_leaf_that_requires_grad_may_not_be_changed(change):
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        change(leaf(1.0, 2.0))


def test_nor_may_a_view_of_one():
    with pytest.raises(
        RuntimeError, match="a view of a leaf Variable that requires grad is being used in an in-place operation"
    ):
        leaf(1.0, 2.0)[:1].add_(1)


def test_under_no_grad_it_may():
    x = leaf(1.0, 2.0)
    with tl.no_grad():
        x += 1
    assert x.tolist() == [2.0, 3.0]
    assert x.is_leaf
    assert x.requires_grad
    x.data.mul_(2)
    assert x.tolist() == [4.0, 6.0]


def test_changing_a_saved_output_is_noticed():
    y = leaf(1.0, 2.0).exp()
    y.add_(1)
    with pytest.raises(
        RuntimeError,
        match=r"\[torch.FloatTensor \[2\]\], which is output 0 of ExpBackward0, is at version 1; expected version 0 instead",
    ):
        y.sum().backward()


def test_changing_a_saved_input_is_noticed():
    z = leaf(1.0, 2.0) * 1
    y = z * z
    z.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_anomaly_mode_shows_the_line_that_changed_it():
    with tl.autograd.set_detect_anomaly(True):
        y = leaf(1.0, 2.0).exp()
        y.add_(1)  # here
        with pytest.raises(RuntimeError, match=r"y\.add_\(1\)  # here"):
            y.sum().backward()


def test_changing_an_input_that_nobody_saved_is_fine():
    x = leaf(1.0, 2.0)
    z = x * 1
    y = z + 1
    z.add_(1)
    (y + z).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_an_optimizer_step_between_forward_and_backward_is_noticed():
    w, x = leaf(1.0), leaf(2.0)
    y = (w * x).sum()
    with tl.no_grad():
        w.sub_(0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_an_inplace_op_whose_rule_needs_the_old_value_keeps_a_copy():
    w = leaf(3.0)
    z = tl.tensor([2.0]) * 1
    z.mul_(w)
    z.sum().backward()
    assert w.grad.item() == 2.0


def test_an_inplace_op_whose_rule_needs_the_output():
    x = leaf(0.0, 1.0)
    y = x * 1
    y.exp_()
    y.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), np.exp([0.0, 1.0]), rtol=1e-6)
    y = x * 1
    y.exp_()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_through_a_view_the_history_of_the_base_is_rewritten():
    x = leaf(1.0, 2.0)
    z = x * 1
    v = z[0:1]
    v.mul_(3)
    assert z.tolist() == [3.0, 2.0]
    assert "CopySlices" in z.grad_fn.name()
    z.sum().backward()
    assert x.grad.tolist() == [3.0, 1.0]


def test_through_a_view_of_a_view_with_a_transpose():
    x = tl.arange(6.0).reshape(2, 3).requires_grad_()
    z = x * 1
    v = z.transpose(0, 1)[1:]
    w = leaf(10.0, 20.0)
    v.mul_(w)
    weights = tl.arange(1.0, 7.0).reshape(2, 3)
    (z * weights).sum().backward()
    assert x.grad.tolist() == [[1.0, 20.0, 30.0], [4.0, 100.0, 120.0]]
    assert w.grad.tolist() == [1 * 2.0 + 2 * 3.0, 4 * 5.0 + 5 * 6.0]


def test_a_view_made_earlier_follows_the_base():
    x = leaf(1.0, 2.0)
    z = x * 1
    v = z[:]
    z.mul_(3)
    assert v.tolist() == [3.0, 6.0]
    v.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_view_of_a_plain_tensor_gets_a_history_with_its_base():
    z = tl.zeros(3)
    v = z[0:2]
    w = leaf(5.0)
    z[1] = w[0] * 2
    assert v.requires_grad
    v.sum().backward()
    assert w.grad.item() == 2.0


def test_base_and_views_share_one_version():
    z = tl.ones(4)
    v = z[1:]
    v.add_(1)
    z.add_(1)
    assert z._version == v._version == 2
    assert z.detach()._version == 2


@pytest.mark.parametrize("split", [lambda z: z.unbind(), lambda z: z.chunk(2), lambda z: z.split(1)])
def test_one_of_several_views_may_not_be_changed(split):
    z = leaf(1.0, 2.0) * 1
    with pytest.raises(RuntimeError, match="This view is the output of a function that returns multiple views"):
        split(z)[0].add_(1)


def test_a_view_made_under_no_grad_may_not_be_changed_with_grad():
    z = leaf(1.0, 2.0) * 1
    with tl.no_grad():
        v = z[:1]
    w = leaf(1.0)
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode"):
        v.add_(w)


def test_an_expanded_tensor_may_not_be_written_to():
    with pytest.raises(
        RuntimeError, match="more than one element of the written-to tensor refers to a single memory location"
    ):
        tl.zeros(1).expand(3).add_(1)


def test_overlapping_copies_keep_numpys_meaning():
    x = tl.arange(4)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2]


def test_setitem_sends_the_gradient_to_the_source_and_clears_it_in_the_target():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    z = x * 1
    z[0] = y[1]
    z.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0]
    assert y.grad.tolist() == [0.0, 1.0]


def test_where_an_index_occurs_twice_only_the_last_writer_gets_a_gradient():
    source = leaf(1.0, 2.0, 3.0)
    z = tl.zeros(2)
    z[tl.tensor([0, 0, 1])] = source
    assert z.tolist() == [2.0, 3.0]
    z.sum().backward()
    assert source.grad.tolist() == [0.0, 1.0, 1.0]


def test_results_are_cast_down_in_place_but_never_to_a_lower_kind():
    x = tl.ones(2)
    x.add_(tl.ones(2, dtype=tl.float64))
    assert x.dtype == tl.float32
    with pytest.raises(RuntimeError, match="result type float32 can't be cast to the desired output type int64"):
        tl.ones(2, dtype=tl.int64).add_(1.5)


def test_the_result_must_have_the_shape_of_the_target():
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        tl.ones(2).add_(tl.ones(3, 2))


def test_detach_shares_memory_and_version_data_only_memory():
    x = leaf(1.0, 2.0)
    y = x.exp()
    d = y.detach()
    d.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
