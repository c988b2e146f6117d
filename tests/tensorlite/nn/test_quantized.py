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


def test_wrong_dtypes_are_named():
    with pytest.raises(ValueError, match="got 'int4'"):
        QuantizedLinear.of(tl.nn.Linear(2, 2), "int4")
    with pytest.raises(RuntimeError, match="float32 input"):
        QuantizedLinear.of(tl.nn.Linear(2, 2))(tl.randn(1, 2).double())
