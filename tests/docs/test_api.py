"""The generator of the API reference: everything public is in it, and says what it does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load() -> ModuleType:
    path = Path(__file__).parents[2] / "docs" / "figures" / "api.py"
    spec = importlib.util.spec_from_file_location("api", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


api: Any = load()


@pytest.mark.parametrize("path", [m for m in api.MODULES if m.startswith("tensorlite") and not m.endswith("testing")])
def test_every_public_name_of_a_module_has_a_docstring_and_an_entry(path: str) -> None:
    owner = api.find(path)
    names = dict(api.public(owner))
    assert names
    assert [name for name, value in names.items() if not (value.__doc__ or "").strip()] == []
    text = api.page(path)
    assert [name for name in names if f"## `{name}`" not in text] == []


def test_signatures_of_ops_and_of_functions() -> None:
    import tensorlite as tl

    assert api.signature(tl.softmax) == "(x, dim, dtype=None)"
    assert api.signature(tl.nn.Linear).startswith("(in_features, out_features, bias=True")


def test_the_op_table_lists_every_op_with_what_it_saves() -> None:
    from tensorlite.ops.table import OPS

    lines = {line.split("`")[1]: line for line in api.op_table().splitlines() if line.startswith("| `")}
    assert set(lines) == set(OPS)
    assert lines["exp"].endswith("| x | out |")
    assert lines["mul"].endswith("| x, y | y, x |")
    assert lines["argmax"].endswith("| - | - |")
