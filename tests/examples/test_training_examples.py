"""The examples about training run, and what they print is true."""

from __future__ import annotations

import math
import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="example")


def is_svg(path: Path) -> bool:
    return ElementTree.fromstring(path.read_text(encoding="utf-8")).tag.endswith("svg")


def test_adam_against_sgd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = load("adam_against_sgd")
    # fewer rates than the example tries, around those that it finds
    example["RATES"] |= {"sgd": [1e-8, 1e-7, 3e-2, 1e-1], "adam": [3e-2, 1e-1]}
    found = example["main"](tmp_path)
    floor = example["NOISE"] ** 2
    assert floor < found["adam in their own units"] < 0.8 * found["sgd in their own units"]
    assert found["sgd standardised"] < 1.2 * floor
    assert found["adam standardised"] < 1.2 * floor
    assert "comes closer" in capsys.readouterr().out
    assert is_svg(tmp_path / "units.svg")
    assert is_svg(tmp_path / "standardised.svg")


def test_warmup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = load("warmup")["main"](tmp_path)
    exact = {title: history["val_exact"][-1] for title, history in found.items()}
    assert exact["post-norm, no warmup"] < 0.05
    assert exact["post-norm, warmup 50"] > 0.8
    assert exact["pre-norm, no warmup"] > 0.95
    assert f"ln 10 = {math.log(10):.3f}" in capsys.readouterr().out
    assert is_svg(tmp_path / "warmup.svg")
