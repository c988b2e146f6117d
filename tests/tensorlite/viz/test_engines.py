from __future__ import annotations

from typing import Any

import pytest

from tensorlite.viz import engines, render
from tensorlite.viz.collapse import collapse
from tensorlite.viz.geometry import LABEL_SIZE
from tensorlite.viz.metrics import width

from .samples import random_graph, transformer
from .test_layout import assert_tidy, points_on


def without_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(engines, "_hinted", False)


def test_a_picture_comes_with_nothing_installed_and_one_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_programs(monkeypatch)
    view = collapse(transformer())
    assert engines.available() == ("builtin",)
    assert engines.place(view).engine == engines.place(view).engine == "builtin"
    assert capsys.readouterr().err.count("pip install") == 1


def test_a_broken_installation_does_not_cost_the_picture_and_is_named_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(source: str) -> dict[str, Any]:
        raise OSError("libgvc.so: cannot open shared object file")

    monkeypatch.setattr(engines, "available", lambda: ("dot", "builtin"))
    monkeypatch.setattr(engines, "_broken", set())
    monkeypatch.setitem(engines._RUN, "dot", broken)
    view = collapse(transformer())
    assert engines.place(view).engine == engines.place(view).engine == "builtin"
    said = capsys.readouterr().err
    assert said.count("layout by dot failed (libgvc.so: cannot open shared object file)") == 1


def test_a_named_engine_that_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without_programs(monkeypatch)
    with pytest.raises(RuntimeError, match="package manager"):
        engines.place(collapse(transformer()), "dot")
    with pytest.raises(ValueError, match="engine must be"):
        engines.place(collapse(transformer()), "neato")


@pytest.mark.parametrize("engine", ["dot", "pygraphviz", "wasi"])
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_every_engine_draws_the_same_structure(engine: str, seed: int | None) -> None:
    if engine not in engines.available():
        pytest.skip(f"{engine} is not installed")
    view = collapse(transformer() if seed is None else random_graph(seed))
    layout, ours = engines.place(view, engine), engines.place(view, "builtin")
    assert layout.engine == engine
    assert layout.boxes.keys() == ours.boxes.keys()
    assert layout.groups.keys() == ours.groups.keys()
    assert len(layout.routes) == len(ours.routes)
    for key, rect in layout.boxes.items():
        assert (rect.width, rect.height) == pytest.approx((ours.boxes[key].width, ours.boxes[key].height), abs=0.01)
    assert all(any(point != (0.0, 0.0) for point in route.points) for route in layout.routes)
    assert render._svg.svg(view, layout).count("<g class=") == len(view.boxes)


@pytest.mark.parametrize("engine", ["dot", "pygraphviz", "wasi"])
@pytest.mark.parametrize("how", ["auto", "none"])
def test_loops_and_their_labels_stay_inside_the_frame_of_their_block(engine: str, how: str) -> None:
    if engine not in engines.available():
        pytest.skip(f"{engine} is not installed")
    view = collapse(transformer(), how)
    layout = engines.place(view, engine)
    assert_tidy(view, layout)
    frame = layout.groups[next(group.key for group in view.groups if group.repeats > 1)]
    loops = [(link, r) for link, r in zip(view.links, layout.routes, strict=True) if link.kind == "loop"]
    assert loops
    for link, route in loops:
        assert all(frame.x < x < frame.right and frame.y < y < frame.bottom for x, y in points_on(route.points))
        assert route.label is not None
        assert route.label[0] + width(link.label, LABEL_SIZE) < frame.right
        for key, rect in layout.boxes.items():
            inside = [p for p in points_on(route.points) if rect.x < p[0] < rect.right and rect.y < p[1] < rect.bottom]
            assert not inside or key in {link.src, link.dst}
