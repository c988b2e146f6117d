"""Programs in the shape of well-known ones, each one source file that says `import torch`: run on torch and on tensorlite, with equal numbers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from tensorlite.compat import Report, as_torch

from .running import on_tensorlite

FOLDER = Path(__file__).with_name("lookalikes")
PROGRAMS = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem not in ("seeded", "__init__"))


def run(name: str) -> list[float]:
    """The numbers of a program, with whatever `torch` is at the moment."""
    spec = importlib.util.spec_from_file_location(f"lookalike_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    numbers: list[float] = module.main()
    return numbers


@pytest.mark.parametrize("name", PROGRAMS)
def test_equal_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    with monkeypatch.context() as eager:
        eager.setattr(torch, "compile", lambda model, **options: model)  # two minutes of compiling would test torch
        expected = run(name)
    report = Report()
    with as_torch(report) as stand_in:
        assert stand_in is not torch
        actual = run(name)
    assert not report.missing
    assert len(report.present) > 10
    assert actual == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_there_are_seven() -> None:
    assert len(PROGRAMS) == 7


def test_from_the_command_line(tmp_path: Path) -> None:
    shown = json.loads(on_tensorlite(str(FOLDER / "vae.py"), cwd=tmp_path))
    with as_torch(), pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        assert shown == run("vae")
