"""`python -m tensorlite.compat script.py …`: run a program written for torch on tensorlite, and say which torch names it used."""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from .report import Report
from .session import as_torch


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program with its arguments. Its exit status, output and exceptions are its own; the report goes to stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m tensorlite.compat",
        description="Run a program written for torch, unmodified, on tensorlite; at exit, list on stderr the torch names it asked for and those tensorlite lacks.",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print no report")
    parser.add_argument("--report", metavar="FILE", type=Path, help="also write the report to FILE, as JSON")
    parser.add_argument("-m", dest="module", action="store_true", help="the program is a module, as in python -m")
    parser.add_argument("program", help="a script, or with -m a module")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="the program's own arguments")
    options = parser.parse_args(argv)

    report = Report()
    saved = sys.argv[:], sys.path[:]
    sys.argv = [options.program, *options.args]
    try:
        with as_torch(report):
            if options.module:
                sys.path.insert(0, str(Path.cwd()))
                runpy.run_module(options.program, run_name="__main__", alter_sys=True)
            else:
                sys.path.insert(0, str(Path(options.program).resolve().parent))
                runpy.run_path(options.program, run_name="__main__")
    finally:
        sys.argv[:], sys.path[:] = saved
        sys.stdout.flush()
        if not options.quiet:
            print(report.text(), file=sys.stderr)
        if options.report:
            options.report.write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
