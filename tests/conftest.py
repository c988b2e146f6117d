"""What all tests share: hypothesis profiles, leaving out the files whose packages are not installed, and a summary of torch's op database."""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
from pathlib import Path

import pytest

#: Packages of the test extra that a part of the suite can do without; a file that imports one of them at its top is left out where it is missing.
OPTIONAL = (
    "torch",
    "transformers",
    "peft",
    "hypothesis",
    "graphviz",
    "polars",
    "pydantic",
    "click",
    "rich",
    "safetensors",
    "tokenizers",
    "sybil",
    "sklearn",
    "lightgbm",
)
_MISSING = frozenset(name for name in OPTIONAL if importlib.util.find_spec(name) is None)
_left_out: list[str] = []

if "hypothesis" not in _MISSING:
    from hypothesis import HealthCheck, settings

    quiet = {
        "deadline": None,
        "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.differing_executors],
    }
    settings.register_profile("dev", max_examples=25, **quiet)
    settings.register_profile("ci", max_examples=50, derandomize=True, database=None, **quiet)
    settings.register_profile("nightly", max_examples=2000, **quiet)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@functools.cache
def _imports(path: Path) -> frozenset[str]:
    """The top-level packages that a file, or a helper module of the tests that it imports, imports unconditionally."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
        found.update(n.partition(".")[0] for n in names)
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1]
            for helper in [node.module] if node.module else [a.name for a in node.names]:
                candidate = folder / (helper.replace(".", "/") + ".py")
                if candidate.exists() and candidate != path:
                    found |= _imports(candidate)
    if "claimsformer" in found:
        found |= {"polars", "pydantic"}
    return frozenset(found)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if (
        collection_path.suffix == ".py"
        and collection_path.name.startswith("test_")
        and _MISSING & _imports(collection_path)
    ):
        _left_out.append(collection_path.name)
        return True
    return None


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [f"not installed, so their tests are left out: {', '.join(sorted(_MISSING))}"] if _MISSING else []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long runs are asked for by name: `-m slow`."""
    if "slow" in (config.getoption("-m") or ""):
        return
    skip = pytest.mark.skip(reason="long run; ask for it with -m slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many ops and samples of torch's database were compared, in all processes together."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    found = [v for r in reports if r.when == "call" for k, v in r.user_properties if k == "opinfo"]
    if found:
        passed, total = sum(v[1] for v in found), sum(v[2] for v in found)
        names = {v[0] for v in found if v[2]}
        terminalreporter.write_line(
            f"torch's op database: {len(names)} ops, {passed} of {total} float64 samples pass ({100 * passed / max(total, 1):.2f} %)"
        )
