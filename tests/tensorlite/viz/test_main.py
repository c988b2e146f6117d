from __future__ import annotations

from pathlib import Path

import pytest

from tensorlite import viz
from tensorlite.viz.__main__ import build, main, parser

from . import samples

HERE = samples.__name__


def model() -> viz.Graph:
    return samples.transformer(2)


def nothing() -> int:
    return 3


SPEC = f"{__name__}:model"


def test_text_goes_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([SPEC]) == 0
    assert "2 × EncoderLayer" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["svg", "html", "mmd", "json"])
def test_a_file_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    out = tmp_path / f"model.{suffix}"
    assert main([SPEC, "--out", str(out), "--depth", "1", "--engine", "builtin"]) == 0
    assert out.exists()
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("model", "expected module:factory"),
        ("no_such_module_here:f", "No module named"),
        (f"{__name__}:absent", "has no attribute"),
        (f"{__name__}:nothing", "must return an output tensor"),
    ],
)
def test_errors_are_sentences(spec: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([spec]) == 1
    assert message in capsys.readouterr().err


def test_help_names_every_option() -> None:
    words = parser().format_help()
    for option in ("--out", "--collapse", "--depth", "--color-by", "--engine", "--theme"):
        assert option in words


def test_build_accepts_a_graph() -> None:
    assert build(SPEC) == model()


def test_a_factory_that_fails_is_named_with_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "failing_net.py").write_text("def make():\n    raise KeyError('width')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["failing_net:make"]) == 1
    assert capsys.readouterr().err == "error: failing_net:make raised KeyError: 'width' (failing_net.py:2)\n"
