"""The report: every part that the claims allow, a reason for every part that is missing, and a page that all can read."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from claimsformer.assessment import Assessment, ClaimsProcessor
from claimsformer.assessment.bundle import load_demo_claims
from claimsformer.assessment.report import write_report
from claimsformer.cli.common import PRETRAINED
from claimsformer.errors import ConfigError
from tests.tensorlite.viz.browser import CHROMIUM, run_script
from tests.tensorlite.viz.test_contrast import _MEASURE

N = 200
VOID = {"meta", "br", "link", "img", "hr", "input"}
Rows = list[tuple[int, Assessment]]


class Elements(HTMLParser):
    """Every element as (name, attributes, names of those around it), and the words in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], tuple[str, ...]]] = []
        self.words: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {k: v or "" for k, v in attrs}, tuple(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {k: v or "" for k, v in attrs}, tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self._open:
            self.words.append((self._open[-1], data.strip()))

    def named(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes, _ in self.found if tag == name]

    def headings(self) -> list[str]:
        return [words for tag, words in self.words if tag == "h2"]


@pytest.fixture(scope="module")
def processor() -> ClaimsProcessor:
    return ClaimsProcessor.load(PRETRAINED)


@pytest.fixture(scope="module")
def demo(processor: ClaimsProcessor) -> tuple[pl.DataFrame, pl.Series, Rows]:
    claims, truth, directory = load_demo_claims(PRETRAINED)
    found = processor.assess(claims[:N], directory=directory)
    return claims[:N], truth[:N], list(enumerate(found, start=1))


Demo = tuple[pl.DataFrame, pl.Series, Rows]


@pytest.fixture(scope="module")
def page(processor: ClaimsProcessor, demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> str:
    claims, truth, rows = demo
    target = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(target, rows, processor, "A <report> & more", claims=claims, truth=truth).read_text()


def test_every_part_that_labelled_claims_allow(page: str) -> None:
    headings = Elements(page).headings()
    assert [h for h in headings if not h.startswith("Where the model looked in row")] == [
        "Summary", "Suspicious claims", "Surprise by field", "Suspicious claims in full", "Probabilities",
        "Ranking: receiver operating characteristic", "Ranking: precision by recall", "Calibration",
        "Net dollars by threshold", "Training", "The model",
    ]  # fmt: skip
    assert len(headings) == 12
    assert "Left out" not in page


def test_without_labels_the_page_says_why_there_are_no_curves(
    processor: ClaimsProcessor, demo: Demo, tmp_path: Path
) -> None:
    claims, _, rows = demo
    page = write_report(tmp_path / "r.html", rows, processor, "R", claims=claims).read_text()
    assert page.count("Left out: ") == 1
    assert "Left out: nothing is known about which of these claims are anomalies" in page
    bare = write_report(tmp_path / "r.html", rows, processor, "R").read_text()
    assert "Left out: the claims themselves were not given" in bare


def test_claims_that_only_edits_judged_leave_out_what_the_model_would_say(
    processor: ClaimsProcessor, demo: Demo, tmp_path: Path
) -> None:
    claims, _, rows = demo
    unread = [(row, dataclasses.replace(a, surprises={})) for row, a in rows]
    page = write_report(tmp_path / "r.html", unread, processor, "R", claims=claims).read_text()
    assert page.count("Left out: the full model read none of these claims") == 2


def test_without_suspicious_claims_the_most_surprising_ones_are_shown(
    processor: ClaimsProcessor, demo: Demo, tmp_path: Path
) -> None:
    claims, _, rows = demo
    kept = [k for k, (_, a) in enumerate(rows) if a.decision == "valid"]
    calm = [rows[k] for k in kept]
    page = write_report(tmp_path / "r.html", calm, processor, "R", claims=claims[kept]).read_text()
    first = min((a.p_value, row) for row, a in calm if not a.abstained)[1]
    assert f"Where the model looked in row {first}<" in page
    Elements(page)


def test_the_attention_map_is_of_the_claim_that_it_names(
    processor: ClaimsProcessor, demo: Demo, tmp_path: Path
) -> None:
    """Rows of a large file are numbers in that file, not places in the table of those that are shown."""
    claims, _, rows = demo
    moved = [(row + 5000, a) for row, a in rows]

    def attention(page: str) -> str:
        return page.split("Attention between")[1].split("</table>")[0]

    one = write_report(tmp_path / "a.html", rows, processor, "R", claims=claims).read_text()
    two = write_report(tmp_path / "b.html", moved, processor, "R", claims=claims).read_text()
    assert attention(one) == attention(two)


def test_claims_and_truth_must_be_those_of_the_rows(processor: ClaimsProcessor, demo: Demo, tmp_path: Path) -> None:
    claims, truth, rows = demo
    with pytest.raises(ConfigError, match="claims must be as many"):
        write_report(tmp_path / "r.html", rows, processor, "R", claims=claims[:3])
    with pytest.raises(ConfigError, match="truth must be as many"):
        write_report(tmp_path / "r.html", rows, processor, "R", truth=truth[:3])


def test_of_a_large_file_the_whole_is_counted(processor: ClaimsProcessor, demo: Demo, tmp_path: Path) -> None:
    whole: dict[str, Any] = {
        "accepted": 7_654_321, "suspicious": 4_321, "review": 321, "amount_at_risk": 1_234_567.0,
        "expected_value": 765_432.0, "abstained": 21, "tenths": [7_650_000, 0, 0, 0, 0, 0, 0, 0, 0, 4_321],
    }  # fmt: skip
    page = write_report(tmp_path / "r.html", demo[2], processor, "R", whole=whole).read_text()
    for shown in ("7,654,321", "4,321", "$1,234,567", "$765,432", "7,650,000"):
        assert shown in page


# For all readers ------------------------------------------------------------------------------------------------------


def test_headings_tables_pictures_and_links_are_in_order(page: str) -> None:
    elements = Elements(page)
    assert elements.named("html") == [{"lang": "en"}]
    assert len(elements.named("h1")) == 1
    assert [around for tag, _, around in elements.found if tag == "title" and "svg" not in around] == [("html", "head")]
    levels = [int(tag[1]) for tag, _, _ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels == [1] + [2] * (len(levels) - 1)
    tables = page.split("<table")[1:]
    assert tables
    assert all(re.search(r"<thead><tr><th scope='col'", table) for table in tables)
    assert all(a.get("scope") in {"col", "row"} for a in elements.named("th"))
    for svg in elements.named("svg"):
        assert svg["role"] == "img"
        assert svg.get("aria-labelledby") or svg.get("aria-label")
    ids = [a["id"] for _, a, _ in elements.found if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"] for a in elements.named("a")} <= {f"#{name}" for name in ids}
    for _, attributes, _ in elements.found:
        if "tabindex" in attributes:
            assert attributes["role"] == "region"
            assert attributes["aria-label"]
    assert all("summary" in part for part in page.split("<details")[1:])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_can_be_read(page: str, theme: str, tmp_path: Path) -> None:
    """At least 4.5 to 1 (WCAG 2, 1.4.3) as a browser paints it, light and dark."""
    shown = re.sub(r"<meta http-equiv=[^>]*>", "", page)  # it forbids scripts, this test's too
    shown = re.sub(
        r"@media ?\(prefers-color-scheme: ?dark\)", "@media all" if theme == "dark" else "@media print", shown
    )
    found = run_script(shown, _MEASURE, tmp_path)
    assert "error" not in found, found
    assert len(found) > 500
    assert not {(words, round(contrast, 2)) for words, contrast in found if contrast < 4.5}
