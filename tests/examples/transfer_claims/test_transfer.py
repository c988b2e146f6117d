"""Transfer learning on the words of claims, with a tiny encoder and titles from the packaged tables."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorlite as tl
from claimsformer.assessment.metrics import auroc
from claimsformer.claims.codes import load
from claimsformer.errors import ReadError
from claimsformer.tokenizer.text import TextTokenizer
from claimsformer.transformer import Transformer
from claimsformer.transformer.hugging_face import config_from_hugging_face
from claimsformer.transformer.hugging_face_names import save_hugging_face
from examples.transfer_claims import __main__ as program
from examples.transfer_claims.claims import Claims, same_chapter, stays
from examples.transfer_claims.methods import METHODS, Pretrained, Recipe, fit_head, score
from examples.transfer_claims.model import PairClassifier, compare, tokenised

DATA = Path(os.environ.get("CLAIMSFORMER_DATA", Path(__file__).parents[4] / "shared" / "data"))
RECIPE = Recipe(
    adapted_epochs=(1, 1, 1),
    scratch_epochs=(25, 25, 25),
    width=16,
    layers=1,
    vocabulary=400,
    batch_size=16,
    rank=2,
    penalties=(1.0, 0.1),
)


@pytest.fixture(scope="module")
def task() -> tuple[Claims, Claims]:
    return same_chapter(120, seed=1), same_chapter(60, seed=2)


@pytest.fixture(scope="module")
def folder(task: tuple[Claims, Claims], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two small layers with random weights."""
    path = tmp_path_factory.mktemp("tiny-bert")
    tokenizer = TextTokenizer.train(task[0].reasons + task[0].procedures, 400, medical=False)
    config = {
        "model_type": "bert",
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    }
    save_hugging_face(Transformer(config_from_hugging_face(config), seed=0), config, path)
    tokenizer.save_huggingface(path)
    return path


@pytest.fixture
def pretrained(folder: Path) -> Pretrained:
    return Pretrained(folder)


def asked(method: str, task: tuple[Claims, Claims], pretrained: Pretrained, recipe: Recipe = RECIPE) -> Any:
    return score(method, *task, pretrained, 0, recipe, task[0].reasons + task[0].procedures)


# -- the task ---------------------------------------------------------------------------------------------------------


def test_titles_are_those_of_the_packaged_icd_9_tables() -> None:
    claims = same_chapter(40, seed=3)
    known = {entry.title for table in ("icd9_diagnosis", "icd9_procedure") for entry in load(table).values()}
    assert {*claims.reasons, *claims.procedures} <= known
    assert claims.mismatch.mean() == 0.5
    again = same_chapter(40, seed=3)
    assert (again.reasons, again.procedures) == (claims.reasons, claims.procedures)


def test_without_the_data_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAIMSFORMER_DATA", str(tmp_path))
    with pytest.raises(ReadError, match="CLAIMSFORMER_DATA"):
        stays(10, 10)


@pytest.mark.data
def test_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (DATA / "synpuf").is_dir():
        pytest.skip("the SynPUF claims are not there: set CLAIMSFORMER_DATA")
    monkeypatch.setenv("CLAIMSFORMER_DATA", str(DATA))
    train, test = stays(1000, 200)
    assert (len(train), len(test)) == (1000, 200)
    for part in (train, test):
        assert abs(part.mismatch.mean() - 0.5) < 0.02
        assert all(part.reasons)
        assert all(part.procedures)
    for seed in range(5):  # the halves were drawn at random too: draws of labels must not follow their order
        rows = np.random.default_rng([seed, 100]).permutation(len(train))[:100]
        assert 0.3 < train.take(rows).mismatch.mean() < 0.7
    assert stays(1000, 200)[0].procedures == train.procedures
    counts = [text.count(". ") for text in train.procedures]  # what was exchanged is not told by its length
    assert abs(np.mean(np.array(counts)[train.mismatch]) - np.mean(np.array(counts)[~train.mismatch])) < 0.1


# -- the model --------------------------------------------------------------------------------------------------------


def test_what_is_compared() -> None:
    u, v = tl.tensor([[1.0, 0.0], [0.6, 0.8]]), tl.tensor([[1.0, 0.0], [0.8, -0.6]])
    root = 2**0.5
    expected = [
        [10, 2, 0, 0, 0, root, 0, root, 0],
        [0, 0.96, -0.96, 0.2 * root, 1.4 * root, 0.6 * root, 0.8 * root, 0.8 * root, -0.6 * root],
    ]
    np.testing.assert_allclose(compare(u, v).numpy(), expected, atol=1e-6)


def test_vectors_do_not_depend_on_company(pretrained: Pretrained, task: tuple[Claims, Claims]) -> None:
    rows = tokenised(task[0].reasons[:40] + task[0].reasons[:3], pretrained.tokenizer, 64)
    with tl.no_grad():
        together = pretrained.model.embed(rows).numpy()
        alone = np.concatenate([pretrained.model.embed([row]).numpy() for row in rows])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_each_text_is_encoded_once(
    pretrained: Pretrained, task: tuple[Claims, Claims], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    mean = PairClassifier._mean

    def counted(self: PairClassifier, texts: Any) -> Any:
        seen.extend(texts)
        return mean(self, texts)

    monkeypatch.setattr(PairClassifier, "_mean", counted)
    for claims in (task[0], task[1], task[0]):
        pretrained.vectors(claims)
    assert len(seen) == len(set(seen))


# -- the methods ------------------------------------------------------------------------------------------------------


def test_a_head_finds_what_can_be_told_and_shrinks_where_nothing_can() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 6)).astype(np.float32)
    weights = np.array([0, 2.0, -1.0, 0, 0, 0.5])
    labels = (x @ weights + rng.logistic(size=300) > 0).astype(np.int64)
    penalties = (10.0, 0.1, 0.001)

    def slope(y: Any) -> Any:
        head = fit_head(tl.from_numpy(x), y, penalties, 0).weight.detach().numpy()
        return head[1] - head[0]

    assert np.corrcoef(slope(labels), weights)[0, 1] > 0.95
    noise = rng.integers(0, 2, 300)
    assert np.abs(slope(noise)[1:]).max() < 0.05


