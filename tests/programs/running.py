"""Running one source file on torch and, through `tensorlite.compat`, on tensorlite, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: `python` is the interpreter that runs the tests; one thread, so that two libraries sum in one order each time.
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def python(*args: str, cwd: Path, **environment: str) -> str:
    """What `python args…` prints. Fails the test, with its last lines, if it fails."""
    done = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(args)}\n{(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


def on_tensorlite(*args: str, cwd: Path, **environment: str) -> str:
    """What the program prints when it runs through `python -m tensorlite.compat`."""
    return python("-m", "tensorlite.compat", "--quiet", *args, cwd=cwd, **environment)
