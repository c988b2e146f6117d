"""The package as a whole: the greeting, the namespace, and what importing it brings along."""

import subprocess
import sys

import pytest

import tensorlite as tl


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


def test_the_greeting_builds_checks_and_draws():
    out = python("-m", "tensorlite")
    assert "y = relu(x @ W + b)" in out
    assert "agree with numerical derivatives: True" in out
    assert "matmul" in out
    assert len(out.strip().splitlines()) <= 12


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'zeros'"):
        _ = tl.zeroes


@pytest.mark.parametrize(
    ("where", "name", "says"),
    [
        (tl, "fft", "np.fft.fft"),
        (tl, "compile", "python -m tensorlite.compat"),
        (tl, "use_deterministic_algorithms", "python -m tensorlite.compat"),
        (tl.nn, "MultiheadAttention", "claimsformer.transformer"),
        (tl.nn, "Linera", "has no attribute 'Linera'$"),
        (tl.optim, "Muon", "bfloat16"),
        (tl.ones(1), "untyped_storage", "data_ptr"),
    ],
)
def test_names_of_torch_that_are_left_out_say_why(where, name, says):
    with pytest.raises(AttributeError, match=says):
        getattr(where, name)


def test_functions_that_torch_has_in_two_places():
    assert tl.conv2d is tl.nn.functional.conv2d
    assert tl.vmap is tl.func.vmap
    assert "cosine_similarity" in dir(tl)


@pytest.mark.parametrize("path", ["tl.utils.data.DataLoader", "tl.utils.checkpoint.checkpoint", "tl.nn.functional.relu", "tl.nn.utils.clip_grad_norm_",
                                  "tl.optim.lr_scheduler.StepLR", "tl.autograd.Function", "tl.distributions.Normal"])  # fmt: skip
def test_what_is_reached_by_attributes_alone(path):
    assert python("-c", f"import tensorlite as tl; print(callable({path}))") == "True\n"


def test_importing_brings_numpy_and_nothing_else():
    code = "import sys; before = set(sys.modules); import tensorlite; print(sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    loaded = set(eval(python("-c", f"import numpy; {code}")))
    assert (
        loaded
        & {"torch", "hypothesis", "graphviz", "polars", "pydantic", "click", "rich", "json", "inspect", "dataclasses"}
        == set()
    )
    assert "tensorlite" in loaded


def test_cuda_is_not_available_and_says_so():
    assert ("cuda" if tl.cuda.is_available() else "cpu") == "cpu"
    with pytest.raises(RuntimeError, match="CPU only"):
        tl.cuda.current_device()


def test_several_threads_may_be_the_first_to_use_what_is_loaded_late():
    code = """
import sys, threading
import tensorlite as tl
sys.setswitchinterval(1e-6)
uses = [
    lambda: tl.ones(4, 3).select(0, 1), lambda: tl.cumsum(tl.ones(3), 0), lambda: tl.nn.Linear(2, 3), lambda: tl.Tensor.cumprod,
    lambda: tl.optim.Adam, lambda: tl.distributions.Normal, lambda: tl.nn.functional.relu, lambda: tl.nn.utils.clip_grad_norm_,
]
barrier, failed = threading.Barrier(len(uses)), []
def first(use):
    barrier.wait()
    try:
        use()
    except Exception as error:
        failed.append(repr(error))
threads = [threading.Thread(target=first, args=(use,)) for use in uses]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(failed)
"""
    for _ in range(3):  # without the lock, most runs fail
        assert python("-c", code) == "[]\n"
