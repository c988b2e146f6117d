"""Every Python block of the README and the docs runs, and shows what it says it shows.

Blocks with `>>>` prompts are doctests; others are executed. The blocks of one page share their names, from top to bottom.
"""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks) *$", re.MULTILINE | re.DOTALL
)


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """(line, language, text) of every fenced block."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        indent = len(match["indent"])
        found.append(
            (
                line,
                match["info"].split()[0].lower() if match["info"].strip() else "",
                "\n".join(b[indent:] for b in match["body"].splitlines()) + "\n",
            )
        )
    return found


def is_python(language: str) -> bool:
    return language in ("python", "py", "pycon", "python3")


def run(page: Path) -> int:
    """Run the Python blocks of a page; returns how many ran."""
    names: dict[str, object] = {"__name__": "__main__"}
    count = 0
    for line, language, text in blocks(page):
        if not is_python(language):
            continue
        where = f"{page.name}:{line}"
        if ">>>" in text:
            test = doctest.DocTestParser().get_doctest(text, names, where, str(page), line)
            report: list[str] = []
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
            runner.run(test, out=report.append, clear_globs=False)
            assert not runner.failures, "".join(report)
            names.update(test.globs)
        else:
            exec(compile("\n" * (line - 1) + text, str(page), "exec"), names)
        count += 1
    return count


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    executed = run(page)
    # counted by another rule than the one that finds the blocks, so that no block is left out in silence
    opened = sum(
        1
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*```+\s*(py|python|pycon|python3)\b", line, re.IGNORECASE)
    )
    assert executed == opened


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_python_hides_in_an_unlabelled_block(page: Path) -> None:
    assert [line for line, language, text in blocks(page) if not is_python(language) and ">>> " in text] == []


def test_a_wrong_output_fails(tmp_path: Path) -> None:
    page = tmp_path / "wrong.md"
    page.write_text("```python\n>>> 1 + 1\n3\n```\n")
    with pytest.raises(AssertionError, match="Expected"):
        run(page)
