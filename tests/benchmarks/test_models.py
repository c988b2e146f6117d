"""What is timed is right: the same model trains alike in both libraries, and for any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.profiler import profile

from ._models import Setting, decode, train_step
from .transformer import same_losses

TINY = Setting("tiny", 2, 32, 4, 24, 3, 50, True)


@pytest.mark.parametrize("causal", [True, False])
def test_the_losses_of_training_are_those_of_torch(causal):
    ours, theirs = same_losses(Setting("tiny", 2, 32, 4, 24, 3, 50, causal), 4)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_training_is_the_same_for_any_number_of_threads():
    before = tl.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            tl.set_num_threads(threads)
            step = train_step(tl, TINY)
            found.append([step().item() for _ in range(3)])
    finally:
        tl.set_num_threads(before)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_decoding_with_a_cache_continues_as_the_whole_sequence_would():
    run = decode(tl, TINY, prompt=4, new=6)
    assert run() == run()
    assert len(run()) == 6


def test_a_step_copies_little():
    step = train_step(tl, TINY)
    with profile() as prof:
        step()
    allowed = {"split backward", "accumulate_grad backward"}  # cotangents put side by side; slices of a norm's sums
    assert {name for name, *_ in prof.copies()} <= allowed
