"""A run that is killed at any moment, with its workers or without, ends as one that is not, and leaves nobody behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from claimsformer.assessment import ClaimsProcessor
from claimsformer.assessment.streaming import StreamSettings, assess_stream
from claimsformer.claims.generator import generate
from claimsformer.claims.writers import write_claims
from claimsformer.cli import main
from claimsformer.cli.common import PRETRAINED

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


@pytest.fixture(scope="module")
def processor() -> ClaimsProcessor:
    return ClaimsProcessor.load(PRETRAINED)


def inside(work: Path) -> int:
    """How many files and folders, half-written ones too."""
    return sum(len(folders) + len(files) for _, folders, files in os.walk(work))


def alive(folder: Path) -> list[int]:
    """The workers of this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:  # it has just ended
            continue
        if b"streaming_workers" in words and str(folder).encode() in words:
            found.append(int(entry.name))
    return found


def killed_and_resumed(path: Path, folder: Path, kills: int, seed: int, workers: list[int]) -> int:
    """Run the command again and again, killing it at random moments: soon after it has begun to write its next part, or at
    any time, while it starts for one. Gives how often it was killed."""
    rng, killed = random.Random(seed), 0
    quiet: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    work = folder / "verdicts.ndjson.work"

    def command() -> list[str]:
        return [
            sys.executable, "-m", "claimsformer", "assess", str(path), "--out", "verdicts.ndjson", "--json",
            "--with-ids", "--full-model", "60", "--part-size", "100", "--workers", str(rng.choice(workers)),
        ]  # fmt: skip

    for k in range(kills):
        before = inside(work)
        process = subprocess.Popen(command(), env=environment, **quiet)
        while process.poll() is None and k % 4 != 3 and inside(work) <= before + 2:  # two locks are no parts
            time.sleep(0.005)
        try:
            process.wait(rng.uniform(0.0, 0.1 if k % 4 != 3 else 1.2))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        if process.wait() == 0:
            break
    if process.returncode != 0:
        subprocess.run(command(), env=environment, check=True, **quiet)
    assert not Path("/proc").is_dir() or not alive(folder)
    return killed


def check(
    processor: ClaimsProcessor, folder: Path, n: int, kills: int, seed: int, workers: list[int], least: int
) -> None:
    claims = next(generate(n, 9, n, rate=0.01)).claims
    path = folder / "claims.parquet"
    write_claims(claims, path)
    settings = StreamSettings(full_model=60, part_size=100)
    assess_stream(processor, path, folder / "w", settings=settings).write(folder / "whole.ndjson", with_ids=True)
    assert killed_and_resumed(path, folder, kills, seed, workers) >= least
    found = (folder / "verdicts.ndjson").read_bytes()
    rows = [json.loads(line) for line in found.splitlines()]
    assert [r["row"] for r in rows] == list(range(1, n + 1))  # none lost, none twice
    assert [r["claim_id"] for r in rows] == claims["claim_id"].to_list()
    assert found == (folder / "whole.ndjson").read_bytes()
    assert not list(folder.glob("verdicts.ndjson.*"))  # neither the parts nor anything half-written
    assert pl.read_ndjson(folder / "verdicts.ndjson")["full_model"].sum() == 60


def test_killed_twice_it_ends_the_same(processor: ClaimsProcessor, tmp_path: Path) -> None:
    check(processor, tmp_path, 250, kills=2, seed=0, workers=[1], least=1)


def test_killed_with_its_workers_it_ends_the_same(processor: ClaimsProcessor, tmp_path: Path) -> None:
    check(processor, tmp_path, 250, kills=1, seed=0, workers=[2], least=1)


def test_killed_while_it_clears_up_it_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the verdicts written and half of the parts gone."""

    class Killed(KeyboardInterrupt):
        pass

    def assess() -> bytes:
        with pytest.raises(SystemExit) as stop:
            main(["assess", "claims.parquet", "--out", "v.ndjson", "--full-model", "0", "--part-size", "100", "--json"])
        assert stop.value.code in (0, 130)
        return (tmp_path / "v.ndjson").read_bytes()

    monkeypatch.chdir(tmp_path)
    write_claims(next(generate(250, 9, 250)).claims, tmp_path / "claims.parquet")
    expected, removed = assess(), []

    def half(folder: Path, **_: object) -> None:
        if Path(folder).is_dir():
            for file in sorted(p for p in Path(folder).rglob("*") if p.is_file())[::2]:
                file.unlink()
                removed.append(file)
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("claimsformer.cli.assess.shutil.rmtree", half)
        assert assess() == expected
    assert removed
    assert assess() == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == ["claims.parquet", "v.ndjson"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("workers", [[1], [1, 2, 3]], ids=["alone", "workers"])
def test_killed_often_it_ends_the_same(
    processor: ClaimsProcessor, tmp_path: Path, seed: int, workers: list[int]
) -> None:
    check(processor, tmp_path, 1500, kills=20, seed=seed, workers=workers, least=5)
