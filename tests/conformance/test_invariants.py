"""What holds for every op: float32 stays float32, nothing is mutated, no gradients share memory, and no cycle is left behind.

One property over all ops, on torch's float32 samples of each.
"""

from __future__ import annotations

import gc
import itertools
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl

from . import opinfo as harness
from .test_opinfo import OPS, identify

SAMPLES = 4
CONVERSIONS = frozenset(
    ["to", "type_as", "double", "cdouble", "float_power", "result_type"]
)  # their purpose is another dtype


@pytest.mark.parametrize("op", [o for o in OPS if o.supports_autograd and torch.float32 in o.dtypes], ids=identify)
def test_invariants(op: Any) -> None:
    function = harness.function_of(op)
    assert function is not None
    rng = np.random.default_rng(0)
    for sample in itertools.islice(op.sample_inputs("cpu", torch.float32, requires_grad=True), SAMPLES):
        try:
            args, kwargs = harness.to_tensorlite((sample.input, *sample.args)), harness.to_tensorlite(sample.kwargs)
        except harness.NotRepresentable:
            continue
        inputs = list(harness.tensors_in((args, kwargs), tl.Tensor))
        before = [t._data.copy() for t in inputs]
        try:
            result = (sample.output_process_fn_grad or (lambda x: x))(function(*args, **kwargs))
        except RuntimeError:
            continue  # an exception listed in the table of `exceptions`; test_samples looks after it
        outputs = list(harness.tensors_in(result, tl.Tensor))
        wide = op.name in CONVERSIONS or "dtype" in kwargs or any(t._data.dtype == np.float64 for t in inputs)
        for o in outputs:
            assert wide or o._data.dtype not in (np.float64, np.complex128), "float32 went in, a wider type came out"
        recorded = [o for o in outputs if o.requires_grad]
        leaves = [t for t in inputs if t.requires_grad]
        if recorded and leaves:
            cotangents = [
                tl.from_numpy(np.asarray(rng.standard_normal(o.shape)).astype(o._data.dtype)) for o in recorded
            ]
            kept = [c._data.copy() for c in cotangents]
            grads = [
                g
                for g in tl.autograd.grad(recorded, leaves, cotangents, retain_graph=True, allow_unused=True)
                if g is not None
            ]
            for t, g in zip(leaves, tl.autograd.grad(recorded, leaves, cotangents, allow_unused=True), strict=True):
                assert g is None or (g.dtype == t.dtype and g.shape == t.shape), (
                    f"gradient {g.dtype}{list(g.shape)} of an input {t.dtype}{list(t.shape)}"
                )
            for c, k in zip(cotangents, kept, strict=True):
                assert np.array_equal(c._data, k, equal_nan=True), "a cotangent was mutated"
            arrays = [g._data for g in grads]
            others = [c._data for c in cotangents] + [t._data for t in inputs]
            for i, a in enumerate(arrays):
                assert not any(np.shares_memory(a, b) for b in arrays[:i] + others if a.size and b.size), (
                    "a gradient shares memory"
                )
            del grads, arrays, others, cotangents
        for t, b in zip(inputs, before, strict=True):
            running = op.name in ("nn.functional.batch_norm", "nn.functional.instance_norm") and not t.requires_grad
            assert running or np.array_equal(t._data, b, equal_nan=True), "an input was mutated"
        del outputs, recorded, result


def test_no_op_leaves_a_cycle_behind() -> None:
    """Reference counting frees a graph at once: after forward and backward of every op the garbage collector finds no node and no tensor."""
    from tensorlite.autograd.graph import Node, Variable

    calls = _calls()
    gc.collect()
    gc.freeze()  # what torch, the test runner and the samples hold is not searched
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for function, process, args, kwargs in calls:
            _forward_and_backward(function, process, args, kwargs)
        gc.collect()
        found = [o for o in gc.garbage if isinstance(o, Node | Variable)]
        assert not found, f"in a cycle: {[o.name() if isinstance(o, Node) else repr(o) for o in found[:10]]}"
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        gc.unfreeze()


def _calls() -> list[tuple[Any, ...]]:
    """One call of each op. torch's sample generators keep the frames that called them, so they are run apart."""
    calls = []
    for op in OPS:
        function = harness.function_of(op)
        sample = (
            next(iter(op.sample_inputs("cpu", torch.float64, requires_grad=True)), None)
            if op.supports_autograd
            else None
        )
        if sample is not None and function is not None:
            try:
                calls.append(
                    (
                        function,
                        sample.output_process_fn_grad,
                        *harness.to_tensorlite(((sample.input, *sample.args), sample.kwargs)),
                    )
                )
            except harness.NotRepresentable:
                continue
    return calls


def _forward_and_backward(function: Any, process: Any, args: Any, kwargs: Any) -> None:
    try:
        result = function(*args, **kwargs)
        out = [o for o in harness.tensors_in(process(result) if process else result, tl.Tensor) if o.requires_grad]
        leaves = [t for t in harness.tensors_in((args, kwargs), tl.Tensor) if t.requires_grad]
        if out and leaves:
            tl.autograd.grad(out, leaves, [tl.ones_like(o) for o in out], allow_unused=True)
    except RuntimeError:
        return  # an error keeps its traceback, and with it the frames; test_samples looks after errors
