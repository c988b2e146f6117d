"""Print how long tensorlite takes, as ratios to PyTorch (which must be installed) with their spread; below 1, tensorlite is faster.

The transformer group alone takes some eight minutes on a machine that does nothing else, which it should while this runs.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import platform
from pathlib import Path

from .harness import HEADER

GROUPS = [
    p.stem
    for p in sorted(Path(__file__).parent.glob("[a-z]*.py"))
    if p.stem != "harness" and not p.stem.startswith("test_")
]


def _about(group: str) -> str:
    """The first sentence of a group's docstring, without importing what it measures."""
    text = (Path(__file__).parent / f"{group}.py").read_text()
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        epilog="\n".join(["groups:", *(f"  {name:12} {_about(name)}" for name in GROUPS)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("groups", nargs="*", metavar="group", help="which benchmarks to run; without one, all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file, after each row")
    arguments = parser.parse_args()
    if arguments.json and not arguments.json.parent.is_dir():
        parser.error(f"--json: there is no folder {arguments.json.parent}")
    if unknown := [name for name in arguments.groups if name not in GROUPS]:
        parser.error(f"no group {unknown[0]!r}: expected some of {', '.join(GROUPS)}")
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.2f} (ratios below 1: tensorlite is faster; spread: middle half of the pairs)"
    )
    print(HEADER)
    found = []
    for group in arguments.groups or GROUPS:
        for row in importlib.import_module(f"{__package__}.{group}").rows():
            print(row.row(), flush=True)
            found.append(row.as_dict())
            if arguments.json:
                arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
