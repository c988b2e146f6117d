"""Random sequences of views, in-place ops, hooks and backward passes do in tensorlite what they do in torch, errors included."""

from __future__ import annotations

import pytest
import torch  # the machine's reference; without torch this file is left out
from hypothesis import settings

from tensorlite.testing.machine import NumpyMachine, TensorMachine

assert torch.__version__

TestTensors = TensorMachine.TestCase
TestTensors.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)

TestValues = NumpyMachine.TestCase
TestValues.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)


@pytest.mark.slow
def test_long_run() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        TensorMachine, settings=settings(max_examples=2000, stateful_step_count=40, deadline=None)
    )
