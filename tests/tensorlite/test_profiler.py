from __future__ import annotations

import json
import threading

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.autograd import engine, record
from tensorlite.profiler import profile, record_function


def step():
    x = tl.randn(32, 16)
    w = tl.randn(8, 16, requires_grad=True)
    b = tl.zeros(8, requires_grad=True)
    loss = tl.nn.functional.linear(x, w, b).exp().sum()
    loss.backward()
    return w


def test_calls_flops_and_directions_of_each_op():
    with profile() as prof:
        step()
        step()
    rows = {r.name: r for r in prof.rows()}
    assert rows["linear"].calls == rows["exp"].calls == rows["sum"].calls == 2
    forward = 2 * 32 * 16 * 8 + 32 * 8
    assert rows["linear"].flops >= 2 * 2 * forward  # the input needs no gradient: one product each way, and the bias
    assert rows["accumulate_grad"].calls == 4  # weight and bias, twice
    kinds = {(e.name, e.kind) for e in prof.events}
    assert {("linear", "forward"), ("linear", "backward"), ("exp", "backward")} <= kinds
    assert rows["exp"].bytes == 2 * 4 * 32 * 8 * 4  # two arrays each way, two steps
    assert 0 < sum(r.total for r in rows.values()) <= prof.wall * 1e3


def test_operators_are_seen_and_results_unchanged():
    x, y = tl.randn(4, 4, requires_grad=True), tl.randn(4, 4)
    plain = (x * y + x).sum()
    with profile() as prof:
        profiled = (x * y + x).sum()
    assert profiled.item() == plain.item()
    assert {r.name for r in prof.rows()} == {"mul", "add", "sum"}


def test_nothing_stays_behind():
    before = (record.compute, engine.run, engine.accumulate, list(record.observers))
    with pytest.raises(ValueError, match="stop"), profile():
        raise ValueError("stop")
    assert (record.compute, engine.run, engine.accumulate, record.observers) == before
    with profile(), pytest.raises(RuntimeError, match="already being taken"):
        profile().__enter__()
    assert record.compute is before[0]


def test_the_chrome_trace_is_one_complete_event_a_call(tmp_path):
    with profile() as prof, record_function("training step"):
        step()
    path = tmp_path / "trace.json"
    prof.export_chrome_trace(path)
    events = json.loads(path.read_text())["traceEvents"]
    assert len(events) == len(prof.events)
    assert all(e["ph"] == "X" and e["dur"] >= 0 for e in events)
    whole = next(e for e in events if e["name"] == "training step")
    assert all(whole["ts"] <= e["ts"] and e["ts"] + e["dur"] <= whole["ts"] + whole["dur"] for e in events)
    assert "training step" in prof.table()


def test_copies_are_listed_and_views_are_not():
    x = tl.randn(6, 4)
    with profile() as prof:
        x.transpose(0, 1).reshape(24)
        x.reshape(24)
        x.clone()
    copies = {name: (calls, size) for name, _, calls, size in prof.copies()}
    assert copies == {"reshape forward": (1, 96), "clone forward": (1, 96)}


def test_peak_memory_is_what_lives_at_once():
    with profile(memory=True) as prof:
        for _ in range(3):
            tl.zeros(1000, 1000).exp()
    assert 8e6 <= prof.peak_memory < 13e6
    assert "peak memory" in prof.table()


def test_ops_of_other_threads_are_recorded():
    with profile() as prof:
        worker = threading.Thread(target=lambda: tl.tensor(np.ones(3)).exp())
        worker.start()
        worker.join()
    assert [e.name for e in prof.events] == ["exp"]
    assert prof.events[0].thread != threading.get_ident()


def test_ranges_outside_a_profile_do_nothing():
    with record_function("alone"):
        assert tl.ones(2).sum().item() == 2


def test_writes_in_place_are_seen():
    x, row = tl.zeros(6, 4), tl.ones(4)
    with profile() as prof:
        x[0] = row
        x[1:3] = 2.0
        x.add_(1)
        x[tl.tensor([0, 5])] = row
        x[tl.tensor([0, 5])] = 3.0
    assert [(e.name, e.bytes, e.copied) for e in prof.events if e.name == "setitem"] == [
        ("setitem", 2 * 16, 16),
        ("setitem", 2 * 16, 0),
        ("setitem", 16 + 16 + 16, 16),
        ("setitem", 16 + 6 * 16, 0),  # how much an index array selects is not looked up
    ]
    assert [e.name for e in prof.events].count("add") == 1


def test_entered_again_it_starts_anew():
    prof = profile()
    for _ in range(2):
        with prof:
            tl.ones(3).exp()
        assert [e.name for e in prof.events] == ["exp"]
        assert prof.rows()[0].total <= prof.wall * 1e3


def test_a_table_can_be_read_while_the_profile_runs():
    with profile() as prof:
        assert "outside ops" in prof.table()
        tl.ones(3).exp()
        assert prof.rows()[0].total <= prof.wall * 1e3


def test_the_time_between_ops_is_not_told_for_several_threads():
    with profile() as prof:
        threads = [threading.Thread(target=step) for _ in range(2)]
        for t in threads:
            t.start()
        step()
        for t in threads:
            t.join()
    assert "outside ops" not in prof.table()


def test_events_of_a_chrome_trace_are_in_order_of_their_start(tmp_path):
    with profile() as prof, record_function("outer"), record_function("inner"):
        step()
    prof.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [e["name"] for e in events[:2]] == ["outer", "inner"]
    starts = [e["ts"] for e in events]
    assert starts == sorted(starts)


def test_a_decorated_function_is_a_range_for_each_call():
    @record_function("countdown")
    def countdown(n):
        return n and countdown(n - 1)

    with profile() as prof:
        countdown(2)
    assert [e.name for e in prof.events] == ["countdown"] * 3


def test_a_hook_that_drops_the_gradient_may_be_profiled():
    w = tl.ones(3, requires_grad=True)
    w.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    with profile() as prof:
        (w * 2).sum().backward()
    assert w.grad is None
    assert "accumulate_grad" in {e.name for e in prof.events}
