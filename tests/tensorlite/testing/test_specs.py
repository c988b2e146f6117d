"""Every op with a gradient has a spec, and passes every layer of its check."""

from __future__ import annotations

from typing import Any

import hypothesis
import numpy as np
import pytest

from tensorlite.ops.table import OPS, op
from tensorlite.testing import all_specs, check_op, missing_specs, spec_of
from tensorlite.testing.programs import program_ops
from tensorlite.testing.source import RandomSource

assert hypothesis.__version__  # tensorlite.testing is tested where its extra is installed


def test_every_op_with_a_gradient_has_a_spec() -> None:
    assert missing_specs() == []
    assert len(all_specs()) > 150


def test_an_op_without_spec_is_found_and_one_that_brings_samples_is_not() -> None:
    try:

        @op
        def windowed(x: Any, window: Any) -> Any:
            return x * window

        windowed.grad(x=lambda g, window: g * window)
        assert missing_specs() == ["windowed"]
        with pytest.raises(LookupError, match="samples"):
            spec_of("windowed")
        windowed.samples = lambda source: (source.array((3,)), 2.0)
        assert missing_specs() == []
        check_op("windowed", examples=3)
    finally:
        del OPS["windowed"]


@pytest.mark.parametrize("name", sorted(all_specs()))
def test_op(name: str) -> None:
    check_op(name, examples=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(all_specs()))
def test_op_long(name: str) -> None:
    check_op(name, examples=150, seed=1)


def test_the_same_seed_draws_the_same_arguments() -> None:
    for name in ("matmul", "getitem", "scatter_reduce", "convolution"):
        first, second = (spec_of(name).arguments(RandomSource(7)) for _ in range(2))
        assert repr(first) == repr(second)


def test_programs_are_made_of_most_ops() -> None:
    assert len(program_ops()) > 130


def test_grid_elements_are_dyadic_and_extreme_ones_are_extreme() -> None:
    grid = RandomSource(0).values(500)
    assert np.array_equal(grid * 16, np.round(grid * 16))
    assert np.abs(grid).max() <= 2
    coarse = RandomSource(0, "coarse").values(500)
    assert len(np.unique(coarse)) <= 8
    extreme = np.abs(RandomSource(0, "extreme").values(500))
    assert extreme.max() > 1e20
    assert extreme[extreme > 0].min() < 1e-20
