from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.autograd import memory_report


def test_each_op_reports_the_bytes_that_it_keeps():
    x = tl.randn(100, 10, requires_grad=True)
    w = tl.randn(10, 20, requires_grad=True)
    h = x @ w  # keeps x and w, which are leaves
    y = h.exp()  # keeps its result
    loss = (y * y).sum()  # keeps y twice, which exp keeps already
    report = memory_report(loss)
    kept = {r.op: r.bytes for r in report.rows}
    assert kept["exp"] == 100 * 20 * 4
    assert kept["matmul"] == kept["mul"] == 0
    assert report.total == 100 * 20 * 4
    assert report.parameters == (100 * 10 + 10 * 20) * 4
    assert "exp" in str(report)


def test_a_saved_view_counts_the_memory_that_it_keeps_alive():
    x = tl.randn(50, requires_grad=True)
    big = x.exp()
    part = big[:5]
    loss = (part * part).sum()
    assert memory_report(loss).total == 50 * 4


def test_nothing_is_reported_after_the_graph_was_freed():
    x = tl.randn(8, requires_grad=True)
    loss = x.exp().sum()
    assert memory_report(loss).total == 32
    loss.backward()
    assert memory_report(loss).total == 0


def test_custom_functions_report_what_their_context_saved():
    class Square(tl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            doubled = x * 2
            ctx.save_for_backward(doubled)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    y = Square.apply(tl.tensor(np.ones(6, np.float32), requires_grad=True))
    assert memory_report(y).total == 24
    assert tl.autograd.graph.memory_report(y).total == 24


def test_what_hooks_have_packed_counts_as_it_is_kept():
    x = tl.randn(100, requires_grad=True)

    def kept(pack):
        with tl.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            return memory_report(x.exp()).total

    assert kept(lambda t: t.half()) == kept(lambda t: t.numpy().astype(np.float16)) == 200
    assert kept(lambda t: "on disk") == 0


def test_other_arguments_than_tensors_are_named():
    with pytest.raises(TypeError, match="got list"):
        memory_report([tl.ones(2)])
