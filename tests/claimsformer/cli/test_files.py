"""What the commands do to files: nothing is written over what is read, and trouble with a disk is told in words."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from claimsformer.assessment.streaming_store import WorkFolder
from claimsformer.claims.generator import generate
from claimsformer.claims.writers import write_claims
from claimsformer.cli import main
from claimsformer.errors import ReadError


@pytest.fixture
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_claims([next(generate(20, seed=3)).claims], tmp_path / "claims.ndjson")
    return Path("claims.ndjson")


def called(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


@pytest.mark.parametrize(
    "command",
    [
        "assess claims.ndjson --out claims.ndjson", "assess claims.ndjson --rejects claims.ndjson",
        "assess claims.ndjson --report ./claims.ndjson", "assess claims.ndjson --history link --out link",
        "deidentify claims.ndjson --out link", "explain claims.ndjson 1 --rejects claims.ndjson",
        "train claims.ndjson --out model --rejects claims.ndjson", "evaluate claims.ndjson --report claims.ndjson",
        "assess claims.ndjson --out new.ndjson --rejects new.ndjson", "generate 20 --out new.csv --truth new.csv",
    ],
)  # fmt: skip
def test_nothing_is_written_over_what_is_read(claims: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    Path("link").symlink_to("claims.ndjson")
    before = claims.read_bytes()
    assert called(*command.split()) == 2
    assert "would be written over" in capsys.readouterr().err
    assert claims.read_bytes() == before
    assert sorted(os.listdir()) == ["claims.ndjson", "link"]


def test_results_that_nobody_wants_may_go_where_everything_goes(claims: Path) -> None:
    assert called("explain", str(claims), "1", "--rejects", os.devnull) == 0


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), pl.exceptions.ComputeError("No space left")])
def test_a_full_disk_is_told_in_words(
    claims: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(WorkFolder, "write_all", full)
    assert called("assess", str(claims), "--out", "verdicts.ndjson") == 1
    assert "o space left" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name on this system")
@pytest.mark.parametrize("command", ["assess pipe", "explain pipe 1"])
def test_a_pipe_is_refused_and_not_waited_for(claims: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    os.mkfifo("pipe")
    assert called(*command.split()) == 1
    assert "no regular file" in capsys.readouterr().err


def test_a_damaged_part_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text('{"claims"')
    with pytest.raises(ReadError, match="is damaged"):
        WorkFolder(tmp_path, {}).note("task")
    (tmp_path / "part.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(ReadError, match="Remove that folder"):
        WorkFolder(tmp_path, {}).read("part.parquet")
