"""A run from weights to report, the comparison and its page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.phi2_lora.evaluation import right
from examples.phi2_lora.page import graph_in_tensorlite, write_page
from examples.phi2_lora.recipe import Recipe, batches, steps
from examples.phi2_lora.run import SHOWN, run
from examples.phi2_lora.table import comparison
from examples.phi2_lora.torch_graph import graph_of_block

ROOT = Path(__file__).parents[3]
RECIPE = Recipe(lr=2e-3, batch_size=2, accumulate=2, max_steps=3, dropout=0.0)


@pytest.fixture(scope="module")
def reports(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    out = tmp_path_factory.mktemp("run")
    mine = run("tensorlite", folder, RECIPE, out / "tensorlite", questions=3)
    theirs = run("torch", folder, RECIPE, out / "torch", adapter=None, questions=3)
    return out, theirs, mine


def test_what_a_run_leaves_behind(reports: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    out, theirs, mine = reports
    for report in (theirs, mine):
        assert len(report["losses"]) == len(report["grad_norms"]) == 3
        assert report["merged_loss"] == pytest.approx(report["after"]["loss"], rel=1e-5)
        assert report["after"]["loss"] != report["before"]["loss"]
        assert report["before"]["asked"] == 3
        assert len(report["after"]["answers"]) == len(SHOWN)
        assert json.loads((out / report["engine"] / "report.json").read_text())["losses"] == report["losses"]
        names = {p.name for p in (out / report["engine"] / "adapter").iterdir()}
        assert {"adapter_config.json", "adapter_model.safetensors"} <= names
    assert mine["before"]["loss"] == pytest.approx(theirs["before"]["loss"], rel=1e-6)
    assert mine["before"]["answers"] == theirs["before"]["answers"]


def test_the_table_and_the_page(
    folder: Path, reports: tuple[Path, dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    _, theirs, mine = reports
    text = comparison(theirs, mine)
    gap = max(abs(a - b) for a, b in zip(theirs["losses"], mine["losses"], strict=True))
    assert f"largest difference of a loss over 3 updates: {gap:.1e}" in text
    assert re.search(r"trainable +34,560 +34,560", text)
    page = write_page(tmp_path / "page.html", theirs, mine, text, folder).read_text()
    assert page.count("<svg") == 4
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_the_graph_of_torch_holds_the_adapters_and_each_function_once(folder: Path) -> None:
    graph = graph_of_block(folder)
    leaves = [node for node in graph.nodes if node.kind == "param"]
    assert sorted(n.name.split(".")[1] for n in leaves) == ["q_proj", "q_proj", "v_proj", "v_proj"]
    assert graph.params == 2 * 8 * (80 + 80)
    paths = {leaf.name: graph.modules[leaf.module].path for leaf in leaves if leaf.module is not None}
    assert paths == {name: name.removesuffix(".weight") for name in (leaf.name for leaf in leaves)}
    attention = next(n for n in graph.nodes if n.op.startswith("ScaledDotProduct"))
    assert attention.shape == (1, 4, 4, 20)
    assert attention.module is not None
    assert graph.modules[attention.module].path == "self_attn"
    used = {edge.src for edge in graph.edges}
    assert used == set(range(len(graph.nodes) - 1))  # all but the output lead to it


def test_the_graph_of_tensorlite_has_the_same_adapters_and_rotary_positions(folder: Path) -> None:
    graph = graph_in_tensorlite(folder)
    assert sum(n.params for n in graph.nodes if "lora_" in n.name) == graph_of_block(folder).params
    assert sum("otate" in n.op for n in graph.nodes) == 2  # queries and keys


def test_tensorlite_needs_no_torch(folder: Path) -> None:
    program = (
        "import sys\nfor name in ('torch', 'transformers', 'peft', 'tokenizers'): sys.modules[name] = None\n"
        "from pathlib import Path\nfrom examples.phi2_lora.run import make_engine\n"
        f"print(make_engine('tensorlite', Path({str(folder)!r})).answer(['The capital of France is'], 2))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_batches_follow_the_seed_and_every_epoch_sees_all() -> None:
    examples: list[Any] = list(range(10))
    recipe = Recipe(epochs=3, batch_size=2, accumulate=2)
    order = batches(examples, recipe)
    flat = np.array(order).reshape(3, 10)
    assert (np.sort(flat, axis=1) == np.arange(10)).all()
    assert (flat[0] != flat[1]).any()
    assert batches(examples, recipe) == order
    assert batches(examples, replace(recipe, seed=1)) != order
    assert steps(examples, recipe) == 8  # 15 micro-batches, the last update has three


def test_a_fact_counts_whatever_the_case() -> None:
    assert right("Code 29: The Filing limit had passed.", "the filing limit had passed")
    assert not right("the filing limit", "the filing limit had passed")
