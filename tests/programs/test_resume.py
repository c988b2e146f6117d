"""k steps, a checkpoint, N - k steps: bit for bit the same as N steps in one go."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorlite as tl

from .resuming import OPTIMIZERS, SCHEDULES, Training
from .running import python

N = 11


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@settings(max_examples=5)
@given(k=st.integers(0, N), schedule=st.sampled_from(sorted(SCHEDULES)))
def test_after_any_step_with_any_schedule(optimizer: str, k: int, schedule: str) -> None:
    whole = Training(optimizer, schedule).steps(N)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.safetensors")
        tl.save(Training(optimizer, schedule).steps(k).state(), path)
        resumed = Training.resume(path).steps(N - k)
    assert resumed.losses == whole.losses
    assert resumed.digest() == whole.digest()


def test_in_a_new_process(tmp_path: Path) -> None:
    """Every optimizer and every schedule once."""
    expected = {}
    for i, optimizer in enumerate(OPTIMIZERS):
        schedule = list(SCHEDULES)[i % len(SCHEDULES)]
        expected[optimizer] = Training(optimizer, schedule).steps(N).digest()
        tl.save(Training(optimizer, schedule).steps(1 + i % 9).state(), tmp_path / f"{optimizer}.safetensors")
    python("-m", "tests.programs.resuming", str(tmp_path), str(N), cwd=tmp_path)
    assert {name: (tmp_path / f"{name}.digest").read_text() for name in expected} == expected
    assert len(expected) >= len(SCHEDULES)


def test_a_part_that_is_forgotten_shows(tmp_path: Path) -> None:
    """The comparison notices each part of the state: without it, the continuation is another."""
    whole = Training("AdamW", "StepLR").steps(N).digest()
    state = Training("AdamW", "StepLR").steps(7).state()
    for part in ("model", "optimizer", "loader", "random"):
        other = Training("AdamW", "StepLR", seed=5).steps(7).state()
        tl.save({**state, part: other[part]}, tmp_path / part)
        assert Training.resume(tmp_path / part).steps(N - 7).digest() != whole, part
