"""The pytest plugin: options, hypothesis profiles, and what to keep of a failing program.

    pytest --tl-examples 200 --tl-seed 7
    pytest --tl-profile nightly

`gradcheck` (fixture) checks a function with the run's seed; `program_check` runs programs, and for the first failure writes a script, the
report and the drawn program to the folder of `--tl-artifacts`, and prints the line that reproduces it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .programs import Program
    from .report import Blame, GradReport

#: examples and hypothesis settings of each profile.
PROFILES: dict[str, dict[str, Any]] = {
    "dev": {"max_examples": 25},
    "ci": {"max_examples": 200, "derandomize": True, "database": None},
    "nightly": {"max_examples": 5000},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tensorlite", "property-testing gradients")
    group.addoption("--tl-examples", type=int, default=None, help="random programs or op calls for each test")
    group.addoption("--tl-seed", type=int, default=0, help="seed of random programs, directions and cotangents")
    group.addoption(
        "--tl-profile",
        choices=sorted(PROFILES),
        default=None,
        help="hypothesis profile: dev (25), ci (200), nightly (5000)",
    )
    group.addoption(
        "--tl-method",
        choices=["auto", "complex", "richardson"],
        default="auto",
        help="numeric derivative of the fixtures: complex step, Richardson, or the first that is valid",
    )
    group.addoption("--tl-artifacts", default="gradcheck-failures", help="folder for what is kept of a failure")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gradcheck: compares gradients with numeric derivatives")
    profile, examples = config.getoption("--tl-profile"), config.getoption("--tl-examples")
    if examples is not None and examples < 1:
        raise pytest.UsageError(f"--tl-examples expects at least 1, got {examples}")
    if config.getoption("--tl-seed") < 0:
        raise pytest.UsageError(f"--tl-seed expects a number that is not negative, got {config.getoption('--tl-seed')}")
    if (profile is None and examples is None) or importlib.util.find_spec("hypothesis") is None:
        return
    from hypothesis import HealthCheck, settings

    chosen = dict(PROFILES[profile or "dev"])
    if examples is not None:
        chosen["max_examples"] = examples
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settings.register_profile("tensorlite", deadline=None, print_blob=True, suppress_health_check=quiet, **chosen)
    settings.load_profile("tensorlite")


def pytest_report_header(config: pytest.Config) -> list[str]:
    if config.getoption("--tl-examples") is None and config.getoption("--tl-profile") is None:
        return []
    missing = "" if importlib.util.find_spec("hypothesis") is not None else "; hypothesis is not installed"
    return [f"tensorlite: {examples_of(config)} examples, seed {config.getoption('--tl-seed')}{missing}"]


def examples_of(config: pytest.Config) -> int:
    """How many examples a test of this run takes."""
    given = config.getoption("--tl-examples")
    return int(given) if given is not None else int(PROFILES[config.getoption("--tl-profile") or "dev"]["max_examples"])


@pytest.fixture
def gradcheck(pytestconfig: pytest.Config) -> Callable[..., GradReport]:
    """`tensorlite.testing.gradcheck` with the seed of `--tl-seed` and the method of `--tl-method`."""
    from .checking import gradcheck as check

    given = {"seed": pytestconfig.getoption("--tl-seed"), "method": pytestconfig.getoption("--tl-method")}
    return lambda f, inputs, **options: check(f, inputs, **{**given, **options})


@pytest.fixture
def program_check(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Callable[..., int]:
    """A function that checks random programs and fails the test at the first wrong gradient; it returns how many were checked."""
    config = pytestconfig

    def run(examples: int | None = None, **options: Any) -> int:
        from .programs import random_programs

        seed = config.getoption("--tl-seed")
        count = examples_of(config) if examples is None else examples
        method = config.getoption("--tl-method")
        for number, program in enumerate(random_programs(count, seed=seed, **options)):
            if not program.leaves:
                continue
            report = program.check(method=method)
            if not report.ok:
                folder = Path(config.getoption("--tl-artifacts"))
                text = describe_failure(program, report, seed, number, options, folder, request.node.name, method)
                again = f"pytest '{request.node.nodeid}' --tl-seed {seed} --tl-examples {number + 1}"
                pytest.fail(f"{text}\nor:        {again}", pytrace=False)
        return count

    return run


def describe_failure(
    program: Program,
    report: GradReport,
    seed: int,
    number: int,
    options: dict[str, Any],
    folder: Path,
    test: str = "",
    method: str = "auto",
) -> str:
    """Make a failing program small, find the op at fault, write script, report and picture to `folder`; returns what to print."""
    small = program.reduce(lambda p: p.check(method=method).verdict == "fail")
    report = small.check(method=method)
    guilty = report.blame = small.blame()
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in test)[:60]
    stem = folder / "-".join(filter(None, ["program", name, str(seed), str(number)]))
    try:
        written = f"written: {stem}{{{','.join(_write(small, report, guilty, stem))}}}"
    except (OSError, LookupError) as error:
        written = f"not written: {error}"
    given = "".join(f", {k}={v!r}" for k, v in options.items())
    how = "" if method == "auto" else f", method={method!r}"
    line = (
        "from tensorlite.testing import random_programs; "
        f"list(random_programs({number + 1}, seed={seed}{given}))[{number}].check(report='raise'{how})"
    )
    return f"program {number} has a wrong gradient; made smaller it is\n\n{small}\n\n{report}\n\nreproduce: {line}\n{written}"


def _write(small: Program, report: GradReport, guilty: Blame, stem: Path) -> list[str]:
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".py").write_text(small.to_python(), encoding="utf-8")
    stem.with_suffix(".dot").write_text(small.to_dot(guilty), encoding="utf-8")
    stem.with_suffix(".json").write_text(json.dumps(report.as_dict(), indent=1), encoding="utf-8")
    written = [".py", ".dot", ".json"]
    try:
        from .backends import TENSORLITE

        viz = importlib.import_module("tensorlite.viz")  # by name: neither of the two packages needs the other
        viz.graph(small.function(), *[TENSORLITE.leaf(x) for x in small.leaves], name="program").save(
            str(stem.with_suffix(".svg"))
        )
        written.append(".svg")
    except Exception as error:  # whatever keeps the picture from being drawn, the report is to be seen
        report.notes.append(f"no picture: {type(error).__name__}: {error}")
    return written
