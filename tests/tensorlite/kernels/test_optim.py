import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels import optim as kernels

from .arrays import assert_close, normal, seeds

sizes = st.sampled_from([0, 1, 17, 40_000])
decays = st.sampled_from([0.0, 0.1])


def assert_steps_equal_torch(make_optimizer, step, size, seed, dtype=np.float64, steps=3):
    param = normal(seed, (size,), dtype).copy()
    reference = torch.nn.Parameter(torch.tensor(param))
    optimizer = make_optimizer([reference])
    for t in range(1, steps + 1):
        g = normal(seed + t, (size,), dtype)
        reference.grad = torch.tensor(g)
        optimizer.step()
        step(param, g, t)
    assert_close(param, reference.detach().numpy())


@settings(max_examples=30, deadline=None)
@given(
    size=sizes,
    momentum=st.sampled_from([0.0, 0.9]),
    dampening=st.sampled_from([0.0, 0.3]),
    decay=decays,
    nesterov=st.booleans(),
    seed=seeds,
)
def test_sgd_equals_torch(size, momentum, dampening, decay, nesterov, seed):
    nesterov = nesterov and momentum > 0 and dampening == 0
    options = {"lr": 0.1, "momentum": momentum, "dampening": dampening, "weight_decay": decay, "nesterov": nesterov}
    buffer = np.zeros(size) if momentum else None
    assert_steps_equal_torch(
        lambda p: torch.optim.SGD(p, **options),
        lambda p, g, t: kernels.sgd_update(p, g, buffer, first=t == 1, **options),
        size,
        seed,
    )


@settings(max_examples=30, deadline=None)
@given(
    size=sizes,
    decay=decays,
    decoupled=st.booleans(),
    amsgrad=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=seeds,
)
def test_adam_and_adamw_equal_torch(size, decay, decoupled, amsgrad, dtype, seed):
    m, v, largest = np.zeros((3, size), dtype)
    options = {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": decay}
    made = torch.optim.AdamW if decoupled else torch.optim.Adam
    top = largest if amsgrad else None

    def step(p, g, t):
        if decoupled:
            kernels.adamw_update(p, g, m, v, step=t, max_exp_avg_sq=top, **options)
        else:
            kernels.adam_update(p, g, m, v, step=t, max_exp_avg_sq=top, **options)

    assert_steps_equal_torch(lambda p: made(p, amsgrad=amsgrad, **options), step, size, seed, dtype)


@settings(max_examples=20, deadline=None)
@given(size=sizes, decay=decays, decoupled=st.booleans(), seed=seeds)
def test_updates_equal_their_definitions(size, decay, decoupled, seed):
    p, g, m = (normal(seed + i, (size,)).copy() for i in range(3))
    v = normal(seed + 3, (size,)) ** 2
    expected = kernels.adam_definition(p, g, m, v, 4, 0.1, (0.9, 0.99), 1e-8, decay, decoupled)
    got = [p.copy(), m.copy(), v.copy()]
    kernels.adam_update(
        got[0], g, got[1], got[2], step=4, lr=0.1, betas=(0.9, 0.99), weight_decay=decay, decoupled=decoupled
    )
    for a, b in zip(got, expected, strict=True):
        assert_close(a, b)
    expected_lion = kernels.lion_definition(p, g, m, 0.1, (0.9, 0.99), decay)
    got = [p.copy(), m.copy()]
    kernels.lion_update(got[0], g, got[1], lr=0.1, weight_decay=decay)
    for a, b in zip(got, expected_lion, strict=True):
        assert_close(a, b)
    expected_sgd = kernels.sgd_definition(p, g, m, 0.1, 0.9, 0.2, decay, True, False)
    got = [p.copy(), m.copy()]
    kernels.sgd_update(*got[:1], g, got[1], lr=0.1, momentum=0.9, dampening=0.2, weight_decay=decay, nesterov=True)
    for a, b in zip(got, expected_sgd, strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "lion"])
def test_a_scaled_gradient_is_a_gradient_scaled(name):
    states = {"sgd": 1, "adam": 2, "adamw": 2, "lion": 1}[name]
    update = getattr(kernels, f"{name}_update")
    options = {"step": 2} if name.startswith("adam") else {}
    g = normal(1, (1000,))
    results = []
    for gradient, scale in ((g, 0.25), (g * 0.25, 1.0)):
        p, state = normal(0, (1000,)).copy(), np.ones((states, 1000))
        update(p, gradient, *state, lr=0.1, weight_decay=0.1, grad_scale=scale, **options)
        results.append(p)
    assert_close(*results)


def test_arrays_that_do_not_fit_are_refused():
    p = np.zeros((4, 6), np.float32)
    with pytest.raises(ValueError, match="one shape and dtype"):
        kernels.sgd_update(p, np.zeros((4, 6)), lr=0.1)
    with pytest.raises(ValueError, match="C-contiguous"):
        kernels.sgd_update(p[:, ::2], np.zeros((4, 3), np.float32), lr=0.1)
