"""What is timed is right: the same model trains alike in both libraries, and for any number of threads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.profiler import profile

from ._models import Setting, build, greedy, train_step
from ._opponents import STEPS, batch, parameters
from .transformer import attention_peak, same_losses

TINY = Setting("tiny", 2, 32, 4, 24, 3, 50, True)


@pytest.mark.parametrize("causal", [True, False])
def test_the_losses_of_training_are_those_of_torch(causal):
    ours, theirs = same_losses(Setting("tiny", 2, 32, 4, 24, 3, 50, causal), 4)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.fixture
def restored_threads():
    before = tl.get_num_threads()
    yield
    tl.set_num_threads(before)


def gradients(model, ids, target):
    logits = model(ids)
    tl.nn.functional.cross_entropy(logits.view(-1, logits.shape[-1]), target).backward()
    return [p.grad.numpy() for p in model.parameters()]


def test_gradients_are_the_same_for_any_number_of_threads(restored_threads):
    s = Setting("wide", 1, 128, 4, 128, 4, 500, True)  # wide enough that products and kernels are shared out
    model, ids, target = build(tl, s), tl.randint(0, 500, (4, 128)), tl.randint(0, 500, (512,))
    found = []
    for threads in (1, 2, 3):
        tl.set_num_threads(threads)
        model.zero_grad()
        found.append(gradients(model, ids, target))
    for several in found[1:]:
        for one, other in zip(found[0], several, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6 * np.abs(one).max())


def test_training_is_the_same_for_any_number_of_threads(restored_threads):
    found = []
    for threads in (1, 2):
        tl.set_num_threads(threads)
        step = train_step(tl, TINY)
        found.append([step().item() for _ in range(3)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_decoding_with_a_cache_gives_what_the_whole_sequence_gives():
    model, prompt, new = build(tl, TINY), tl.randint(0, TINY.vocabulary, (1, 4)), 12
    seen = []
    tokens = greedy(tl, model, TINY, prompt, new, seen)
    whole = prompt.numpy()[0].tolist()
    with tl.no_grad():
        for token, cached in zip(tokens, seen, strict=True):
            logits = model(tl.tensor([whole]))[0, -1]  # the whole sequence anew
            np.testing.assert_allclose(cached.numpy(), logits.numpy(), rtol=1e-4, atol=1e-5)
            assert token == logits.argmax().item()
            whole.append(token)


def test_memory_of_attention_grows_with_the_length_not_with_its_square():
    peaks = {t: attention_peak(t, heads=2, width=16) for t in (512, 2048, 8192)}
    assert peaks[8192] / 8192 <= 1.1 * peaks[512] / 512
    assert peaks[8192] / 8192 <= 1.1 * peaks[2048] / 2048
    assert peaks[8192] < 8192 * 8192 * 4 / 8  # an eighth of one head's scores


def test_the_interpreters_share_of_a_step_is_a_share():
    command = [sys.executable, "-m", "tests.benchmarks._overhead", "0"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 11
    for line in lines:
        outside, whole = map(float, line.split())
        assert 0 < outside < whole


@pytest.mark.parametrize("library", sorted(STEPS))
def test_the_opponents_train_the_same_model(library):
    pytest.importorskip(library)
    pytest.importorskip("scipy")
    s = Setting("one layer", 1, 32, 4, 24, 3, 50, True)
    weights = parameters(s)
    model = build(tl, s)
    model.load_state_dict({name: tl.tensor(w) for name, w in weights.items()})
    optimizer = tl.optim.AdamW(model.parameters(), lr=1e-4)
    ids, target = (tl.tensor(a) for a in batch(s))
    step = STEPS[library](s)
    for _ in range(3):
        optimizer.zero_grad()
        expected = tl.nn.functional.cross_entropy(model(ids).view(s.tokens, s.vocabulary), target)
        expected.backward()
        optimizer.step()
        assert float(step()) == pytest.approx(expected.item(), rel=1e-5)


def test_a_step_copies_little():
    step = train_step(tl, TINY)
    with profile() as prof:
        step()
    allowed = {"split backward", "accumulate_grad backward"}  # cotangents put side by side; slices of a norm's sums
    assert {name for name, *_ in prof.copies()} <= allowed
