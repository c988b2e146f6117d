"""Packages written for torch run on tensorlite without a changed line: the same weights give the same losses."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from .running import on_tensorlite, python

SCRIPT = Path(__file__).with_name("package_cases.py")
_X = ("einops", "einx", "loguru", "packaging", "torch_einops_utils", "frozendict", "sympy")
#: Each case, named after a package, with what it needs beside torch.
PACKAGES = {
    "lion_pytorch": (),
    "rotary_embedding_torch": ("einops",),
    "loralib": (),
    "einops": (),
    "x_transformers": _X,
    "x_transformers_settings": _X,
    "vit_pytorch": ("einops",),
}


def missing(name: str) -> list[str]:
    return [
        p for p in ("torch", name.removesuffix("_settings"), *PACKAGES[name]) if importlib.util.find_spec(p) is None
    ]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The numbers of every installed package: on torch, and from the same weights on tensorlite."""
    folder = tmp_path_factory.mktemp("packages")
    names = [name for name in PACKAGES if not missing(name)]
    python(str(SCRIPT), str(folder), "write", *names, cwd=folder)
    on_tensorlite(str(SCRIPT), str(folder), "read", *names, cwd=folder)
    return json.loads((folder / "write.json").read_text()), json.loads((folder / "read.json").read_text())


@pytest.mark.parametrize("name", PACKAGES)
def test_losses_are_those_of_torch(name: str, request: pytest.FixtureRequest) -> None:
    if missing(name):
        pytest.skip(f"not installed: {', '.join(missing(name))}")
    expected, actual = request.getfixturevalue("results")
    assert actual["version"].endswith("+tensorlite")
    assert not expected["version"].endswith("+tensorlite")
    assert len(expected[name]) > 10
    assert actual[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-4)


def test_einops_own_tests(tmp_path: Path) -> None:
    """The tests that come with einops, with torch as the framework under test."""
    for package in ("einops", "einops.tests"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"not installed: {package}")
    shown = on_tensorlite(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "einops.tests"),
        cwd=tmp_path,
        EINOPS_TEST_BACKENDS="numpy,torch",
    )
    passed = re.search(r"(\d+) passed", shown)
    assert passed, shown[-2000:]
    assert int(passed[1]) > 50
