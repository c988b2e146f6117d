from __future__ import annotations

import base64
import math
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite import viz
from tensorlite.viz.axes import fit
from tensorlite.viz.heatmap import entropy, png, ramp


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def decode(data: bytes) -> tuple[np.ndarray, list[bytes]]:
    """Pixels and palette of an 8-bit indexed PNG, read by the standard and not by our writer."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, parts = 8, {}
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        parts[kind] = body
        at += 12 + size
    wide, high, depth, colour = struct.unpack(">IIBB", parts[b"IHDR"][:10])
    assert (depth, colour) == (8, 3)
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(high, wide + 1)
    assert not rows[:, 0].any()
    palette = parts[b"PLTE"]
    return rows[:, 1:], [palette[i : i + 3] for i in range(0, len(palette), 3)]


def images(svg: str) -> list[bytes]:
    return [base64.b64decode(found) for found in re.findall(r'href="data:image/png;base64,([^"]+)"', svg)]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_png_holds_the_pixels(high: int, wide: int, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(0, 256, (high, wide)).astype(np.uint8)
    pixels, palette = decode(png(levels, ramp(["000000", "FFFFFF"])))
    assert (pixels == levels).all()
    assert len(palette) == 256


@pytest.mark.parametrize("stops", [viz.heatmap._SEQUENTIAL])
def test_the_colour_map_rises_in_lightness(stops: list[str]) -> None:
    luma = [int(c[:2], 16) * 0.2126 + int(c[2:4], 16) * 0.7152 + int(c[4:], 16) * 0.0722 for c in ramp(stops)[:255]]
    assert all(a <= b + 0.6 for a, b in pairwise(luma))


def test_attention_draws_each_head_and_lists_the_strongest_keys() -> None:
    weights = softmax(np.random.default_rng(0).normal(size=(2, 3, 5, 5)))
    picture = viz.attention(weights, list("abcde"), layer=1, head=2, row=3, top_k=2)
    ET.fromstring(picture.svg)
    assert len(images(picture.svg)) == 2 * 3 + 1 + 1  # the heads, the large one, the colour scale
    pixels, _ = decode(images(picture.svg)[-2])
    expected = weights[1, 2]
    assert pixels.shape == (5, 5)
    assert (pixels == np.rint(expected / expected.max() * 254)).all()
    best = np.argsort(-expected[3])[:2]
    for j in best:
        assert re.search(rf"^{'abcde'[j]} +{j}  +{expected[3, j]:.4f}$", picture.text, re.M)


def test_attention_says_that_it_is_no_explanation() -> None:
    picture = viz.attention(np.eye(3))
    for words in (picture.svg, picture.text, picture.html):
        assert "not an explanation" in words


def test_cross_attention_and_escaping() -> None:
    picture = viz.attention(np.full((2, 3), 1 / 3), ["<script>", "b"], ["x", "&", "z"])
    root = ET.fromstring(picture.svg)
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    assert picture.html.count("<script>") == 1  # its own


def test_512_tokens_stay_small() -> None:
    weights = softmax(np.random.default_rng(0).normal(size=(2, 2, 512, 512)) * 3)
    assert len(viz.attention(weights).svg) < 600_000


def test_masked_pairs_are_hatched_and_have_the_mask_colour() -> None:
    mask = np.triu(np.ones((4, 4), bool), 1)
    picture = viz.attention(softmax(np.where(mask, -1e9, 0.0)), mask=mask)
    pixels, _ = decode(images(picture.svg)[-2])
    assert ((pixels == 255) == mask).all()
    assert "url(#hatch)" in picture.svg


def test_signed_and_broken_weights_draw() -> None:
    ET.fromstring(viz.attention(np.array([[0.5, -0.5], [np.nan, np.inf]])).svg)
    ET.fromstring(viz.attention(np.zeros((3, 3))).svg)
    ET.fromstring(viz.attention(np.full((2, 2), np.nan)).svg)


def test_entropy_of_known_rows() -> None:
    assert entropy(np.full((3, 8), 1 / 8)) == pytest.approx(3.0)
    assert entropy(np.eye(4)) == 0.0
    assert math.isnan(entropy(np.zeros((2, 2))))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": np.zeros(3)}, "L, H, T, S"),
        ({"weights": np.zeros((0, 0))}, "not empty"),
        ({"weights": np.eye(3), "tokens": ["a"]}, "expected 3 names"),
        ({"weights": np.eye(3), "row": 3}, "row must be"),
        ({"weights": np.eye(3), "head": 1}, "head must be"),
        ({"weights": np.eye(3), "theme": "blue"}, "theme must be"),
    ],
)
def test_attention_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        viz.attention(**arguments)  # type: ignore[arg-type]


def test_training_curves_from_rows_and_columns_agree() -> None:
    columns = {"step": [0, 10, 20], "loss": [3.0, 1.0, 2.0], "val loss": [3.5, None, 2.5]}
    rows = [
        {"step": 0, "loss": 3.0, "val loss": 3.5},
        {"step": 10, "loss": 1.0},
        {"step": 20, "loss": 2.0, "val loss": 2.5},
    ]
    a, b = viz.training_curves(columns), viz.training_curves(rows)  # type: ignore[arg-type]
    assert a == b
    assert re.search(r"loss +3 +2 +1 +10$", a.text, re.M)
    ET.fromstring(a.svg)


def test_training_curves_name_both_axes() -> None:
    picture = viz.training_curves({"recall": [0.0, 1.0], "ours": [1.0, 0.5]}, x="recall", y="precision & more")
    words = ["".join(e.itertext()) for e in ET.fromstring(picture.svg).iter() if e.tag.endswith("text")]
    assert {"recall", "precision & more"} <= set(words)


def test_training_curves_survive_awkward_numbers() -> None:
    for log in (False, True):
        picture = viz.training_curves({"loss": [math.nan, math.inf, 1.0, -1.0, 0.0]}, log=log)
        assert not re.search(r"\bnan\b|\binf\b", re.sub(r"<desc.*?</desc>", "", picture.svg, flags=re.S))
    ET.fromstring(viz.training_curves({"loss": [2.0]}).svg)
    ET.fromstring(viz.training_curves({"loss": [math.nan]}).svg)


@pytest.mark.parametrize("history", [{}, [], {"name": "x"}])
def test_training_curves_need_numbers(history: object) -> None:
    with pytest.raises(ValueError, match="no series"):
        viz.training_curves(history)  # type: ignore[arg-type]


def test_training_curves_refuse_unknown_columns() -> None:
    with pytest.raises(ValueError, match="is not in the history"):
        viz.training_curves({"loss": [1.0]}, x="time")
    with pytest.raises(ValueError, match="keys must be"):
        viz.training_curves({"loss": [1.0]}, keys=["acc"])


def test_gradient_flow_flags_what_vanishes_and_explodes() -> None:
    norms = {"a": 1.0, "b": 1e-9, "c": 1e6, "d": math.nan, "e": 0.0}
    text = viz.gradient_flow(norms).text
    words = {line.split()[0]: line.split()[2:] for line in text.splitlines()[2:]}
    assert words == {"a": [], "b": ["vanishing"], "c": ["exploding"], "d": ["not", "finite"], "e": ["vanishing"]}


def test_gradient_flow_over_time_is_one_image_row_a_layer() -> None:
    picture = viz.gradient_flow({"a": [1.0, 10.0, 100.0], "b": [1.0, 0.0, math.inf]}, steps=[0, 50, 100])
    pixels, _ = decode(images(picture.svg)[0])
    assert pixels.tolist() == [[0, 127, 254], [0, 255, 255]]
    with pytest.raises(ValueError, match="same number of steps"):
        viz.gradient_flow({"a": [1.0], "b": [1.0, 2.0]})
    with pytest.raises(ValueError, match="at least one layer"):
        viz.gradient_flow({})


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=1, max_size=9))
def test_scales_keep_points_inside_and_ticks_are_few(values: list[float]) -> None:
    scale = fit(values, 0.0, 100.0)
    assert all(-1e-6 <= scale(v) <= 100 + 1e-6 for v in values)
    assert 1 <= len(scale.ticks()) <= 12


def test_pictures_save(tmp_path: Path) -> None:
    picture = viz.training_curves({"loss": [2.0, 1.0]})
    for suffix in (".svg", ".html", ".txt"):
        assert picture.save(tmp_path / f"x{suffix}").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="suffix"):
        picture.save(tmp_path / "x.gif")
    assert str(picture) == picture.text
    assert picture._repr_mimebundle_().keys() == {"image/svg+xml", "text/plain"}


def test_masked_keys_are_not_listed_and_a_page_of_many_heads_stays_small() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(5), (1, 5))
    mask = np.triu(np.ones((5, 5)), 1) > 0
    assert [line.split()[1] for line in viz.attention(weights, row=1, mask=mask).text.splitlines()[4:6]] in (
        ["0", "1"],
        ["1", "0"],
    )
    many = viz.attention(np.random.default_rng(0).random((12, 12, 96, 96)).astype(np.float32))
    assert many.html.count('"top":[]') == 0
    crowded = viz.attention(np.ones((12, 12, 128, 128), np.float32), layer=3, head=4)
    assert crowded.html.count('"top":[]') == 143  # its numbers would make the page megabytes larger


def test_a_norm_that_vanished_once_is_not_called_vanishing_now() -> None:
    lines = viz.gradient_flow({"a": [1.0, 1e-9, 0.5], "b": [1.0, 1.0, 1e-9]}).text.splitlines()
    assert lines[2].split(maxsplit=3)[3] == "vanishing in 1 of 3 steps"
    assert lines[3].split(maxsplit=3)[3] == "vanishing"
