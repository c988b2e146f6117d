"""The pytest plugin: options, profiles, and what it prints and keeps of a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hypothesis

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
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tensorlite.testing.plugin", *options, "test_user.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


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
