"""Which torch names a program asked for, and which of them tensorlite lacks."""

from __future__ import annotations

import textwrap
from typing import Any

from .missing import hint


class Report:
    """The names, in the order in which they were first asked for. Members of tensors are listed only when they are missing.

    Attributes:
        present: full names (`torch.nn.Linear`) that tensorlite has.
        missing: full names that it lacks; importing one is harmless.
        calls: how often each missing name was called, which raised MissingName.
    """

    def __init__(self) -> None:
        self.present: dict[str, None] = {}
        self.missing: dict[str, None] = {}
        self.calls: dict[str, int] = {}

    def asked(self, name: str, found: bool) -> None:
        """The program asked for `name`."""
        (self.present if found else self.missing)[name] = None

    def called(self, name: str) -> None:
        """The program called `name`, which is missing."""
        self.missing[name] = None
        self.calls[name] = self.calls.get(name, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {
            "present": sorted(self.present),
            "missing": sorted(self.missing),
            "calls": dict(sorted(self.calls.items())),
        }

    def text(self) -> str:
        """The report to read: names by module, then what is missing, with the reason or the nearest name."""
        total = len(self.present) + len(self.missing)
        lines = [
            f"tensorlite.compat: the program asked for {total} torch names; tensorlite has {len(self.present)} of them."
        ]
        by_module: dict[str, list[str]] = {}
        for name in sorted(self.present):
            module, _, last = name.rpartition(".")
            if module:
                by_module.setdefault(module, []).append(last)
        for module, names in sorted(by_module.items()):
            lines.append(
                textwrap.fill(f"  {module}: {' '.join(names)}", 120, subsequent_indent="    ", break_on_hyphens=False)
            )
        if self.missing:
            lines.append(f"  It lacks {len(self.missing)}:")
        for name in sorted(self.missing):
            times = self.calls.get(name, 0)
            lines.append(f"  {name}{f' (called {times} x)' if times else ' (never called)'}{hint(name)}")
        return "\n".join(lines)
