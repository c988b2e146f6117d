"""Data types: what tensors get, how weak scalars are, and that float32 stays float32 where NumPy would widen it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tensorlite as tl


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, tl.float32),
        (1, tl.int64),
        (True, tl.bool),
        (1j, tl.complex64),
        ([], tl.float32),
        ([1, 2.0], tl.float32),
        ([True, 2], tl.int64),
        (np.float64(1), tl.float64),
        (np.float32(1), tl.float32),
        (np.int32(1), tl.int32),
        (np.ones(1), tl.float64),
        (np.ones(1, np.float32), tl.float32),
        ([np.float64(1), np.float64(2)], tl.float64),
        ([np.ones(2), np.zeros(2)], tl.float64),
        ([1.0, np.float64(2)], tl.float64),
        ([[1, 2], np.ones(2, np.float16)], tl.float16),
        ([np.ones(1, np.int32)], tl.int32),
        ([np.ones(1, np.uint8)], tl.uint8),
        ([np.uint16(1)], tl.int64),
        ([np.int64(3), np.float32(1)], tl.float32),
        ([tl.tensor(1.0, dtype=tl.float64), 2.0], tl.float64),
        ([tl.ones(2, dtype=tl.float16), [1, 2]], tl.float16),
        ([np.float64(1), 1j], tl.complex128),
    ],
    ids=repr,
)
def test_the_dtype_of_new_tensors(data: Any, dtype: tl.dtype) -> None:
    assert tl.tensor(data).dtype == dtype


def test_python_types_as_dtypes() -> None:
    named = {bool: tl.bool, int: tl.int64, float: tl.float64, complex: tl.complex128}
    assert {t: tl.zeros(1, dtype=t).dtype for t in named} == named


def test_the_default_dtype_is_what_python_floats_become() -> None:
    tl.set_default_dtype(tl.float64)
    try:
        assert tl.tensor(1.5).dtype == tl.zeros(1).dtype == (tl.tensor([1]) / 2).dtype == tl.float64
        assert tl.tensor(1j).dtype == tl.complex128
    finally:
        tl.set_default_dtype(tl.float32)
    with pytest.raises(TypeError, match="only floating-point types are supported as the default type"):
        tl.set_default_dtype(tl.int64)


def of(name: str, *shape: int) -> tl.Tensor:
    return tl.ones(shape, dtype=getattr(tl, name))


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (of("float32", 1), of("float64"), "float32"),
        (of("float32"), of("float64"), "float64"),
        (of("int64", 1), of("float32"), "float32"),
        (of("float16", 1), of("float32", 1), "float32"),
        (of("uint8", 1), of("int8", 1), "int16"),
        (of("bool", 1), of("bool", 1), "bool"),
        (of("float32", 1), of("int64", 1), "float32"),
        (of("float32", 1), 2.0, "float32"),
        (of("uint8", 1), 300, "uint8"),
        (of("int64", 1), 1.5, "float32"),
        (of("float32", 1), 1j, "complex64"),
        (of("float64", 1), 1j, "complex128"),
    ],
    ids=str,
)
def test_zero_dimensional_tensors_and_python_numbers_are_weak_within_a_kind(x: Any, y: Any, expected: str) -> None:
    assert (x + y).dtype == (y + x).dtype == tl.result_type(x, y) == getattr(tl, expected)


#: What makes float64 of a float32 array in NumPy 2.
WIDENING = [
    np.array(2.0),
    np.float64(2),
    np.int64(3),
    np.sqrt(64),
    np.prod((2, 3)),
    np.array(3, np.int32),
    np.array(3),
    2.0,
    3,
    True,
    math.sqrt(2),
]


@pytest.mark.parametrize("value", WIDENING, ids=repr)
def test_no_number_widens_float32(value: Any) -> None:
    x = tl.ones(3, requires_grad=True)
    results = [
        x + value,
        value + x,
        x * value,
        value * x,
        x - value,
        value - x,
        x / value,
        value / x,
        x**value,
        value**x,
        tl.where(x > 0, x, value),
        tl.where(x > 0, value, x),
        tl.maximum(x, value),
        tl.clamp(x, max=value),
        tl.atan2(x, value),
        tl.xlogy(x, value),
        tl.xlogy(value, x),
        tl.fmod(x, value),
        tl.remainder(x, value),
        tl.lerp(x, x, value),
        x.masked_fill(x > 0, value),
        x.add(x, alpha=value),
    ]
    assert [r.dtype for r in results] == [tl.float32] * len(results)
    sum(r.sum() for r in results).backward()
    assert x.grad is not None
    assert x.grad.dtype == tl.float32


def test_every_op_of_two_operands_keeps_float32_beside_a_number() -> None:
    """Over the whole table, so that a new op is covered when it is declared."""
    from tensorlite.ops import load_all
    from tensorlite.ops.table import OPS

    load_all()
    tested, wide = 0, []
    for name, op in sorted(OPS.items()):
        if op.params[:2] != ("x", "y") or not hasattr(tl, name) or name == "float_power":
            continue
        for arguments in ((tl.full((2,), 0.5), 1), (tl.full((2,), 0.5), 0.5), (0.5, tl.full((2,), 0.5))):
            try:
                result = getattr(tl, name)(*arguments)
            except (RuntimeError, TypeError, AttributeError):
                continue  # an op of tensors, or of integers
            tested += 1
            if isinstance(result, tl.Tensor) and result.dtype not in (tl.float32, tl.bool):
                wide.append((name, result.dtype))
    assert not wide
    assert tested > 60


def test_integers_divide_to_the_default_type_and_add_up_to_int64() -> None:
    i = tl.tensor([3], dtype=tl.int32)
    assert (i / i).dtype == (tl.tensor([3]) / 2).dtype == tl.float32
    assert i.sum().dtype == (i > 0).sum().dtype == i.prod().dtype == i.cumsum(0).dtype == tl.int64
    assert (i // 2).dtype == tl.int32
    assert tl.floor_divide(i > 0, i > 0).dtype == tl.int8


def test_products_refuse_mixed_types_and_joins_promote() -> None:
    f, d = tl.ones(2, 2), tl.ones(2, 2, dtype=tl.float64)
    with pytest.raises(RuntimeError, match="to have the same dtype, but got: float"):
        f @ d
    assert tl.cat([f, d]).dtype == tl.stack([f, d]).dtype == tl.where(f > 0, f, d).dtype == tl.float64


def test_the_gradient_has_the_type_of_its_leaf() -> None:
    x, h = tl.ones(2, requires_grad=True), tl.ones(2, dtype=tl.float16, requires_grad=True)
    (x * tl.ones(2, dtype=tl.float64) * h).sum().backward()
    assert x.grad is not None
    assert h.grad is not None
    assert (x.grad.dtype, h.grad.dtype) == (tl.float32, tl.float16)


def test_integers_cannot_require_grad() -> None:
    with pytest.raises(RuntimeError, match="Only Tensors of floating point and complex dtype can require gradients"):
        tl.tensor([1], requires_grad=True)
    with pytest.raises(RuntimeError, match="only Tensors of floating point dtype can require gradients"):
        tl.tensor([1]).requires_grad_()


def test_in_place_results_keep_the_type_of_the_target() -> None:
    assert tl.ones(2).mul_(tl.ones(2, dtype=tl.float64)).dtype == tl.float32
    assert tl.ones(2, dtype=tl.int64).add_(2).dtype == tl.int64
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type int64"):
        tl.ones(2, dtype=tl.int64).add_(tl.ones(2))
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type bool"):
        tl.ones(2, dtype=tl.bool).add_(1)


def test_types_that_numpy_has_and_tensors_have_not() -> None:
    for array in (np.array(["a"]), np.array([None]), np.array(["2020-01-01"], "datetime64[D]")):
        with pytest.raises(TypeError, match=r"a tensor cannot hold values of dtype|invalid data type"):
            tl.tensor(array)
    assert not hasattr(tl, "bfloat16")
    big = np.arange(3, dtype=">f4")
    assert tl.tensor(big).dtype == tl.float32
    assert tl.tensor(big).tolist() == [0.0, 1.0, 2.0]
