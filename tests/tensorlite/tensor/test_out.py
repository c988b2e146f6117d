"""`out=`: the result goes into a tensor that the caller has."""

import pytest

import tensorlite as tl


def test_the_result_is_written_and_returned():
    out = tl.zeros(3)
    assert tl.mul(tl.arange(3.0), 2, out=out) is out
    assert out.tolist() == [0.0, 2.0, 4.0]


def test_an_empty_tensor_takes_the_shape_of_the_result():
    out = tl.empty(0)
    tl.stack([tl.ones(2), tl.zeros(2)], out=out)
    assert out.shape == (2, 2)


def test_an_input_itself_may_be_the_target():
    x = tl.arange(3.0)
    tl.add(x, 1, out=x)
    assert x.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tl.exp(tl.ones(2, requires_grad=True), out=tl.ones(2)),
            "functions with out=... arguments don't support automatic differentiation",
        ),
        (lambda: tl.exp(tl.ones(2), out=tl.ones(3)), r"out has shape \[3\], expected \[2\]"),
        (
            lambda: tl.exp(tl.ones(2), out=tl.ones(2, dtype=tl.int64)),
            "result type float32 can't be cast to the desired output type int64",
        ),
        (lambda: tl.exp(tl.ones(2), out=tl.ones(1).expand(2)), "more than one element of the written-to tensor"),
        (
            lambda: (lambda x: tl.cat([x[:2], x[1:3]], out=x[:4]))(tl.ones(5)),
            "some elements of the input tensor and the written-to tensor",
        ),
        (
            lambda: (lambda x: tl.exp(x[:3], out=x[1:]))(tl.ones(4)),
            "some elements of the input tensor and the written-to tensor",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()
