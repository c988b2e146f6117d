"""tensorlite against torch's op database; see `opinfo` for what is compared, `exceptions` for what differs on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import opinfo as harness
from .exceptions import DTYPES, ERRORS, EXCEPTIONS

OPS = [o for o in harness.database() if harness.function_of(o) is not None and torch.float64 in o.dtypes]


def identify(o: Any) -> str:
    return o.name + (f":{o.variant_test_name}" if o.variant_test_name else "")


@pytest.mark.parametrize("op", OPS, ids=identify)
def test_samples(op: Any, record_property: Callable[[str, object], None]) -> None:
    outcome = harness.run(op)
    assert outcome is not None
    record_property("opinfo", (op.name, outcome.passed, outcome.total))  # counted at the end of the run, by conftest.py
    allowed = EXCEPTIONS.get(identify(op), EXCEPTIONS.get(op.name))
    if allowed is None:
        assert not outcome.failures, "\n".join(outcome.failures[:5])
    else:
        assert outcome.failures, f"{op.name} is listed as an exception ({allowed}) but passes: take it out of the table"
        assert len(outcome.failures) <= outcome.total // 2 or outcome.total <= 4, (
            f"an exception is for a few samples: {outcome.failures[:5]}"
        )


PROMOTION = [torch.float16, torch.float32, torch.complex64, torch.int64, torch.int32, torch.uint8, torch.bool]


@pytest.mark.parametrize("op", [o for o in OPS if not o.name.startswith(("linalg.", "nn.functional."))], ids=identify)
def test_dtypes(op: Any) -> None:
    """For each dtype that torch's op supports and NumPy has, the result has torch's dtype."""
    function = harness.function_of(op)
    assert function is not None
    wrong = []
    for dtype in PROMOTION:
        if dtype not in op.dtypes:
            continue
        sample = next(iter(op.sample_inputs("cpu", dtype, requires_grad=False)), None)
        if sample is None:
            continue
        try:
            theirs = op(sample.input, *sample.args, **sample.kwargs)
            expected = [t.dtype for t in harness.values(theirs, torch.Tensor)]
            ours = function(
                *harness.to_tensorlite((sample.input, *sample.args)), **harness.to_tensorlite(sample.kwargs)
            )
        except harness.NotRepresentable:
            continue
        except Exception as error:
            wrong.append(f"{dtype}: {type(error).__name__}: {str(error).splitlines()[0][:120]}")
            continue
        found = [t.dtype for t in harness.values(ours, harness.tl.Tensor)]
        if found != expected:
            wrong.append(f"{dtype}: {found}, torch {expected}")
    if identify(op) in DTYPES:
        assert wrong, f"{op.name} is listed in DTYPES ({DTYPES[identify(op)]}) but passes: take it out of the table"
    else:
        assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("op", [o for o in OPS if o.error_inputs_func is not None], ids=identify)
def test_errors(op: Any) -> None:
    """What torch refuses, tensorlite refuses."""
    function = harness.function_of(op)
    assert function is not None
    accepted = []
    for i, error_input in enumerate(op.error_inputs("cpu")):
        sample = error_input.sample_input
        try:
            arguments = harness.to_tensorlite((sample.input, *sample.args))
            keywords = harness.to_tensorlite(sample.kwargs)
        except harness.NotRepresentable:
            continue
        try:
            function(*arguments, **keywords)
        except Exception:
            continue
        accepted.append(f"#{i} {error_input.error_type.__name__}: {str(error_input.error_regex)[:100]}")
    if identify(op) in ERRORS:
        assert accepted, f"{op.name} is listed in ERRORS ({ERRORS[identify(op)]}) but passes: take it out of the table"
    else:
        assert not accepted, "torch raises here:\n" + "\n".join(accepted)
