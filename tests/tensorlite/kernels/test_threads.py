import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tensorlite.kernels import attention, dropout, gelu, loss, norm, optim, reduce, softmax, threads

from .arrays import normal


@pytest.fixture(autouse=True)
def restored_setting():
    before, blas = threads.get_num_threads(), threads.get_blas_threads()
    yield
    threads.set_num_threads(before)
    threads._set_blas_threads(blas)


def test_every_range_is_called_once_on_several_threads():
    threads.set_num_threads(3)
    calls, names, barrier = [], set(), threading.Barrier(3, timeout=30)

    def fn(start, stop):
        if start < 3:
            barrier.wait()  # passes only if three threads are at work
        calls.append((start, stop))
        names.add(threading.current_thread().name)

    ranges = [(i, i + 1) for i in range(100)]
    threads.parallel_for(fn, ranges)
    assert sorted(calls) == ranges
    assert len(names) >= 3


def test_one_thread_runs_in_the_caller_in_order():
    threads.set_num_threads(1)
    calls = []
    threads.parallel_for(lambda a, b: calls.append((a, threading.current_thread())), [(i, i + 1) for i in range(5)])
    assert calls == [(i, threading.current_thread()) for i in range(5)]


def test_nested_loops_do_not_wait_for_each_other():
    threads.set_num_threads(2)
    seen = []
    inner = [(i, i + 1) for i in range(4)]
    threads.parallel_for(lambda a, b: threads.parallel_for(lambda c, d: seen.append((a, c)), inner), inner)
    assert sorted(seen) == [(a, c) for a in range(4) for c in range(4)]


@pytest.mark.parametrize("n", [1, 3])
def test_an_exception_reaches_the_caller_and_the_next_loop_works(n):
    threads.set_num_threads(n)

    def fail(start, stop):
        if start == 5:
            raise KeyError("block 5")

    with pytest.raises(KeyError, match="block 5"):
        threads.parallel_for(fail, [(i, i + 1) for i in range(10)])
    done = []
    threads.parallel_for(lambda a, b: done.append(a), [(0, 1), (1, 2)])
    assert sorted(done) == [0, 1]


def test_the_caller_does_not_wait_for_a_helper_that_comes_late():
    threads.set_num_threads(2)
    threads.parallel_for(lambda a, b: None, [(0, 1), (1, 2)])
    inbox, release = threads._workers_inbox(1), threading.Event()
    for _ in range(threads._workers):  # keep every worker away
        inbox.put(release.wait)
    done = []
    try:
        threads.parallel_for(lambda a, b: done.append(a), [(i, i + 1) for i in range(4)])
        assert done == [0, 1, 2, 3]
    finally:
        release.set()
    threads.parallel_for(lambda a, b: done.append(a), [(4, 5), (5, 6)])  # what the late ones find left does no harm
    assert sorted(done) == [0, 1, 2, 3, 4, 5]


def test_an_interrupt_stops_the_helpers_before_it_reaches_the_caller():
    threads.set_num_threads(2)
    begun, ended = [], []

    def fn(start, stop):
        begun.append(start)
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        time.sleep(0.01)
        ended.append(start)

    with pytest.raises(KeyboardInterrupt):
        threads.parallel_for(fn, [(i, i + 1) for i in range(200)])
    assert len(begun) < 200
    assert len(ended) == len(begun) - 1


def test_workers_see_the_error_state_of_the_caller():
    threads.set_num_threads(2)
    states = []
    with np.errstate(divide="raise"):
        threads.parallel_for(lambda a, b: states.append(np.geterr()["divide"]), [(i, i + 1) for i in range(20)])
    assert set(states) == {"raise"}


def test_one_setting_governs_blas_too():
    threads.set_num_threads(2)
    if threads._blas() == (None, None):
        pytest.skip("NumPy's BLAS is not an OpenBLAS that can be asked")
    assert threads.get_blas_threads() == 2
    with threads.single_threaded_blas:
        assert threads.get_blas_threads() == 1
        with threads.single_threaded_blas:
            assert threads.get_blas_threads() == 1
        threads.set_num_threads(1)
        assert threads.get_blas_threads() == 1
    assert threads.get_blas_threads() == 1
    threads.set_num_threads(2)
    assert threads.get_blas_threads() == 2


def test_blas_is_held_at_one_thread_inside_a_loop_of_one_range_too():
    threads.set_num_threads(2)
    if threads._blas() == (None, None):
        pytest.skip("NumPy's BLAS is not an OpenBLAS that can be asked")
    for ranges in ([(0, 1)], [(0, 1), (1, 2)]):
        seen = []
        threads.parallel_for(lambda a, b: seen.append(threads.get_blas_threads()), ranges)  # noqa: B023
        assert set(seen) == {1}
    assert threads.get_blas_threads() == 2


def test_the_setting_refuses_nonsense():
    with pytest.raises(ValueError, match="positive integer, got 0"):
        threads.set_num_threads(0)
    with pytest.raises(TypeError, match="expects an int, got float"):
        threads.set_num_threads(2.0)


