"""view_as_real and view_as_complex against torch: values, gradients, shared memory, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl


@pytest.mark.parametrize("single", [True, False])
def test_values_and_gradients(single: bool) -> None:
    rng = np.random.default_rng(0)
    kind = np.float32 if single else np.float64
    pairs, weights = rng.standard_normal((3, 4, 2)).astype(kind), rng.standard_normal((4, 3, 2)).astype(kind)

    def gradients(lib: Any) -> list[Any]:
        x = lib.tensor(pairs, requires_grad=True)
        z = lib.view_as_complex(x)
        out = lib.view_as_real((z * z).T)
        (out * lib.tensor(weights)).sum().backward()
        return [z.detach().numpy(), out.detach().numpy(), x.grad.numpy()]

    for expected, actual in zip(gradients(torch), gradients(tl), strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=1e-5 if single else 1e-13)


def test_memory_is_shared() -> None:
    z = tl.tensor(np.array([1 + 2j, 3 + 4j]))
    tl.view_as_real(z)[0, 1] = 7
    assert z[0].item() == 1 + 7j
    x = tl.zeros(2, 2)
    tl.view_as_complex(x).fill_(1 + 1j)
    assert x.tolist() == [[1, 1], [1, 1]]


def test_refusals_are_those_of_torch() -> None:
    for lib in (torch, tl):
        with pytest.raises(RuntimeError, match="only supported for complex tensors"):
            lib.view_as_real(lib.ones(2))
        with pytest.raises(RuntimeError, match="last dimension of size 2"):
            lib.view_as_complex(lib.ones(3))
        with pytest.raises(RuntimeError, match="last dimension with stride 1"):
            lib.view_as_complex(lib.ones(2, 2).T)
        with pytest.raises(RuntimeError, match="only supported for"):
            lib.view_as_complex(lib.ones(2, dtype=lib.int64))
