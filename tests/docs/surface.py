"""Writes docs/surface.md: the torch names that programs use most, and which of them tensorlite has.

    python -m tests.docs.surface

The names and their counts are in torch_names.txt; what is present is asked of `tensorlite.compat`, which is what resolves a program's names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import tensorlite as tl
from tensorlite.absent import reason
from tensorlite.compat.modules import resolve

PAGE = Path(__file__).parents[2] / "docs" / "surface.md"
NAMES = Path(__file__).with_name("torch_names.txt")
PROGRAMS = 43

_PREFIXES = {
    "F": "torch.nn.functional",
    "nn": "torch.nn",
    "optim": "torch.optim",
    "data": "torch.utils.data",
    "init": "torch.nn.init",
    "lr_scheduler": "torch.optim.lr_scheduler",
}
#: What the bare word "present" would not tell.
_NOTES = {
    ".cuda": "raises RuntimeError, as in a torch without CUDA: the CPU is the only device",
    ".pin_memory": "returns the tensor: there is no device to copy to",
    ".values": "of what `max`, `min`, `sort`, `topk`, `kthvalue` and `mode` return",
    "torch.autograd.Variable": "gives a tensor on the same memory, as torch does since 0.4; tensorlite itself needs no such thing",
    "torch.device": "the CPU; any other device raises RuntimeError",
    "torch.float16": "computed by NumPy, slower than float32",
    "torch.load": "reads safetensors and its own container; never unpickles",
    "torch.save": "writes safetensors, with nested values in its metadata; objects of other classes are refused",
}


class Entry(NamedTuple):
    """A name: how many programs need it, its full name in torch, where tensorlite has it (None: nowhere), and what to know."""

    programs: int
    name: str
    full: str
    where: str | None
    note: str


def read_names() -> list[tuple[int, str]]:
    """(programs, name) in the order of the table."""
    found, count = [], 0
    for line in NAMES.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        start = re.match(r"(\d+):", line)
        if start:
            count = int(start[1])
        found += [(count, name) for name in line[start.end() if start else 0 :].split()]
    return found


def entry(programs: int, name: str) -> Entry:
    """Look one name up."""
    note = _NOTES.get(name, "")
    if name == "@":
        return Entry(programs, "@", "torch.Tensor.__matmul__", "Tensor", note)
    if name.startswith("."):
        full, where = f"torch.Tensor{name}", _owner(name[1:])
    else:
        first, _, rest = name.partition(".")
        full = f"{_PREFIXES.get(first, first)}.{rest}"
        module, _, last = full.rpartition(".")
        where = _place(module, last)
    return Entry(programs, name, full, where, note if where else reason(full) or "")


def _owner(member: str) -> str | None:
    """Which kinds of objects have the member."""
    weight = tl.nn.Parameter(tl.zeros(2, 2))
    objects = {
        "Tensor": weight,
        "Module": tl.nn.Linear(1, 1),
        "Optimizer": tl.optim.SGD([weight]),
        "Size": weight.shape,
        "named results": tl.sort(weight),
    }
    return ", ".join(kind for kind, o in objects.items() if hasattr(o, member)) or None


def _place(module: str, name: str) -> str | None:
    """The same name in tensorlite, or compat where that alone has it."""
    try:
        value = resolve(module, name)
    except AttributeError:
        return None
    same = f"{module}.{name}".replace("torch", "tensorlite", 1)
    found: Any = tl
    for part in same.split(".")[1:]:
        found = getattr(found, part, None)
    return same if found is value else "tensorlite.compat"


def entries() -> list[Entry]:
    return [entry(programs, name) for programs, name in read_names()]


def page() -> str:
    """The text of docs/surface.md."""
    rows = entries()
    present = [r for r in rows if r.where]
    lines = [
        "# Which names of torch tensorlite has",
        "",
        "<!-- Written by `python -m tests.docs.surface`; a test compares. -->",
        "",
        f"The {len(rows)} names that {PROGRAMS} public PyTorch programs use (language models, classic examples, tutorials, small research code), by the",
        f"number of programs that need each. tensorlite has {len(present)} of them, under the same name: `torch.nn.Linear` is `tensorlite.nn.Linear`.",
        "`python -m tensorlite.compat script.py` runs a program that says `import torch` as it is, and prints the names that it asked for.",
        "",
        "A leading dot marks a member of a tensor, a module or an optimizer; `F` is `torch.nn.functional`, `data` is `torch.utils.data`, `init` is",
        "`torch.nn.init`, `lr_scheduler` is `torch.optim.lr_scheduler`.",
        "",
        "## Not there, and why",
        "",
        "| torch name | programs | why |",
        "|---|---|---|",
        *(f"| `{r.name}` | {r.programs} | {r.note} |" for r in rows if not r.where),
        "",
        "## There",
        "",
        "| torch name | programs | in tensorlite | note |",
        "|---|---|---|---|",
        *(f"| `{r.name}` | {r.programs} | {_shown(r)} | {r.note} |" for r in present),
        "",
    ]
    return "\n".join(lines)


def _shown(row: Entry) -> str:
    assert row.where is not None
    return row.where if row.name.startswith((".", "@")) else f"`{row.where}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
