"""Contrast by WCAG 2.2; colour vision deficiencies by Machado, Oliveira and Fernandes (2009), severity 1; distance CIE 1976 in Lab."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from tensorlite.viz.palette import DARK, LIGHT, STRIPS, role_of, role_of_module

Array = npt.NDArray[np.float64]
THEMES = [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")]

_VISION = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(colour: str) -> Array:
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(linear(c) @ weights) for c in (a, b))
    return (high + 0.05) / (low + 0.05)


def lab(colour: str, vision: str) -> Array:
    seen = np.clip(np.array(_VISION[vision]) @ linear(colour), 0, 1)
    t = _XYZ @ seen / _WHITE
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_yardsticks_are_right() -> None:
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21.0)
    assert lab("#FFFFFF", "normal") == pytest.approx([100, 0, 0], abs=0.05)
    assert lab("#FF0000", "normal") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_text_has_contrast_everywhere_it_stands(theme: dict[str, str]) -> None:
    for ground in ("background", "box", "cluster1", "cluster2", "input", "param", "buffer", "alarm-fill"):
        for ink in ("ink", "secondary"):
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
    assert contrast(theme["alarm"], theme["alarm-fill"]) >= 4.5
    for ground in ("background", "cluster1", "cluster2"):
        assert contrast(theme["loop"], theme[ground]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_marks_have_contrast(theme: dict[str, str]) -> None:
    for ground in ("background", "cluster1", "cluster2"):
        for mark in ("edge", "skip", "loop", "border", "focus", "alarm"):
            assert contrast(theme[mark], theme[ground]) >= 3.0, (mark, ground)
        for leaf in ("input", "param", "buffer", "cluster"):
            assert contrast(theme[f"{leaf}-border"], theme[ground]) >= 3.0, (leaf, ground)
    for mark in (*STRIPS, "border", "focus"):
        assert contrast(theme[mark], theme["box"]) >= 3.0, mark


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", list(_VISION))
def test_strips_can_be_told_apart(theme: dict[str, str], vision: str) -> None:
    for a, b in itertools.combinations(STRIPS, 2):
        assert np.linalg.norm(lab(theme[a], vision) - lab(theme[b], vision)) >= 20, (a, b)


def test_every_role_has_a_colour_of_its_own_in_both_themes() -> None:
    assert LIGHT.keys() == DARK.keys()
    for theme in (LIGHT, DARK):
        assert len(set(theme.values())) == len(theme)


def test_roles() -> None:
    assert role_of("matmul") == "linear"
    assert role_of("no such op") == "reduce"
    assert role_of_module("MultiHeadAttention", {"matmul": 1}) == "attention"
    assert role_of_module("Thing", {"gelu": 1, "linear": 10}) == "linear"
    assert role_of_module("Empty", {}) == "reduce"
