"""Layers that torch's module database leaves out: outputs, gradients and repr equal torch's; the random ones keep their promises."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl
from tensorlite import nn

R = np.random.default_rng(0)
IMAGE, ROWS = R.standard_normal((2, 4, 6, 6)), R.standard_normal((5, 8))
BAG = np.array([[1, 2, 0], [3, 3, 1]])

CASES: dict[str, tuple[Any, list[Any]]] = {
    "Flatten": (lambda n: n.Flatten(), [IMAGE]),
    "Flatten2": (lambda n: n.Flatten(0, 2), [IMAGE]),
    "Unflatten": (lambda n: n.Unflatten(1, (2, 4)), [ROWS]),
    "PixelShuffle": (lambda n: n.PixelShuffle(2), [IMAGE]),
    "PixelUnshuffle": (lambda n: n.PixelUnshuffle(3), [IMAGE]),
    "ChannelShuffle": (lambda n: n.ChannelShuffle(2), [IMAGE]),
    "Upsample": (lambda n: n.Upsample(scale_factor=2), [IMAGE]),
    "Upsample-bilinear": (lambda n: n.Upsample(size=(9, 4), mode="bilinear"), [IMAGE]),
    "UpsamplingNearest2d": (lambda n: n.UpsamplingNearest2d(scale_factor=3), [IMAGE]),
    "UpsamplingBilinear2d": (lambda n: n.UpsamplingBilinear2d(size=(3, 8)), [IMAGE]),
    "Unfold": (lambda n: n.Unfold(3, padding=1, stride=2), [IMAGE]),
    "Fold": (lambda n: n.Fold((6, 6), 2, stride=2), [R.standard_normal((2, 8, 9))]),
    "CosineSimilarity": (lambda n: n.CosineSimilarity(), [ROWS, ROWS[::-1].copy()]),
    "PairwiseDistance": (lambda n: n.PairwiseDistance(3.0, keepdim=True), [ROWS, ROWS[::-1].copy()]),
    "Hardsigmoid": (lambda n: n.Hardsigmoid(), [ROWS * 3]),
    "RReLU": (lambda n: n.RReLU().eval(), [ROWS]),
    "TripletMarginLoss": (lambda n: n.TripletMarginLoss(0.7, swap=True), [ROWS, ROWS + 1, ROWS[::-1].copy()]),
    "TripletMarginWithDistanceLoss": (lambda n: n.TripletMarginWithDistanceLoss(reduction="sum"), [ROWS, ROWS + 1, ROWS[::-1].copy()]),
    "EmbeddingBag": (lambda n: n.EmbeddingBag(5, 3, padding_idx=3), [BAG]),
    "EmbeddingBag-sum": (lambda n: n.EmbeddingBag(5, 3, mode="sum"), [np.array([1, 2, 4, 0]), np.array([0, 1])]),
    "EmbeddingBag-max": (lambda n: n.EmbeddingBag(5, 3, mode="max"), [BAG]),
    "Embedding-max_norm": (lambda n: n.Embedding(5, 3, max_norm=0.5), [BAG]),
    "Embedding-freq": (lambda n: n.Embedding(5, 3, padding_idx=-1, scale_grad_by_freq=True), [BAG]),
    "LSTM-projected": (lambda n: n.LSTM(8, 4, 2, proj_size=2, bidirectional=True), [R.standard_normal((3, 2, 8))]),
    "LSTM-one": (lambda n: n.LSTM(8, 4, batch_first=True), [ROWS]),
    "GRU": (lambda n: n.GRU(8, 4, 2, bias=False, bidirectional=True, batch_first=True), [R.standard_normal((3, 2, 8))]),
    "Conv2d-same": (lambda n: n.Conv2d(4, 6, (2, 3), padding="same", groups=2, padding_mode="reflect"), [IMAGE]),
    "ConvTranspose2d": (lambda n: n.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1, dilation=2), [IMAGE]),
    "BatchNorm-cumulative": (lambda n: n.BatchNorm2d(4, momentum=None), [IMAGE]),
    "InstanceNorm-tracking": (lambda n: n.InstanceNorm2d(4, affine=True, track_running_stats=True), [IMAGE]),
    "LayerNorm-no-bias": (lambda n: n.LayerNorm((6, 6), bias=False), [IMAGE]),
    "Sequential": (lambda n: n.Sequential(n.MaxPool2d(2), n.ZeroPad2d(1), n.AvgPool2d(2, ceil_mode=True), n.LPPool2d(2, 2)), [abs(IMAGE)]),
    "BatchNorm1d-eval": (lambda n: n.BatchNorm1d(8).eval(), [ROWS]),
}  # fmt: skip


def leaves(lib: Any, inputs: list[Any]) -> list[Any]:
    return [lib.tensor(a).requires_grad_() if a.dtype.kind == "f" else lib.tensor(a) for a in inputs]


def flat(value: Any) -> list[Any]:
    return [t for v in value for t in flat(v)] if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("name", CASES)
def test_equal_to_torch(name: str) -> None:
    make, inputs = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = make(nn).double(), make(torch.nn).double()
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({k: v.clone() for k, v in theirs.state_dict().items()})
    xs, ys = leaves(tl, inputs), leaves(torch, inputs)
    got, expected = flat(ours(*xs)), flat(theirs(*ys))
    rng = np.random.default_rng(1)
    cotangents = [rng.standard_normal(tuple(e.shape)) for e in expected]
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g.detach().numpy(), e.detach().numpy(), rtol=1e-9, atol=1e-11)
    if not expected[0].requires_grad:
        return
    tl.autograd.backward(got, [tl.tensor(c) for c in cotangents])
    torch.autograd.backward(expected, [torch.tensor(c) for c in cotangents])
    pairs = [*zip(xs, ys, strict=True), *zip(ours.parameters(), theirs.parameters(), strict=True)]
    for a, b in pairs:
        if b.requires_grad:
            # torch's Hardsigmoid multiplies by a float32 1/6
            np.testing.assert_allclose(
                a.grad.numpy(), b.grad.numpy(), rtol=1e-7 if name == "Hardsigmoid" else 1e-8, atol=1e-11
            )
    for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9)


def test_max_unpool_inverts_max_pool() -> None:
    for lib in (tl, torch):
        pooled, where = lib.nn.MaxPool2d(2, return_indices=True)(lib.tensor(IMAGE))
        back = lib.nn.MaxUnpool2d(2)(pooled, where)
        assert lib.nn.MaxPool2d(2)(back.abs()).shape == pooled.shape
        kept = back.numpy() != 0
        np.testing.assert_array_equal(back.numpy()[kept], IMAGE[kept])
        assert kept.sum() == pooled.numel()


@pytest.mark.parametrize(
    "kind", ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
)
def test_dropout(kind: str) -> None:
    shape = {"Dropout1d": (50, 40, 3), "Dropout3d": (20, 40, 2, 2, 2)}.get(kind, (50, 40, 2, 2))
    x = tl.ones(*shape)
    layer = getattr(nn, kind)(0.25)
    assert repr(layer) == repr(getattr(torch.nn, kind)(0.25))
    assert layer.eval()(x).tolist() == x.tolist()
    tl.manual_seed(0)
    out = layer.train()(x).numpy()
    tl.manual_seed(0)
    np.testing.assert_array_equal(layer(x).numpy(), out)
    values = np.unique(out.round(5))
    assert len(values) == 2
    dropped = out.round(5) == values[0]
    assert dropped.mean() == pytest.approx(0.25, abs=0.04)
    if "Alpha" not in kind:
        assert values.tolist() == pytest.approx([0, 4 / 3], abs=1e-4)
    whole_channels = len(np.unique(dropped.reshape(*shape[:2], -1).mean(-1))) == 2
    assert whole_channels == (kind not in ("Dropout", "AlphaDropout"))


def test_float32_layers_stay_float32() -> None:
    x = tl.tensor(IMAGE.astype(np.float32)).requires_grad_()
    net = nn.Sequential(
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4),
        nn.GELU(),
        nn.GroupNorm(2, 4),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(6),
        nn.RMSNorm(6),
        nn.Softmax(-1),
    )
    out = net(x)
    assert out.dtype == tl.float32
    out.sum().backward()
    assert all(p.grad.dtype == tl.float32 for p in net.parameters())
    hidden, _ = nn.LSTM(6, 3)(out.unsqueeze(0))
    assert hidden.dtype == tl.float32


def test_from_pretrained_freezes_unless_told_otherwise() -> None:
    table = tl.tensor(ROWS)
    frozen = nn.Embedding.from_pretrained(table)
    assert not frozen.weight.requires_grad
    assert frozen(tl.tensor([1])).tolist() == [ROWS[1].tolist()]
    assert nn.EmbeddingBag.from_pretrained(table, freeze=False, mode="sum").weight.requires_grad


@pytest.mark.parametrize("lib", [tl, torch], ids=["tensorlite", "torch"])
def test_shapes_that_do_not_fit_are_refused_as_in_torch(lib: Any) -> None:
    nn_ = lib.nn
    cases: list[tuple[Any, Any, str]] = [
        (lambda: nn_.Conv2d(3, 4, 2, groups=2), ValueError, "in_channels must be divisible by groups"),
        (lambda: nn_.Conv2d(3, 4, 2, padding="full"), ValueError, "Invalid padding string"),
        (lambda: nn_.GroupNorm(2, 3), ValueError, "must be divisible by num_groups"),
        (lambda: nn_.LSTM(2, 3)(lib.ones(1, 1, 5)), RuntimeError, "Expected 2, got 5"),
        (lambda: nn_.LSTM(2, 3)(lib.ones(2)), ValueError, "Expected input to be 2D or 3D, got 1D instead"),
        (
            lambda: nn_.GRU(2, 3)(lib.ones(4, 5, 2), lib.ones(1, 4, 3)),
            RuntimeError,
            r"Expected hidden size \(1, 5, 3\)",
        ),
        (lambda: nn_.LSTM(2, 3, proj_size=3), ValueError, "proj_size has to be smaller than hidden_size"),
        (lambda: nn_.RNN(2, 3, dropout=2.0), ValueError, "dropout should be a number in range"),
        (
            lambda: nn_.LSTMCell(2, 3)(lib.ones(1, 4)),
            RuntimeError,
            "input has inconsistent input_size: got 4 expected 2",
        ),
        (lambda: nn_.Embedding(3, 2, padding_idx=3), AssertionError, "Padding_idx must be within num_embeddings"),
        (
            lambda: nn_.ConvTranspose2d(2, 2, 3, stride=2)(lib.ones(1, 2, 3, 3), output_size=(20, 20)),
            ValueError,
            "requested an output size of",
        ),
        (lambda: nn_.Linear(2, 3)(lib.ones(2, 5)), RuntimeError, "mat1 and mat2 shapes cannot be multiplied"),
    ]
    for call, kind, text in cases:
        with pytest.raises(kind, match=text):
            call()
