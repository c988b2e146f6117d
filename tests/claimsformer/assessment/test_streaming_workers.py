"""Several processes give the file that one gives, go on where others stopped, and say so when they cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from claimsformer.assessment import ClaimsProcessor, Directory
from claimsformer.assessment import streaming_store as store
from claimsformer.assessment.streaming import StreamSettings, assess_stream
from claimsformer.assessment.streaming_buckets import Buckets
from claimsformer.assessment.streaming_workers import Workers
from claimsformer.claims.generator import generate
from claimsformer.claims.writers import write_claims
from claimsformer.cli.common import PRETRAINED
from claimsformer.errors import ConfigError, ReadError

N = 400


@pytest.fixture(scope="module")
def processor() -> ClaimsProcessor:
    return ClaimsProcessor.load(PRETRAINED)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Directory]:
    made = next(generate(N, 9, N, rate=0.02))
    path = tmp_path_factory.mktemp("workers") / "claims.parquet"
    write_claims(made.claims, path)
    return path, Directory(made.providers, made.members)


Example = tuple[Path, Directory]


def verdicts(processor: ClaimsProcessor, example: Example, work: Path, workers: int) -> bytes:
    path, directory = example
    settings = StreamSettings(full_model=150, part_size=100, workers=workers)
    found = assess_stream(processor, path, work, directory=directory, settings=settings)
    found.write(work / "verdicts.ndjson", with_ids=True)
    return (work / "verdicts.ndjson").read_bytes()


@pytest.fixture(scope="module")
def alone(processor: ClaimsProcessor, example: Example, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return verdicts(processor, example, tmp_path_factory.mktemp("alone") / "work", 1)


def test_two_workers_give_the_file_that_one_gives(
    processor: ClaimsProcessor, example: Example, alone: bytes, tmp_path: Path
) -> None:
    assert verdicts(processor, example, tmp_path / "work", 2) == alone
    assert len(alone.splitlines()) == N
    assert b" km from" in alone  # what needs the directory


def test_another_number_of_workers_goes_on_where_the_first_stopped(
    processor: ClaimsProcessor, example: Example, alone: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(KeyboardInterrupt):
        pass

    do, left = Buckets.do, [3]

    def stopping(self: Buckets, stage: str, index: int) -> int:
        left[0] -= 1
        if not left[0]:
            raise Stopped
        return do(self, stage, index)

    monkeypatch.setattr(Buckets, "do", stopping)
    with pytest.raises(Stopped):
        verdicts(processor, example, tmp_path / "work", 1)
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "work" / "screened").rglob("*.parquet")}
    assert kept
    assert verdicts(processor, example, tmp_path / "work", 2) == alone
    assert {p: p.stat().st_mtime_ns for p in kept} == kept  # not done again


def test_a_worker_that_dies_ends_the_run_with_what_to_do(
    processor: ClaimsProcessor, example: Example, alone: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, killed = Workers._start, []

    def starting(self: Workers, n: int) -> None:
        start(self, n)
        if not killed:
            self._processes[0].kill()
            killed.append(self._processes)

    monkeypatch.setattr(Workers, "_start", starting)
    with pytest.raises(ReadError, match="a worker could not screen a part of the claims: it was killed"):
        verdicts(processor, example, tmp_path / "work", 2)
    assert all(process.poll() is not None for process in killed[0])
    assert verdicts(processor, example, tmp_path / "work", 1) == alone


def test_an_error_in_a_worker_is_told_without_its_words(
    processor: ClaimsProcessor, example: Example, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with store.WorkFolder(tmp_path / "work", {}) as folder:
        buckets = Buckets(processor, None, folder, 2, "none")  # its parts are missing
        with Workers(buckets, 2) as workers, pytest.raises(ReadError, match="FileNotFoundError"):
            list(workers.run("screen", [0, 1]))
    assert capfd.readouterr().err == ""


def test_a_number_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="workers must be at least 1, got 0"):
        StreamSettings(workers=0)


def test_who_comes_next_waits_for_workers_that_are_still_there(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    program = (
        "import sys, time\nfrom claimsformer.assessment.streaming_store import WorkFolder\n"
        "with WorkFolder(sys.argv[1], {}).shared():\n    print('here', flush=True)\n    time.sleep(0.5)\n"
    )
    with store.WorkFolder(tmp_path, {}):
        pass
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "here\n"
        with (tmp_path / store._SHARED).open("a") as stream, pytest.raises(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with store.WorkFolder(tmp_path, {}):
            assert other.wait(timeout=60) == 0
