"""docs/surface.md says what is true, and every absence has a reason."""

from __future__ import annotations

import pytest

import tensorlite as tl

from . import surface


def test_the_page_is_up_to_date() -> None:
    if surface.PAGE.read_text(encoding="utf-8") != surface.page():
        pytest.fail("docs/surface.md is out of date; write it again with: python -m tests.docs.surface")


def test_every_absence_has_a_reason() -> None:
    absent = [row for row in surface.entries() if row.where is None]
    assert [row.name for row in absent if not row.note] == []
    assert len(absent) <= 10


def test_the_names_are_those_of_the_table() -> None:
    names = surface.read_names()
    assert len(names) == len(set(names))
    assert names[0] == (37, "nn.Module")
    assert [n for n, _ in names] == sorted((n for n, _ in names), reverse=True)


def test_what_is_said_to_be_there_is_there() -> None:
    """By another way than the page's: attribute by attribute from the package."""
    for row in surface.entries():
        if row.where and not row.name.startswith((".", "@")):
            value = tl
            for part in row.where.split(".")[1:]:
                value = getattr(value, part)


def test_the_names_exist_in_torch() -> None:
    torch = pytest.importorskip("torch")
    for row in surface.entries():
        if not row.name.startswith((".", "@")):
            value = torch
            for part in row.full.split(".")[1:]:
                value = getattr(value, part)
