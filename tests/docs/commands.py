"""Writes docs/commands.md: every claimsformer command, as its own --help describes it.

python -m tests.docs.commands
"""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner

from claimsformer.cli import cli
from claimsformer.cli.group import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
WIDTH = 120

_HEAD = """\
# Commands

<!-- Written by `python -m tests.docs.commands` from the programs' own --help; a test compares. -->

`claimsformer --help` prints the same in a terminal. [Assessment](assessment.md) explains what the commands compute.

Every command that reads claims takes CSV, Parquet, NDJSON, FHIR or X12, and detects which; `--format` names it where the detection is wrong, `--mapping`
describes columns of your own ([Claims](claims.md)). With `--json` the result is one JSON document on standard output; progress and errors go to standard error,
and the last line of an error says what to type next. Numbers of claims and members are not printed: a claim is told by its row in the file.

| exit code | means |
|---|---|
| 0 | done |
| 1 | an error: a file that cannot be read, a claim that cannot be used, a check that failed |
| 2 | wrong usage |
| 3 | `assess --fail-on-review`: a claim should be reviewed |
| 130 | interrupted |

Programs without a command of their own; each answers `--help` but the first, which takes no options:

| program | does |
|---|---|
| `python -m tensorlite` | builds, checks and draws a small network |
| `python -m tensorlite.viz module:factory --out model.svg` | draws what a function of yours builds: [Drawing](drawing.md) |
| `python -m tensorlite.compat script.py` | runs a program written for torch: [how](compat.md) |
| `python -m claimsformer` | the same as `claimsformer` |
"""


def help_text(*words: str) -> str:
    """What `claimsformer … --help` prints at a fixed width."""
    result = CliRunner().invoke(
        cli, [*words, "--help"], prog_name="claimsformer", terminal_width=WIDTH, max_content_width=WIDTH
    )
    assert result.exit_code == 0, result.output
    return result.output.strip()


def _all_words() -> list[tuple[str, ...]]:
    """Every command, and behind a command that has some the commands of its own."""
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        inner = list(command.commands) if isinstance(command, click.Group) else []
        found += [(name,), *((name, each) for each in inner)]
    return found


def page() -> str:
    """The text of docs/commands.md."""
    parts = [_HEAD, f"## claimsformer\n\n```text\n{help_text()}\n```\n"]
    parts += [f"## claimsformer {' '.join(words)}\n\n```text\n{help_text(*words)}\n```\n" for words in _all_words()]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
