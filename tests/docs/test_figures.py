"""Every figure is made by a script: drawing it again gives the same bytes."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("polars")
FOLDER = Path(__file__).parents[2] / "docs" / "figures"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


draw = load("draw")


@pytest.mark.parametrize("name", draw.FIGURES)
def test_figure_is_what_its_script_draws(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == draw.FIGURES[name]()


def test_no_figure_without_a_script() -> None:
    assert {p.name for p in FOLDER.glob("*.svg")} == set(draw.FIGURES)
