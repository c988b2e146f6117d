"""docs/commands.md is what the programs say about themselves, and leaves none out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("polars")
click = pytest.importorskip("click")

import claimsformer.cli  # noqa: E402
from claimsformer.cli.group import COMMANDS, cli  # noqa: E402

from . import commands  # noqa: E402


def test_the_page_is_up_to_date() -> None:
    if commands.PAGE.read_text(encoding="utf-8") != commands.page():
        pytest.fail("docs/commands.md is out of date; write it again with: python -m tests.docs.commands")


def test_every_command_is_on_the_page() -> None:
    """By another way than the page's: the modules that define a command."""
    defined: set[str] = set()
    for path in Path(claimsformer.cli.__file__).parent.glob("*.py"):
        text = path.read_text()
        defined |= {m[1] for m in re.finditer(r'@click\.(?:command|group)\(name="(\w+)"', text)}
        defined |= {f"{path.stem} {m[1]}" for m in re.finditer(r'@command\.command\(name="(\w+)"', text)}
    headings = re.findall(r"^## claimsformer (.+)$", commands.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert defined
    assert sorted(headings) == sorted(defined)


def test_every_program_of_the_packages_is_on_the_page() -> None:
    root = commands.PAGE.parents[1]
    programs = [path for package in ("tensorlite", "claimsformer") for path in (root / package).rglob("__main__.py")]
    names = [".".join(path.relative_to(root).parent.parts) for path in programs]
    assert names
    text = commands.PAGE.read_text(encoding="utf-8")
    assert [name for name in names if not re.search(rf"`python -m {re.escape(name)}[ `]", text)] == []


def test_every_option_is_on_the_page() -> None:
    text = commands.PAGE.read_text(encoding="utf-8")
    group = click.Context(cli, info_name="claimsformer")
    for name in COMMANDS:
        section = text.partition(f"## claimsformer {name}\n")[2].partition("\n## ")[0]
        command = cli.get_command(group, name)
        assert command is not None
        options = [flag for p in command.params if isinstance(p, click.Option) for flag in p.opts]
        assert [flag for flag in options if flag not in section] == []
