"""The page and the text: all numbers are there, escaped, self-contained, with the warning and the occlusion."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from claimsformer.transformer.inspection import attention_page, attention_text

RNG = np.random.default_rng(0)


class Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.cells: list[list[str]] = []
        self.addresses: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.cells.append([])
        self.inside = tag in ("td", "th")
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_data(self, data: str) -> None:
        if self.inside and self.cells:
            self.cells[-1].append(data)


def page(tokens: int = 6, layers: int = 2, heads: int = 3) -> tuple[str, np.ndarray, list[str]]:
    names = [f"t{i}" for i in range(tokens)]
    weights = RNG.dirichlet(np.ones(tokens), size=(layers, heads, tokens))
    lost = RNG.normal(size=tokens)
    return attention_page(weights, names, lost, output="log p(E11.9)").html, lost, names


def test_occlusion_stands_beside_attention_with_its_numbers() -> None:
    html, lost, names = page()
    parser = Parser()
    parser.feed(html)
    rows = {row[0]: float(row[2]) for row in parser.cells if len(row) == 3 and row[0] in names}
    assert rows == {name: pytest.approx(value, abs=5e-5) for name, value in zip(names, lost, strict=True)}
    order = [row[0] for row in parser.cells if len(row) == 3 and row[0] in names]
    assert order == [names[i] for i in np.argsort(-np.abs(lost))]
    assert "Attention is not an explanation" in html
    assert "What log p(E11.9) loses without each token" in html


def test_all_weights_of_the_chosen_head_can_be_read() -> None:
    weights = RNG.dirichlet(np.ones(4), size=(2, 3, 4))
    html = attention_page(weights, list("abcd"), np.zeros(4), layer=1, head=2).html
    parser = Parser()
    parser.feed(html)
    rows = [row[1:] for row in parser.cells if len(row) == 5 and row[0] in "abcd"]
    np.testing.assert_allclose(np.array(rows, float), weights[1, 2], atol=5e-4)


def test_self_contained_and_dark_mode() -> None:
    html, _, _ = page()
    parser = Parser()
    parser.feed(html)
    assert all(a.startswith(("data:", "#")) for a in parser.addresses)
    assert not re.search(r"url\((?!#)|@import|<script", html)
    assert "prefers-color-scheme:dark" in html


def test_names_are_escaped() -> None:
    names = ["<script>alert(1)</script>", "&amp;", '"']
    html = attention_page(np.full((1, 1, 3, 3), 1 / 3), names, np.ones(3), title="<b>", output="<i>").html
    assert "<script>alert" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;" in html


def test_512_tokens_stay_a_page_one_can_open() -> None:
    html, _, names = page(512, 2, 2)
    assert len(html) < 2_000_000
    assert "488 more tokens" in html
    assert all(f">{name}<" in html for name in names)


def test_cross_attention_and_same_bytes() -> None:
    weights = np.full((1, 2, 2, 3), 1 / 3)
    pages = [attention_page(weights, ["x", "y"], np.zeros(3), keys=["a", "b", "c"]).html for _ in range(2)]
    assert pages[0] == pages[1]
    with pytest.raises(ValueError, match=r"each of the 3 key tokens, got shape \(2,\)"):
        attention_page(weights, ["x", "y"], np.zeros(2), keys=["a", "b", "c"])


def test_text_heat_map() -> None:
    weights = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])
    lines = attention_text(weights, ["one", "two", "three"]).splitlines()
    assert lines[0] == "  one |█  | one (0) 1.000"
    assert lines[2].endswith("three (2) 0.700")
    assert "not why" in lines[-1]
    assert attention_text(weights, ["one", "two", "three"], row=2).splitlines()[0] == lines[2]


def test_text_keeps_to_its_width_and_shows_a_lone_strong_pair() -> None:
    names = [f"token{i}" for i in range(300)]
    weights = np.zeros((300, 300))
    weights[np.arange(300), RNG.permutation(300)] = 1.0
    lines = attention_text(weights, names, width=80).splitlines()[:-1]
    assert max(map(len, lines)) <= 80
    assert all("█" in line for line in lines)
    with pytest.raises(ValueError, match=r"expected weights \(2, 2\)"):
        attention_text(weights, ["a", "b"])


def test_weights_of_nothing_and_halves_of_surrogate_pairs_are_drawn(tmp_path: Path) -> None:
    text = attention_text(np.full((2, 2), np.nan), ["a", "b"])
    assert "nan" in text
    page = attention_page(np.full((1, 1, 2, 2), 0.5), ["a\x00b", "\ud800<script>"], np.zeros(2))
    written = page.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "?&lt;script&gt;" in written
    assert "<script>" not in written
