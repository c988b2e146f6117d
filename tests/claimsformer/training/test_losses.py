"""Losses against torch and against formulas; sums and weights that add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from claimsformer.errors import ConfigError
from claimsformer.training import CostLoss, CrossEntropy, FocalLoss, TokenCrossEntropy, accuracy, exact_match
from tensorlite.nn import functional as F


def sample(seed: int, shape: tuple[int, ...] = (3, 5), n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n, shape)
    labels[rng.random(shape) < 0.2] = -100
    labels.flat[0] = 1
    return rng.normal(size=(*shape, n)) * 3, labels


def both(loss, logits: np.ndarray, labels: np.ndarray, reference) -> None:
    x = tl.from_numpy(logits.copy()).requires_grad_()
    total, weight = loss(x, tl.from_numpy(labels))
    (total / weight).backward()
    t = torch.tensor(logits, requires_grad=True)
    expected = reference(t, torch.tensor(labels))
    expected.backward()
    np.testing.assert_allclose(total.item() / weight, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), atol=1e-12)


@given(st.integers(0, 10_000), st.booleans(), st.floats(0, 0.5))
def test_cross_entropy_is_torchs(seed: int, weighted: bool, smoothing: float) -> None:
    logits, labels = sample(seed)
    class_weights = [0.5, 1.0, 2.0, 4.0] if weighted else None

    def reference(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        w = None if class_weights is None else torch.tensor(class_weights, dtype=x.dtype)
        return torch.nn.functional.cross_entropy(x.reshape(-1, 4), y.reshape(-1), weight=w, label_smoothing=smoothing)

    both(CrossEntropy(class_weights, smoothing), logits, labels, reference)
    both(TokenCrossEntropy(class_weights, smoothing), logits, labels, reference)


@given(st.integers(0, 10_000), st.floats(0, 4), st.booleans())
def test_focal_loss_is_its_formula(seed: int, gamma: float, weighted: bool) -> None:
    logits, labels = sample(seed)
    class_weights = [0.5, 1.0, 2.0, 4.0] if weighted else None

    def reference(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        keep = y != -100
        p = torch.softmax(x[keep], -1).gather(1, y[keep][:, None])[:, 0]
        w = torch.ones(4, dtype=x.dtype) if class_weights is None else torch.tensor(class_weights, dtype=x.dtype)
        w = w[y[keep]]
        return (w * -((1 - p) ** gamma) * p.log()).sum() / w.sum()

    both(FocalLoss(gamma, class_weights), logits, labels, reference)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_cost_loss_is_the_expected_cost(seed: int, entropy: float) -> None:
    logits, labels = sample(seed, n=3)
    costs = [[0.0, 20.0, 5.0], [400.0, 0.0, 30.0], [90.0, 50.0, -1.0]]

    def reference(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        keep = y != -100
        p, table = torch.softmax(x[keep], -1), torch.tensor(costs, dtype=x.dtype)
        return (p * table[y[keep]]).sum(-1).mean() + entropy * torch.nn.functional.cross_entropy(x[keep], y[keep])

    both(CostLoss(costs, entropy), logits, labels, reference)


@given(st.integers(0, 10_000), st.sampled_from([CrossEntropy([1.0, 2.0, 3.0, 0.5]), FocalLoss(), TokenCrossEntropy()]))
def test_sums_and_weights_add_up_over_parts(seed: int, loss: CrossEntropy) -> None:
    logits, labels = sample(seed, (6, 5))
    whole = loss(tl.from_numpy(logits), tl.from_numpy(labels))
    parts = [loss(tl.from_numpy(logits[s]), tl.from_numpy(labels[s])) for s in (slice(0, 1), slice(1, 4), slice(4, 6))]
    np.testing.assert_allclose(float(whole[0]), sum(float(t) for t, _ in parts), rtol=1e-10)
    assert whole[1] == pytest.approx(sum(w for _, w in parts))


def test_shift_compares_each_place_with_the_next_token() -> None:
    logits, labels = sample(3)
    shifted, plain = TokenCrossEntropy(shift=True), TokenCrossEntropy()
    a = shifted(tl.from_numpy(logits), tl.from_numpy(labels))
    b = plain(tl.from_numpy(logits[:, :-1]), tl.from_numpy(labels[:, 1:]))
    assert float(a[0]) == float(b[0])
    assert a[1] == b[1]


def test_metrics_count_labels_and_sequences() -> None:
    logits = tl.from_numpy(np.eye(3)[[[0, 1, 2], [0, 0, 2]]])
    labels = tl.from_numpy(np.array([[0, 1, -100], [0, 1, 2]]))
    assert accuracy(logits, labels) == (4.0, 5.0)
    assert exact_match(logits, labels) == (1.0, 2.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CrossEntropy(label_smoothing=1.0),
        lambda: CrossEntropy([1.0, -1.0]),
        lambda: FocalLoss(-1.0),
        lambda: CostLoss([[0, 1]]),
        lambda: CostLoss([[1, 0], [0, 0]]),
    ],
)
def test_options_out_of_range_are_refused(make) -> None:
    with pytest.raises(ConfigError, match="must"):
        make()


def test_logits_and_labels_must_fit() -> None:
    with pytest.raises(ValueError, match=r"got \(2, 3, 4\) and \(2, 2\)"):
        TokenCrossEntropy()(tl.zeros(2, 3, 4), tl.zeros(2, 2).long())
    assert F.mse_loss(tl.zeros(2), tl.zeros(2)) == 0


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5, 1.0, 2.0])
def test_focal_loss_of_a_sure_example_has_no_gradient_rather_than_nan(gamma: float) -> None:
    logits = tl.tensor([[100.0, 0.0, 0.0], [20.0, 0.0, 0.0], [0.0, 100.0, 0.0]], requires_grad=True)
    total, _ = FocalLoss(gamma)(logits, tl.tensor([0, 0, 0]))
    total.backward()
    assert np.abs(logits.grad.numpy()[:2]).max() < 1e-6
    assert np.isfinite(logits.grad.numpy()).all()


@pytest.mark.parametrize("loss", [FocalLoss(), CostLoss([[0, 1], [1, 0]], entropy=0), CrossEntropy()])
def test_a_label_that_is_no_class_is_refused(loss: Any) -> None:
    logits = tl.zeros(2, 2)
    for label in (-1, 2):
        with pytest.raises(IndexError, match=str(label)):
            loss(logits, tl.tensor([0, label]))


def test_a_loss_for_other_classes_is_refused() -> None:
    for loss in (FocalLoss(class_weights=[1, 2]), CostLoss([[0, 1], [1, 0]])):
        with pytest.raises(ConfigError, match="made for 2 classes, the logits have 3"):
            loss(tl.zeros(1, 3), tl.tensor([0]))
        with pytest.raises(TypeError, match="integers"):
            loss(tl.zeros(1, 2), tl.tensor([0.0]))
