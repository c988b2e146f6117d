from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl


@pytest.fixture(autouse=True)
def _restore_threads():
    before = tl.get_num_threads()
    yield
    tl.set_num_threads(before)


@pytest.mark.parametrize(
    ("a", "b"), [((300, 200), (200, 250)), ((4, 130, 120), (120, 90)), ((4, 3, 60, 50), (3, 50, 70)), ((3,), (3, 5))]
)
def test_products_are_the_same_for_any_number_of_threads(a, b):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in (a, b)]
    g = rng.standard_normal(np.matmul(*arrays).shape).astype(np.float32)
    found = []
    for threads in (1, 2, 3):
        tl.set_num_threads(threads)
        x, y = (tl.tensor(v, requires_grad=True) for v in arrays)
        z = x @ y
        z.backward(tl.tensor(g))
        found.append([z.detach().numpy(), x.grad.numpy(), y.grad.numpy()])
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            np.testing.assert_allclose(same, one, rtol=1e-5, atol=1e-4)


def test_float16_products_stay_float16():
    x = tl.ones(8, 8).half()
    tl.set_num_threads(2)
    assert (x @ x).dtype is tl.float16
    assert (x @ x).numpy().max() == 8
