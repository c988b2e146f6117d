"""`python -m tensorlite.compat`: the program's own behaviour, and the report at its exit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tensorlite.compat", *args]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_a_script(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import torch\n\ndef value():\n    return torch.ones(2).sum().item()\n")
    (tmp_path / "script.py").write_text(
        "import sys\nimport torch.nn.functional as F\nfrom torch.nn import Transformer\nfrom helper import value\n"
        "if __name__ == '__main__':\n    print(value(), F.relu.__module__, sys.argv[1:])\n    sys.exit(3)\n"
    )
    done = run("--report", "report.json", "script.py", "--lr", "1", "-q", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout.startswith("2.0 tensorlite")
    assert done.stdout.endswith("['--lr', '1', '-q']\n")
    assert "torch.nn.Transformer (never called)" in done.stderr
    assert json.loads((tmp_path / "report.json").read_text())["missing"] == ["torch.nn.Transformer"]


def test_a_module_quietly_and_its_exception(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text("import torch\nprint(torch.zeros(1))\ntorch.nn.Linnear(1)\n")
    done = run("--quiet", "-m", "package", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == "tensor([0.])\n"
    assert "the nearest name there is torch.nn.Linear" in done.stderr
    assert "names; tensorlite has" not in done.stderr