def test_an_integer_of_numpy_is_an_integer():
    threads.set_num_threads(np.int64(2))
    assert type(threads.get_num_threads()) is int


def test_a_huge_setting_starts_no_thread_for_every_range(monkeypatch):
    monkeypatch.setattr(threads, "_num_threads", 1_000_000)
    before, seen = threading.active_count(), []
    threads.parallel_for(lambda start, stop: seen.append(start), [(i, i + 1) for i in range(1000)])
    assert sorted(seen) == list(range(1000))
    assert threading.active_count() <= before + threads.MOST_THREADS


def test_the_default_is_the_cpus_of_the_process_capped_by_the_environment():
    code = "from tensorlite.kernels.threads import get_num_threads; print(get_num_threads())"
    for requested, expected in (("", len(os.sched_getaffinity(0))), ("1", 1), ("many", len(os.sched_getaffinity(0)))):
        path = os.pathsep.join(sys.path)
        environment = {**os.environ, "OMP_NUM_THREADS": requested, "PYTHONPATH": path}
        result = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert int(result.stdout) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    threads.set_num_threads(2)
    x = normal(0, (600, 300))
    expected = softmax.softmax(x)  # the pool exists before the fork
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(softmax.softmax(x), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_results_do_not_depend_on_the_number_of_threads():
    x, g = normal(0, (700, 300), np.float32), normal(1, (700, 300), np.float32)
    q, k, v = (normal(i, (2, 4, 150, 8), np.float32) for i in (2, 3, 4))
    target = np.arange(700) % 300

    def everything():
        y, mean, rstd = norm.layer_norm(x)
        yield from (y, mean, rstd, *norm.layer_norm_backward(g, x, mean, rstd))
        yield from (softmax.softmax(x), softmax.log_softmax(x), gelu.gelu(x), dropout.dropout(x, 0.5, 3))
        yield from (reduce.sum(x, 0), reduce.sum(x), reduce.var(x, 1), *loss.cross_entropy(x, target))
        out, logsumexp = attention.attention(q, k, v, causal=True, dropout=0.1, seed=5)
        yield from (out, logsumexp)
        yield from attention.attention_backward(q, q, k, v, out, logsumexp, causal=True, dropout=0.1, seed=5)
        p, m, s = x.copy(), np.zeros_like(x), np.zeros_like(x)
        optim.adam_update(p, g, m, s, step=1, lr=0.1)
        yield p

    results = []
    for n in (1, 2, 5):
        threads.set_num_threads(n)
        results.append(list(everything()))
    for several in results[1:]:
        for a, b in zip(results[0], several, strict=True):
            np.testing.assert_array_equal(a, b)


def test_loops_of_several_threads_while_the_setting_changes():
    before, errors, done = threads.get_num_threads(), [], []

    def work():
        try:
            for i in range(100):
                threads.set_num_threads(2 + i % 5)
                threads.parallel_for(lambda start, stop: done.append(start), [(j, j + 1) for j in range(8)])
        except Exception as error:
            errors.append(error)

    try:
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        threads.set_num_threads(before)
    assert not errors
    assert len(done) == 4 * 100 * 8


BLAS_THREADS_AT_WORK = """
import os, threading
import tensorlite as tl

def seconds():  # of threads that Python did not start
    ours = {str(t.native_id) for t in threading.enumerate()}
    others = [t for t in os.listdir("/proc/self/task") if t not in ours]
    return sum(int(open(f"/proc/self/task/{t}/schedstat").read().split()[0]) for t in others), len(others)

tl.set_num_threads(2)
nn, F = tl.nn, tl.nn.functional
embed, conv, linear, norm = nn.Embedding(65, 128), nn.Conv2d(8, 16, 3), nn.Linear(128, 512), nn.LayerNorm(512)
ids, image = tl.randint(0, 65, (768,)), tl.randn(4, 8, 32, 32)

def step():
    h = norm(linear(embed(ids)))
    q = h.reshape(12, 64, 8, 64).transpose(1, 2)
    a = F.scaled_dot_product_attention(q, q, q, is_causal=True)
    (F.cross_entropy(a.reshape(768, 512), ids) + conv(image).square().mean() + h.mean(0).sum()).backward()
    nn.utils.clip_grad_norm_(linear.parameters(), 1.0)
    with tl.no_grad():
        F.scaled_dot_product_attention(q[:1, :, :1], *(tl.randn(1, 8, 400, 64) for _ in range(2)))

step()
before, n = seconds()
step()
print(seconds()[0] - before, n)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's accounts of threads")
def test_blas_threads_of_their_own_stay_asleep_while_tensorlite_computes():
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", BLAS_THREADS_AT_WORK]
    nanoseconds, n = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    if n == "0":
        pytest.skip("NumPy's BLAS has started no threads")
    assert int(nanoseconds) < 1_000_000
