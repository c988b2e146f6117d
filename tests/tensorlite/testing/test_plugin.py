"""The pytest plugin: options, profiles, and what it prints and keeps of a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[3]
assert hypothesis.__version__

WRONG = """
import numpy as np, pytest
from tensorlite.ops.table import OPS
from tensorlite.testing.mutating import rules_replaced

def test_right(gradcheck):
    assert gradcheck(lambda x: x * x, [np.ones(3)]).seed == 7

def test_programs(program_check):
    with rules_replaced(OPS["tanh"], x=lambda g, x: g * (1 - x * x)):
        program_check(must="tanh", max_ops=4)
"""


def run(folder: Path, *options: str) -> str:
    (folder / "test_user.py").write_text(WRONG)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tensorlite.testing.plugin", *options]
    if not any(o.endswith(".py") and o != "test_user.py" for o in options):
        command.append("test_user.py")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_failure_says_how_to_reproduce_it_and_writes_it_down(tmp_path: Path) -> None:
    output = run(tmp_path, "--tl-examples", "30", "--tl-seed", "7", "--tl-artifacts", "kept")
    assert "1 failed, 1 passed" in output
    assert "op 'tanh'" in output
    line = next(text for text in output.splitlines() if text.startswith(("E   reproduce:", "reproduce:")))
    assert "seed=7, must='tanh', max_ops=4" in line
    kept = sorted(p.suffix for p in (tmp_path / "kept").iterdir())
    assert {".dot", ".json", ".py"} <= set(kept)
    script = next((tmp_path / "kept").glob("*.py")).read_text()
    exec(script, {"print": lambda *a: None})


def test_profiles(tmp_path: Path) -> None:
    assert "200 examples, seed 0" in run(tmp_path, "--tl-profile", "ci", "-k", "nothing", "-v")


TWO = """
from tensorlite.ops.table import OPS
from tensorlite.testing.mutating import rules_replaced

def test_first(program_check):
    with rules_replaced(OPS["exp"], x=lambda g, x: g * 0):
        program_check(must="exp", max_ops=3)

def test_second(program_check):
    with rules_replaced(OPS["sin"], x=lambda g, x: g * 0):
        program_check(must="sin", max_ops=3)

def test_method(gradcheck):
    assert gradcheck(lambda x: x * x, [2.0 * __import__("numpy").ones(3)]).method == "Richardson"
"""


def test_failures_of_two_tests_do_not_overwrite_each_other_and_each_says_how_to_run_it_again(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(TWO)
    output = run(tmp_path, "test_two.py", "--tl-artifacts", "kept", "--tl-method", "richardson")
    assert "pytest 'test_two.py::test_first' --tl-seed 0" in output
    assert {p.name.split("-")[1] for p in (tmp_path / "kept").iterdir()} >= {"test_first", "test_second"}
    assert "FAILED test_two.py::test_method" not in output
    line = next(text.partition("reproduce: ")[2] for text in output.splitlines() if "reproduce: " in text)
    exec(line)  # the library is right, so the program passes here


def test_a_folder_that_cannot_be_written_does_not_hide_the_failure(tmp_path: Path) -> None:
    output = run(tmp_path, "--tl-examples", "30", "--tl-seed", "7", "--tl-artifacts", "test_user.py")
    assert "op 'tanh'" in output
    assert "not written:" in output


@pytest.mark.parametrize("option", [("--tl-examples", "0"), ("--tl-seed", "-1")])
def test_options_out_of_range(tmp_path: Path, option: tuple[str, str]) -> None:
    output = run(tmp_path, *option)
    assert f"{option[0]} expects" in output
    assert "INTERNALERROR" not in output


WITHOUT_HYPOTHESIS = """
import importlib.util, sys
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "hypothesis" else find_spec(name, package)
sys.modules["hypothesis"] = None
import numpy as np
import tensorlite as tl
import tensorlite.testing as testing
assert testing.gradcheck(tl.sin, [np.ones(2)]).verdict == "pass"
assert testing.soak(3).failures == []
for use in (lambda: testing.st, lambda: testing.TensorMachine, lambda: testing.gradcheck(tl.sin, [np.ones(2)], kinks="assume")):
    try:
        use()
    except ImportError as error:
        assert "claimsformer[testing]" in str(error), error
    else:
        raise AssertionError("no error")
"""


def test_without_hypothesis() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_HYPOTHESIS], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
