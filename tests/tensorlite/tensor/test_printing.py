"""tensorlite prints what torch prints, but for the package's name."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tensorlite as tl

torch = pytest.importorskip("torch")

ELEMENTS = {"width": 32, "allow_nan": True, "allow_infinity": True}


def as_torch_prints(array: np.ndarray) -> str:
    return without_package(repr(torch.from_numpy(array.copy())))


def without_package(text: str) -> str:
    """The longer name of this package may move the dtype to a line of its own."""
    return re.sub(r",\s+dtype=\w+\.", ", dtype=", text)


@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=0, max_dims=4, max_side=8, min_side=0), elements=st.floats(**ELEMENTS)
    )
)
def test_float32(array):
    assert without_package(repr(tl.from_numpy(array))) == as_torch_prints(array)


@given(
    hnp.arrays(
        st.sampled_from([np.int64, np.int32, np.uint8, np.bool_, np.float64]), hnp.array_shapes(max_dims=3, max_side=12)
    )
)
def test_other_dtypes(array):
    assert without_package(repr(tl.from_numpy(array))) == as_torch_prints(array)


@pytest.mark.parametrize("shape", [(2000,), (50, 60), (3, 40, 30), (0,), (2, 0), ()])
def test_large_and_empty(shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert without_package(repr(tl.from_numpy(np.asarray(array)))) == as_torch_prints(np.asarray(array))


def test_complex():
    array = np.array([[1 + 2j, -1.5 - 0.25j], [0, 3e-3j]], np.complex64)
    assert without_package(repr(tl.from_numpy(array))) == as_torch_prints(array)


def test_history_and_requires_grad():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "tensor([1., 2.], requires_grad=True)"
    assert repr(x + x) == "tensor([2., 4.], grad_fn=<AddBackward0>)"


def test_printoptions():
    tl.set_printoptions(precision=2)
    try:
        assert repr(tl.tensor([0.123456])) == "tensor([0.12])"
    finally:
        tl.set_printoptions(profile="default")
    with pytest.raises(ValueError, match="unknown print profile 'wide'"):
        tl.set_printoptions(profile="wide")