@pytest.mark.parametrize("method", METHODS)
def test_every_method_scores_the_test_claims_and_the_same_seed_gives_the_same(
    method: str, task: tuple[Claims, Claims], pretrained: Pretrained
) -> None:
    recipe = replace(RECIPE, scratch_epochs=(2, 2, 2))
    found, again = (asked(method, task, pretrained, recipe) for _ in range(2))
    assert found.scores.shape == (60,)
    assert np.isfinite(found.scores).all()
    np.testing.assert_array_equal(found.scores, again.scores)
    head = 2 * (4 * 16 + 1) + 2
    if method == "cosine":
        assert found.trainable == 0
    elif method == "frozen":
        assert found.trainable == head
    elif method == "adapted":  # four matrices 16 × 16 and two 16 × 32 in each of two layers, and the pooler
        assert found.trainable == head + 2 * RECIPE.rank * (4 * 32 + 2 * 48) + RECIPE.rank * 32


def test_adapters_start_where_the_frozen_encoder_stands(
    task: tuple[Claims, Claims], pretrained: Pretrained, folder: Path
) -> None:
    before = (folder / "model.safetensors").read_bytes()
    frozen = asked("frozen", task, pretrained)
    still = asked("adapted", task, pretrained, replace(RECIPE, adapted_lr=0.0))
    np.testing.assert_allclose(still.scores, frozen.scores, atol=1e-5)
    moved = asked("adapted", task, pretrained, replace(RECIPE, adapted_lr=1e-2))
    assert not np.allclose(moved.scores, frozen.scores, atol=1e-3)
    np.testing.assert_allclose(asked("frozen", task, pretrained).scores, frozen.scores)
    assert (folder / "model.safetensors").read_bytes() == before


def test_from_scratch_learns_what_it_is_shown(task: tuple[Claims, Claims], pretrained: Pretrained) -> None:
    train, _ = task
    found = asked("scratch", (train, train), pretrained)
    assert auroc(train.mismatch, found.scores) > 0.9


# -- the program ------------------------------------------------------------------------------------------------------


def test_the_table() -> None:
    results = [
        {"method": "cosine", "labels": 0, "seed": 0, "auroc": 0.7, "trainable": 0},
        {"method": "frozen", "labels": 100, "seed": 0, "auroc": 0.8, "trainable": 3},
        {"method": "frozen", "labels": 100, "seed": 1, "auroc": 0.9, "trainable": 3},
        {"method": "scratch", "labels": 1000, "seed": 0, "auroc": 0.6, "trainable": 1234},
    ]
    assert program.table(results).splitlines()[2:] == [
        "| cosine | 0 | 0.700 (no labels) | 0.700 (no labels) |",
        "| frozen | 3 | 0.850 ± 0.071 (2) | not run |",
        "| scratch | 1,234 | not run | 0.600 (1) |",
    ]


def test_the_program_goes_on_where_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "stays", lambda *_: (same_chapter(80, 1), same_chapter(40, 2)))
    words = ["--encoder", str(folder), "--out", str(tmp_path), "--labels", "40", "--seeds"]
    program.main([*words, "1", "--methods", "cosine", "frozen"])
    first = json.loads((tmp_path / "results.json").read_text())
    program.main([*words, "2", "--methods", "frozen"])
    second = json.loads((tmp_path / "results.json").read_text())
    assert second[:2] == first
    assert [(r["method"], r["labels"], r["seed"]) for r in second] == [
        ("cosine", 0, 0),
        ("frozen", 40, 0),
        ("frozen", 40, 1),
    ]
    assert "| frozen | 132 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--labels", "0"], "must be at least 1, got 0"),
        (["--labels", "-5"], "must be at least 1, got -5"),
        (["--seeds", "0"], "must be at least 1, got 0"),
        (["--labels", "81"], "there are 80 stays to take labels from, got --labels 81"),
        (["--encoder", "nowhere"], "nowhere holds no tokenizer"),
    ],
)
def test_what_cannot_be_measured_is_said(
    words: list[str], message: str, folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(program, "stays", lambda *_: (same_chapter(80, 1), same_chapter(40, 2)))
    with pytest.raises(SystemExit) as end:
        program.main(["--encoder", str(folder), "--out", str(tmp_path), *words])
    assert message in f"{end.value.code} {capsys.readouterr().err}"


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"method": "frozen"}]'])
def test_damaged_results_are_said(text: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(SystemExit, match="damaged"):
        program.main(["--encoder", str(folder), "--out", str(tmp_path)])


def test_without_data_or_weights_the_program_says_where_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAIMSFORMER_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="CLAIMSFORMER_DATA"):
        program.main(["--out", str(tmp_path)])
