"""The examples about transformers run, and what they print is true."""

from __future__ import annotations

import math
import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="example")


def test_attention_on_three_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    """Worked out by hand: a score of 4/√2 against two of 0."""
    found = load("attention_on_three_tokens")["main"]()
    e = math.exp(4 / math.sqrt(2))
    np.testing.assert_allclose(found["weights"][0], [1 / (e + 2), 1 / (e + 2), e / (e + 2)], rtol=1e-5)
    np.testing.assert_allclose(found["weights"][1], 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(found["out"][0], [2 / (e + 2), 2 * e / (e + 2)], rtol=1e-5)
    np.testing.assert_allclose(found["causal"][:2], [[1, 0, 0], [0.5, 0.5, 0]], rtol=1e-6)
    printed = capsys.readouterr().out
    assert f"{e / (e + 2):.3f}" in printed
    assert "largest difference: 0.0e+00" in printed or "e-0" in printed


def test_positional_encoding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = load("positional_encoding")
    pictures = example["main"](tmp_path)
    again = [p.read_bytes() for p in pictures]
    example["main"](tmp_path)
    assert [p.read_bytes() for p in pictures] == again  # the same picture every time
    for picture in pictures:
        assert ElementTree.fromstring(picture.read_text(encoding="utf-8")).tag.endswith("svg")
    here, later = example["rotary_scores"]()
    np.testing.assert_allclose(here, later, atol=1e-6)
    for shift in range(1, 12):  # one number for each distance
        assert np.ptp(np.diagonal(here, -shift)) < 1e-6
    assert f"{math.sin(1):.3f}" in capsys.readouterr().out


def test_generation(capsys: pytest.CaptureFixture[str]) -> None:
    results = load("generation")["main"]()
    assert (results["beam"].log_probs >= results["greedy"].log_probs - 1e-6).all()
    assert "the same tokens: True" in capsys.readouterr().out


def test_looking_inside(tmp_path: Path) -> None:
    """The task says which token matters; the model learns it, and occlusion finds it."""
    found = load("looking_inside")["main"](tmp_path)
    assert found["accuracy"] > 0.95
    lost = found["occlusion"]
    assert lost.argmax() == found["place"]
    assert np.abs(np.delete(lost, found["place"])).max() < 0.1 * lost.max()
    page = found["page"].read_text(encoding="utf-8")
    assert "Attention is not an explanation" in page
    assert "<table>" in page
