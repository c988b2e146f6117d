"""The API reference, from the docstrings of the running packages: most functions are derived from the op table, so that no source file spells them out.

python docs/figures/api.py                # the op table as Markdown: every op, its parameters, and which of them have a gradient
python docs/figures/api.py FOLDER         # the whole reference, a page for each module
"""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("tensorlite", "claimsformer")
MODULES = [
    "tensorlite",
    "tensorlite.Tensor",
    "tensorlite.autograd",
    "tensorlite.autograd.functional",
    "tensorlite.func",
    "tensorlite.linalg",
    "tensorlite.special",
    "tensorlite.nn",
    "tensorlite.nn.functional",
    "tensorlite.nn.init",
    "tensorlite.nn.utils",
    "tensorlite.optim",
    "tensorlite.optim.lr_scheduler",
    "tensorlite.optim.swa_utils",
    "tensorlite.utils.data",
    "tensorlite.utils.checkpoint",
    "tensorlite.distributions",
    "tensorlite.viz",
    "tensorlite.testing",
    "claimsformer.tokenizer",
    "claimsformer.transformer",
    "claimsformer.training",
    "claimsformer.assessment",
]


def find(path: str) -> Any:
    """The module or class of that name."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        parent, _, name = path.rpartition(".")
        if error.name != path:
            raise
        return getattr(importlib.import_module(parent), name)


def public(owner: Any) -> Iterator[tuple[str, Any]]:
    """Names without an underscore that belong to the module or class, sorted."""
    is_module = isinstance(owner, ModuleType)
    names = (
        set(dir(owner))
        if not is_module or owner.__name__ == "tensorlite"
        else set(getattr(owner, "__all__", dir(owner)))
    )
    for name in sorted(names, key=str.lower):
        value = getattr(owner, name, None)
        if name.startswith("_") or isinstance(value, ModuleType) or not callable(value):
            continue
        home = getattr(value, "__module__", "") or ""
        listed = not is_module or "__all__" in vars(owner) or "__dir__" in vars(owner)
        if home == owner.__name__ if not listed else not is_module or home.partition(".")[0] in PACKAGES:
            yield name, value


def signature(value: Any) -> str:
    from tensorlite.ops.table import OPS

    if isinstance(value, type) and issubclass(value, enum.Enum):
        return ": " + ", ".join(member.name for member in value)
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "(…)"
    if next(iter(found.parameters), "") == "args":  # a function that hands its arguments to an op
        op = OPS.get(getattr(value, "__name__", ""))
        if op is not None:
            return f"({_parameters(op)})"
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    return str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def _parameters(op: Any) -> str:
    """Parameters with their defaults, as torch writes them."""
    first = len(op.params) - len(op.defaults)
    return ", ".join(p if i < first else f"{p}={op.defaults[i - first]!r}" for i, p in enumerate(op.params))


def entry(name: str, value: Any, level: int = 2) -> str:
    shown = "" if isinstance(value, property) else signature(value)
    doc = inspect.cleandoc(value.__doc__ or "")
    parts = [f"{'#' * level} `{name}`", f"```text\n{name}{shown}\n```", _prose(doc)]
    if inspect.isclass(value) and level == 2:
        for member, method in sorted(vars(value).items()):
            if not member.startswith("_") and callable(method) and (method.__doc__ or "").strip():
                first = inspect.cleandoc(method.__doc__).split("\n\n")[0].replace("\n", " ")
                parts.append(f"* `{member}{signature(method)}`: {first}")
    return "\n\n".join(p for p in parts if p)


def _prose(doc: str) -> str:
    """A docstring as Markdown: indented examples and sections become blocks."""
    paragraphs = []
    for block in doc.split("\n\n"):
        lines = block.splitlines()
        indented = len(lines) > 1 and all(line.startswith("  ") for line in lines[1:]) and lines[0].endswith(":")
        if block.startswith("    ") or ">>>" in block:
            paragraphs.append("```text\n" + block + "\n```")
        elif indented:
            paragraphs.append("**" + lines[0] + "**\n\n```text\n" + inspect.cleandoc("\n".join(lines[1:])) + "\n```")
        else:
            paragraphs.append(block)
    return "\n\n".join(paragraphs)


def page(path: str) -> str:
    owner = find(path)
    intro = _prose(inspect.cleandoc(owner.__doc__ or ""))
    return "\n\n".join([f"# `{path}`", intro, *(entry(name, value) for name, value in public(owner))]) + "\n"


def op_table() -> str:
    """Every op of the derivative table."""
    from tensorlite.ops import load_all
    from tensorlite.ops.table import OPS

    load_all()
    rows = ["# The op table", "", "| op | parameters | gradient for | saved for it |", "|---|---|---|---|"]
    for name, op in sorted(OPS.items()):
        inputs = [op.params[i] for i in sorted(op.differentiable)]
        plan = op.plan(sum(1 << i for i in op.differentiable)) if inputs else None
        rows.append(
            f"| `{name}` | `{_parameters(op)}` | {', '.join(inputs) or '-'} | {', '.join(_saved(op, plan)) or '-'} |"
        )
    return "\n".join(rows) + "\n"


def _saved(op: Any, plan: Any) -> list[str]:
    names = [*op.params, "out", "aux"]
    return [] if plan is None else [names[s] if isinstance(s, int) else f"{names[s[0]]}'s shape" for s in plan.saves]


def main() -> None:
    if len(sys.argv) < 2:
        print(op_table(), end="")
        return
    import claimsformer.claims

    MODULES.extend(
        f"claimsformer.claims.{m.name}" for m in pkgutil.iter_modules(claimsformer.claims.__path__) if m.name[0] != "_"
    )
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ops.md").write_text(op_table(), encoding="utf-8")
    for path in MODULES:
        (folder / f"{path}.md").write_text(page(path), encoding="utf-8")
    print(f"{len(MODULES) + 1} pages in {folder}")


if __name__ == "__main__":
    main()
