import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels import quant as kernels

from .arrays import assert_close, layouts, normal, seeds

shapes = st.sampled_from([(1, 1), (3, 17), (300, 500), (0, 4), (4, 0)])


@settings(max_examples=25, deadline=None)
@given(shape=shapes, lead=st.sampled_from([(1,), (2, 3), (0,)]), layout=layouts, seed=seeds)
def test_int8(shape, lead, layout, seed):
    weight, x = normal(seed, shape, np.float32, layout), normal(seed + 1, (*lead, shape[1]), np.float32, layout)
    quantized, scale = kernels.quantize_int8(weight)
    expected_values, expected_scale = kernels.quantize_int8_definition(weight)
    np.testing.assert_array_equal(quantized, expected_values)
    np.testing.assert_array_equal(scale, expected_scale)
    restored = kernels.dequantize_int8(quantized, scale)
    assert (np.abs(restored - weight) <= scale[:, None] * 0.50001).all()
    y = kernels.int8_matmul(x, quantized, scale)
    assert y.dtype == np.float32
    assert_close(y, kernels.int8_matmul_definition(x.astype(np.float64), quantized, scale), 2)


@settings(max_examples=25, deadline=None)
@given(shape=shapes, lead=st.sampled_from([(1,), (2, 3), (0,)]), layout=layouts, seed=seeds)
def test_bf16(shape, lead, layout, seed):
    weight, x = normal(seed, shape, np.float32, layout), normal(seed + 1, (*lead, shape[1]), np.float32, layout)
    stored = kernels.to_bf16(weight)
    assert stored.dtype == np.uint16
    expected = torch.tensor(np.array(weight)).bfloat16().float().numpy()
    np.testing.assert_array_equal(kernels.from_bf16(stored), expected)
    assert_close(kernels.bf16_matmul(x, stored), kernels.bf16_matmul_definition(x.astype(np.float64), stored), 2)


@given(bits=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
@settings(max_examples=50, deadline=None)
def test_bf16_rounds_every_bit_pattern_as_torch_does(bits):
    x = np.array(bits, np.uint32).view(np.float32)
    got, expected = kernels.from_bf16(kernels.to_bf16(x)), torch.tensor(x).bfloat16().float().numpy()
    np.testing.assert_array_equal(got, expected)


def test_rows_of_zeros_stay_zero_and_other_weights_are_refused():
    quantized, scale = kernels.quantize_int8(np.zeros((2, 3), np.float32))
    assert not kernels.dequantize_int8(quantized, scale).any()
    with pytest.raises(ValueError, match="matrix"):
        kernels.quantize_int8(np.ones(3))
    with pytest.raises(ValueError, match="real"):
        kernels.quantize_int8(np.ones((1, 1), np.complex64))


@pytest.mark.parametrize("weight", [np.nan, np.inf, -np.inf, 1e300, float(np.finfo(np.float32).max)])
def test_weights_that_int8_cannot_stand_for_are_refused(weight):
    with pytest.raises(ValueError, match="finite"):
        kernels.quantize_int8(np.array([[1.0, weight]]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("unit", ["tiny", "smallest_subnormal"])
def test_entries_of_tiny_rows_are_within_half_a_step(dtype, unit):
    weight = (np.array([[400, -200, 127], [1, 0, -3], [0, 0, 1]]) * float(getattr(np.finfo(dtype), unit))).astype(dtype)
    quantized, scale = kernels.quantize_int8(weight)
    restored = kernels.dequantize_int8(quantized, scale).astype(np.float64)
    assert (np.abs(restored - weight) <= scale.astype(np.float64)[:, None] * 0.50001).all()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3)])
def test_bf16_keeps_shapes(shape):
    assert kernels.from_bf16(kernels.to_bf16(np.ones(shape, np.float32))).shape == shape
    assert np.isinf(kernels.from_bf16(kernels.to_bf16(np.full(shape, 1e300)))).all()


def test_a_product_is_scaled_before_it_is_narrowed():
    quantized, scale = kernels.quantize_int8(np.full((1, 600), 1e-2, np.float32))
    x, out = np.ones((1, 600), np.float32), np.empty((1, 1), np.float16)
    assert kernels.int8_matmul(x, quantized, scale, out=out) is out  # 600 * 127 is beyond float16
    np.testing.assert_allclose(out, 6, rtol=1e-3)


def test_operands_that_do_not_fit_are_named():
    quantized, scale = kernels.quantize_int8(np.ones((3, 4), np.float32))
    x = np.ones((2, 4), np.float32)
    with pytest.raises(ValueError, match=r"\(2, 5\) and \(3, 4\)"):
        kernels.int8_matmul(np.ones((2, 5), np.float32), quantized, scale)
    with pytest.raises(ValueError, match="a scale for each row"):
        kernels.int8_matmul(x, quantized, scale[:1])
    with pytest.raises(ValueError, match=r"expected \(2, 3\)"):
        kernels.int8_matmul(x, quantized, scale, out=np.empty((5, 2, 3), np.float32))
