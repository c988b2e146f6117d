from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.nn.quantized import QuantizedLinear, quantize_linears


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_it_computes_with_the_weight_that_it_stands_for(dtype):
    tl.manual_seed(0)
    linear = tl.nn.Linear(37, 21)
    small = QuantizedLinear.of(linear, dtype)
    x = tl.randn(4, 5, 37, requires_grad=True)
    y = small(x)
    expected = x.detach().numpy() @ small.dequantized().numpy().T + linear.bias.detach().numpy()
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-5, atol=1e-5)
    g = tl.randn(4, 5, 21)
    y.backward(g)
    np.testing.assert_allclose(x.grad.numpy(), g.numpy() @ small.dequantized().numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(linear.bias.grad.numpy(), g.numpy().reshape(-1, 21).sum(0), rtol=1e-5, atol=1e-5)


def test_entries_are_within_half_a_step():
    linear = tl.nn.Linear(50, 8, bias=False)
    w = linear.weight.detach().numpy()
    step = np.abs(w).max(1, keepdims=True) / 127
    assert (np.abs(QuantizedLinear.of(linear).dequantized().numpy() - w) <= step * 0.501).all()
    assert (np.abs(QuantizedLinear.of(linear, "bfloat16").dequantized().numpy() - w) <= np.abs(w) * 2.0**-8).all()


def test_every_linear_of_a_module_is_replaced():
    model = tl.nn.Sequential(tl.nn.Linear(4, 4), tl.nn.Sequential(tl.nn.ReLU(), tl.nn.Linear(4, 2)))
    names = set(dict(quantize_linears(model).named_parameters()))
    assert names == {"0.bias", "1.1.bias"}
    assert model(tl.randn(3, 4)).shape == (3, 2)
    assert model.state_dict()["0.weight"].dtype is tl.int8


def test_a_layer_in_several_places_stays_one_layer():
    model = tl.nn.Module()
    model.a = model.b = tl.nn.Linear(4, 4).eval()
    model.inner = tl.nn.Sequential(model.a)
    quantize_linears(model)
    assert type(model.a) is QuantizedLinear
    assert model.a is model.b is model.inner[0]
    assert not model.a.training


def test_a_layer_that_cannot_be_quantized_leaves_all_as_they_were():
    model = tl.nn.Sequential(tl.nn.Linear(2, 2), tl.nn.Linear(2, 2))
    with tl.no_grad():
        model[1].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        quantize_linears(model)
    assert [type(m) for m in model] == [tl.nn.Linear] * 2


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_a_checkpoint_of_floats_is_refused_and_changes_nothing(dtype):
    linear = tl.nn.Linear(3, 2)
    small = QuantizedLinear.of(linear, dtype)
    before = small.dequantized().numpy()
    for strict in (True, False):
        with pytest.raises(RuntimeError, match="float32 in the checkpoint"):
            small.load_state_dict(linear.state_dict(), strict=strict)
    np.testing.assert_array_equal(small.dequantized().numpy(), before)
    other = QuantizedLinear.of(tl.nn.Linear(3, 2), dtype)
    other.load_state_dict(small.state_dict())
    np.testing.assert_array_equal(other.dequantized().numpy(), before)


def test_wrong_dtypes_are_named():
    with pytest.raises(ValueError, match="got 'int4'"):
        QuantizedLinear.of(tl.nn.Linear(2, 2), "int4")
    with pytest.raises(RuntimeError, match="float32 input"):
        QuantizedLinear.of(tl.nn.Linear(2, 2))(tl.randn(1, 2).double())
