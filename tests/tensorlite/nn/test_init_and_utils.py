"""Initialisation ranges equal torch's; clipping, vectors, weight norms and padding give torch's numbers."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl
from tensorlite import nn
from tensorlite.nn import init, utils

LAYERS: dict[str, Any] = {
    "Linear": lambda lib: lib.nn.Linear(300, 200),
    "Bilinear": lambda lib: lib.nn.Bilinear(40, 30, 50),
    "Conv2d": lambda lib: lib.nn.Conv2d(64, 128, (3, 5), groups=2),
    "ConvTranspose1d": lambda lib: lib.nn.ConvTranspose1d(16, 32, 9),
    "Embedding": lambda lib: lib.nn.Embedding(500, 100, padding_idx=3),
    "LSTM": lambda lib: lib.nn.LSTM(30, 100),
    "GRUCell": lambda lib: lib.nn.GRUCell(30, 100),
    "PReLU": lambda lib: lib.nn.PReLU(3),
    "LayerNorm": lambda lib: lib.nn.LayerNorm(8),
}


@pytest.mark.parametrize("name", LAYERS)
def test_default_initialisation_has_torchs_distribution(name: str) -> None:
    tl.manual_seed(0)
    torch.manual_seed(0)
    for (key, p), q in zip(LAYERS[name](tl).named_parameters(), LAYERS[name](torch).parameters(), strict=True):
        a, b = p.detach().numpy().ravel(), q.detach().numpy().ravel()
        assert a.shape == b.shape
        if name == "Embedding":
            assert not p.detach().numpy()[3].any()
        if b.std() == 0:
            np.testing.assert_allclose(a, b)
        elif a.size > 2000:
            quantiles = np.linspace(0, 1, 9) if name != "Embedding" else np.linspace(0.1, 0.9, 9)
            np.testing.assert_allclose(
                np.quantile(a, quantiles), np.quantile(b, quantiles), atol=0.08 * b.std(), err_msg=f"{name}.{key}"
            )
        else:
            assert abs(a).max() <= abs(b).max() * 1.3


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.3, "mode": "fan_out"}),
        ("kaiming_normal_", {"nonlinearity": "relu"}),
        ("uniform_", {"a": -2.0, "b": 5.0}),
        ("normal_", {"mean": 1.0, "std": 3.0}),
        ("trunc_normal_", {"mean": 0.5, "std": 2.0, "a": -1.0, "b": 1.5}),
    ],
)
def test_random_fills_have_torchs_moments(function: str, options: dict[str, Any]) -> None:
    tl.manual_seed(1)
    torch.manual_seed(1)
    ours, theirs = tl.empty(200, 100, 3), torch.empty(200, 100, 3)
    assert getattr(init, function)(ours, **options) is ours
    getattr(torch.nn.init, function)(theirs, **options)
    a, b = ours.numpy().ravel(), theirs.numpy().ravel()
    np.testing.assert_allclose([a.mean(), a.std()], [b.mean(), b.std()], atol=0.02 * b.std() + 1e-4)
    np.testing.assert_allclose(np.quantile(a, [0.1, 0.5, 0.9]), np.quantile(b, [0.1, 0.5, 0.9]), atol=0.03 * b.std())


def test_exact_fills() -> None:
    for name, shape, args in (
        ("eye_", (3, 5), ()),
        ("dirac_", (4, 2, 3, 3), (2,)),
        ("ones_", (2,), ()),
        ("constant_", (2, 2), (0.3,)),
    ):
        ours, theirs = tl.empty(*shape), torch.empty(*shape)
        getattr(init, name)(ours, *args)
        getattr(torch.nn.init, name)(theirs, *args)
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    q = init.orthogonal_(tl.empty(5, 3, 4, dtype=tl.float64), gain=2).numpy().reshape(5, 12)
    np.testing.assert_allclose(q @ q.T, 4 * np.eye(5), atol=1e-12)
    assert (init.sparse_(tl.empty(50, 8), 0.3).numpy() == 0).sum(0).tolist() == [15] * 8


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains(name: str) -> None:
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))


def test_init_refuses_what_torch_refuses() -> None:
    for nn_init, lib in ((init, tl), (torch.nn.init, torch)):
        for call, text in (
            (lambda i=nn_init, t=lib: i.xavier_uniform_(t.empty(3)), "fewer than 2 dimensions"),
            (lambda i=nn_init, t=lib: i.kaiming_normal_(t.empty(3, 3), mode="fan"), "Mode fan not supported"),
            (lambda i=nn_init, t=lib: i.eye_(t.empty(3)), "Only tensors with 2 dimensions"),
            (lambda i=nn_init: i.calculate_gain("x"), "Unsupported nonlinearity x"),
        ):
            with pytest.raises(ValueError, match=text):
                call()


def grads(lib: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    params = []
    for shape in ((3, 4), (5,), ()):
        p = lib.tensor(rng.standard_normal(shape)).requires_grad_()
        p.grad = lib.tensor(rng.standard_normal(shape) * 3)
        params.append(p)
    return [*params, lib.tensor([1.0]).requires_grad_()]


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clip_grad_norm(norm_type: float, max_norm: float) -> None:
    ours, theirs = grads(tl), grads(torch)
    total = utils.clip_grad_norm_(ours, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)
    for p, q in zip(ours[:3], theirs, strict=False):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)


def test_clip_grad_norm_refuses_nan_if_asked() -> None:
    params = grads(tl)
    params[0].grad.numpy()[0, 0] = np.nan
    with pytest.raises(RuntimeError, match="non-finite"):
        utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)


def test_clip_grad_value() -> None:
    params = grads(tl)
    before = [p.grad.numpy().copy() for p in params[:3]]
    utils.clip_grad_value_(params, 0.7)
    for p, b in zip(params[:3], before, strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), np.clip(b, -0.7, 0.7))


def test_parameters_to_vector_and_back() -> None:
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)
    vector = utils.parameters_to_vector(a.parameters())
    utils.vector_to_parameters(vector, b.parameters())
    assert all(
        (p.detach().numpy() == q.detach().numpy()).all() for p, q in zip(a.parameters(), b.parameters(), strict=True)
    )
    with pytest.raises(ValueError, match="8 elements"):
        utils.vector_to_parameters(tl.ones(7), b.parameters())


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(dim: int | None) -> None:
    theirs = torch.nn.Linear(4, 3).double()
    ours = nn.Linear(4, 3).double()
    ours.load_state_dict(theirs.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch has deprecated its own
        torch.nn.utils.weight_norm(theirs, dim=dim)
    assert utils.weight_norm(ours, dim=dim) is ours
    assert set(ours.state_dict()) == set(theirs.state_dict())
    ours.load_state_dict({k: v * 1.5 for k, v in theirs.state_dict().items()})
    theirs.load_state_dict({k: v * 1.5 for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((2, 4))
    ours(tl.tensor(x)).sum().backward()
    theirs(torch.tensor(x)).sum().backward()
    for name, p in ours.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), theirs.get_parameter(name).grad.numpy(), rtol=1e-10, atol=1e-12)
    before = ours(tl.tensor(x)).detach().numpy()
    utils.remove_weight_norm(ours)
    assert set(ours.state_dict()) == {"weight", "bias"}
    np.testing.assert_allclose(ours(tl.tensor(x)).detach().numpy(), before)


def test_spectral_norm_brings_the_largest_singular_value_to_one() -> None:
    layer = utils.spectral_norm(nn.Linear(5, 4).double(), n_power_iterations=100)
    layer(tl.ones(1, 5, dtype=tl.float64)).sum().backward()
    assert np.linalg.svd(layer.weight.detach().numpy())[1][0] == pytest.approx(1)
    assert layer.weight_orig.grad is not None
    assert set(layer.state_dict()) == {"bias", "weight_orig", "weight_u", "weight_v"}


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("side", ["left", "right"])
def test_pad_sequence(batch_first: bool, side: str) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((n, 2)) for n in (3, 1, 4)]
    ours = utils.rnn.pad_sequence([tl.tensor(a) for a in arrays], batch_first, -1.0, side)
    theirs = torch.nn.utils.rnn.pad_sequence([torch.tensor(a) for a in arrays], batch_first, -1.0, side)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    if side == "right":
        for a, b in zip(arrays, utils.rnn.unpad_sequence(ours, [3, 1, 4], batch_first), strict=True):
            np.testing.assert_array_equal(a, b.numpy())


def test_packing_is_refused_with_a_way_out() -> None:
    with pytest.raises(NotImplementedError, match="pad_sequence"):
        utils.rnn.pack_padded_sequence(tl.ones(2, 2, 2), [1, 2])
    with pytest.raises(TypeError, match="packed sequences are not supported"):
        nn.LSTM(2, 3)(object())
