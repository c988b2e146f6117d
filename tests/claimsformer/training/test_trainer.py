"""What the Trainer does besides resuming: accumulation, evaluation, early stopping, progress, sanity checks, NaN."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from claimsformer.errors import ConfigError, NonFiniteError
from claimsformer.training import (
    Callback,
    CrossEntropy,
    PadCollate,
    TokenCrossEntropy,
    Trainer,
    accuracy,
    progress,
    summarize,
)
from claimsformer.training.data import make_loader, run_model, size_of
from claimsformer.training.stepper import Stepper
from claimsformer.transformer import Transformer, TransformerConfig
from tensorlite import nn, optim
from tensorlite.nn import functional as F
from tensorlite.utils.data import DataLoader, IterableDataset, TensorDataset

from .samples import classes, network, trainer, weights

TRAIN, VAL = classes(30), classes(10, seed=5)


class TokenModel(nn.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.token, self.drop, self.out = nn.Embedding(9, 6), nn.Dropout(dropout), nn.Linear(6, 9)

    def forward(self, ids: tl.Tensor, attention_mask: tl.Tensor | None = None) -> tl.Tensor:
        return self.out(self.drop(self.token(ids)).tanh())


def token_model() -> TokenModel:
    with tl.random.fork_rng():
        tl.manual_seed(0)
        return TokenModel()


def sentences(n: int, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    ids = [rng.integers(1, 9, rng.integers(1, 12)) for _ in range(n)]
    return [{"ids": i, "labels": np.where(rng.random(len(i)) < 0.3, -100, i)} for i in ids]


@given(st.integers(0, 1000), st.integers(2, 5), st.sampled_from([None, 0.05]))
def test_k_micro_batches_equal_one_batch(seed: int, k: int, clip: float | None) -> None:
    """Weighted by tokens: the parts have different numbers of tokens, which a mean of means would get wrong."""
    examples, collate = sentences(4 * k, seed), PadCollate()
    models = []
    for group in ([collate(examples)], [collate(examples[4 * i : 4 * i + 4]) for i in range(k)]):
        model = token_model()
        stepper = Stepper(
            model, TokenCrossEntropy([1.0] * 5 + [3.0] * 4), optim.AdamW(model.parameters()), run_model, clip
        )
        update = stepper.update(group)
        models.append((model, update))
    (a, one), (b, many) = models
    assert one.loss == pytest.approx(many.loss, rel=1e-6)
    assert one.grad_norm == pytest.approx(many.grad_norm, rel=1e-5)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("clip", [None, 0.1])
def test_updates_are_torchs(clip: float | None) -> None:
    """AdamW with decay on matrices alone, clipping, and a linear schedule, against the same loop in torch."""
    model = network(dropout=0.0)
    twin = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.ReLU(), torch.nn.Dropout(0.0), torch.nn.Linear(8, 3)
    )
    twin.load_state_dict({k: torch.tensor(v.numpy()) for k, v in model.state_dict().items()})
    matrices = [p for p in twin.parameters() if p.ndim == 2]
    vectors = [p for p in twin.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1 - s / 20)
    loader = make_loader(TRAIN, 6, shuffle=False)
    expected = []
    for _ in range(4):
        for x, y in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(twin(torch.tensor(x.numpy())), torch.tensor(y.numpy()))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(twin.parameters(), clip or math.inf)
            optimizer.step()
            schedule.step()
            expected.append(loss.item())
    t = Trainer(
        model, CrossEntropy(), lr=1e-2, weight_decay=0.1, clip=clip, schedule="linear", seed=None, progress=False
    )
    history = t.fit(make_loader(TRAIN, 6, shuffle=False), epochs=4)
    np.testing.assert_allclose(history.steps["loss"], expected, atol=1e-5)
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(history.steps["lr"], 1e-2 * (1 - np.arange(20) / 20))


def test_a_plain_function_is_a_loss_and_an_optimizer_of_ones_own() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    y = x @ np.array([[1.0], [2.0], [-1.0]], np.float32)
    model = nn.Linear(3, 1)
    history = Trainer(model, F.mse_loss, optim.SGD(model.parameters(), lr=0.2), clip=None, progress=False).fit(
        (x, y), (x, y), epochs=60
    )
    np.testing.assert_allclose(model.weight.detach().numpy(), [[1, 2, -1]], atol=1e-2)
    assert history["val_loss"][-1] < 1e-4 < history["val_loss"][0]


def test_evaluation_weighs_tokens_not_batches() -> None:
    t = Trainer(token_model(), TokenCrossEntropy(), metrics={"accuracy": accuracy}, collate=PadCollate(), batch_size=3)
    examples = sentences(11)
    found = t.evaluate(examples)
    whole = PadCollate()(examples)
    output, target = run_model(t.model, whole)
    total, weight = TokenCrossEntropy()(output, target)
    assert found["loss"] == pytest.approx(float(total) / weight, rel=1e-6)
    right, count = accuracy(output, target)
    assert found["accuracy"] == right / count
    assert t.evaluate(examples, limit=1) != found
    assert t.model.training


def test_batches_of_similar_length_hold_every_example_once() -> None:
    examples = sentences(40)
    loader = make_loader(examples, 5, shuffle=True, collate=PadCollate(), by_length=True)
    widths = [batch["ids"].shape[1] for batch in loader]
    plain = make_loader(examples, 5, shuffle=True, collate=PadCollate())
    batches = list(plain)
    assert sum(widths) < sum(b["ids"].shape[1] for b in batches)
    assert sum(size_of(b)[0] for b in batches) == sum(len(e["ids"]) for e in examples)
    mask = batches[0]["attention_mask"].numpy()
    assert not batches[0]["ids"].numpy()[~mask].any()
    assert (batches[0]["labels"].numpy()[~mask] == -100).all()


class Plan(Callback):
    """Answers evaluations from a list, by overwriting the model's only weight."""

    def __init__(self) -> None:
        self.rows: list[dict] = []

    def on_evaluate(self, trainer: Trainer, numbers: dict) -> None:
        self.rows.append(dict(numbers))


def test_early_stopping_and_the_best_weights(tmp_path: Path) -> None:
    """A metric that is best at the second evaluation: with patience 2 the run ends after the fourth."""
    values = iter([0.5, 0.9, 0.8, 0.9, 0.95])
    plan = Plan()
    t = trainer(
        tmp_path, metrics={"score": lambda o, y: (next(values), 1.0)}, monitor="val_score", mode="max", patience=2
    )
    t.callbacks.append(plan)
    kept: list[list[bytes]] = []
    plan.on_evaluate = lambda trainer, numbers: kept.append(weights(trainer.model))  # type: ignore[method-assign]
    history = t.fit(TRAIN, VAL[:1] and tuple(a[:8] for a in VAL), epochs=9)
    assert list(history["val_score"]) == [0.5, 0.9, 0.8, 0.9]
    assert history.stopped == "no better val_score in 2 evaluations"
    row = t.load_best()
    assert row["val_score"] == 0.9
    assert row["epoch"] == 2
    assert weights(t.model) == kept[1] != kept[-1]


def test_what_is_written(tmp_path: Path) -> None:
    t = trainer(tmp_path, "first", log_every=2, evaluate_every=3, schedule="cosine")
    history = t.fit(TRAIN, VAL, epochs=2)
    folder = tmp_path / "first"
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
        "config.json",
        "metrics.jsonl",
    ]
    config = json.loads((folder / "config.json").read_text())
    assert (config["epochs"], config["schedule"]) == (2, "cosine")
    assert {(g["lr"], g["weight_decay"]) for g in config["groups"]} == {(1e-2, 0.01), (1e-2, 0.0)}
    assert sum(g["tensors"] for g in config["groups"]) == 6
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    updates = [r for r in rows if r["kind"] == "update"]
    assert [r["step"] for r in updates] == [2, 4, 6, 8]
    assert [r["loss"] for r in updates] == history.steps["loss"][1::2].tolist()
    evaluations = [r for r in rows if r["kind"] == "evaluation"]
    assert [r["step"] for r in evaluations] == history["step"].tolist() == [3, 4, 6, 8]
    assert [r["val_loss"] for r in evaluations] == history["val_loss"].tolist()
    assert (history["epoch"] == [0.75, 1, 1.5, 2]).all()


def test_history_draws_itself() -> None:
    t = trainer("", None)
    history = t.fit(TRAIN, VAL, epochs=3)
    svg = history.plot(title="A run").svg
    assert "A run" in svg
    assert ">val_loss<" in svg
    short = trainer("", None).fit(TRAIN, max_steps=3)
    assert ">loss<" in short.plot().svg
    with pytest.raises(KeyError, match="it has epoch, step"):
        history["f1"]


def test_max_steps_ends_within_an_epoch_and_evaluates() -> None:
    t = trainer("", None)
    history = t.fit(TRAIN, VAL, epochs=9, max_steps=6)
    assert t.step == 6
    assert list(history["epoch"]) == [1.0, 1.5]


def test_fast_dev_run_leaves_no_trace(tmp_path: Path) -> None:
    t = trainer(tmp_path, metrics={"accuracy": accuracy})
    before = weights(t.model)
    history = t.fit(TRAIN, VAL, epochs=50, fast_dev_run=True)
    assert len(history.steps["loss"]) == 1
    assert "val_accuracy" in history
    assert weights(t.model) == before
    assert not t.optimizer.state
    assert list(tmp_path.iterdir()) == []


def test_overfit_batch_tells_a_sound_model_from_a_broken_one() -> None:
    t = trainer("", None, lr=3e-2, model=network(width=32, dropout=0.5))
    before = weights(t.model)
    found = t.overfit_batch(TRAIN, steps=400)
    assert found.passed
    assert found.losses[-1] < 1e-3 < found.losses[0]
    assert weights(t.model) == before

    class Deaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, x: tl.Tensor) -> tl.Tensor:
            return self.inner(x * 0)

    assert not trainer("", None, lr=3e-2, model=Deaf()).overfit_batch(TRAIN, steps=100).passed


# -- NaN --------------------------------------------------------------------------------------------------------------


class Faulty(nn.Module):
    def __init__(self, fault: str) -> None:
        super().__init__()
        self.first, self.second, self.fault = nn.Linear(4, 4), nn.Linear(4, 3), fault

    def forward(self, x: tl.Tensor) -> tl.Tensor:
        h = self.first(x)
        if self.fault == "log":
            h = (h - h.detach().abs() - 1).log()
        if self.fault == "exp":
            h = (h.abs() * 1e4).exp()
            h = h - h
        if self.fault == "sqrt":
            h = (h * 0).sqrt() * 0  # finite, but its gradient is 0 times the infinite slope of the root
        return self.second(h)


@pytest.mark.parametrize("fault", ["log", "exp", "sqrt"])
def test_nan_names_the_first_op(fault: str, tmp_path: Path) -> None:
    model = Faulty(fault)
    before = weights(model)
    with pytest.raises(NonFiniteError, match=f"begins in the op '{fault}'") as found:
        trainer(tmp_path, model=model).fit(TRAIN, epochs=2)
    assert found.value.op == fault
    assert weights(model) == before
    assert "test_trainer.py" in str(found.value)


def test_nan_in_the_data_or_in_a_parameter_is_said() -> None:
    x, y = TRAIN
    with pytest.raises(NonFiniteError, match="the batch itself holds NaN"):
        trainer("", None, batch_size=30).fit((np.where(x == x[3, 2], np.nan, x).astype(np.float32), y))
    model = network()
    with tl.no_grad():
        model[1].weight[2] = math.nan
    with pytest.raises(NonFiniteError, match=r"parameter 1\.weight holds NaN"):
        trainer("", None, model=model).fit(TRAIN)


# -- showing ----------------------------------------------------------------------------------------------------------


def facts(**changes: object) -> progress.Facts:
    values: dict = {
        "epoch": 3,
        "epochs": 10,
        "batch": 412,
        "batches": 640,
        "step": 1692,
        "total": 6400,
        "unit": "tokens",
    }
    values |= {
        "loss": 0.2312,
        "grad_norm": 0.84,
        "lr": 3.1e-4,
        "rate": 18_400.0,
        "seconds_left": 42.0,
        "validation": 0.254,
    }
    return progress.Facts(**{**values, **changes})


def test_the_line() -> None:
    assert (
        facts().line()
        == "epoch 3/10 · 412/640 · loss 0.2312 · val 0.254 · 18.4k tok/s · lr 3.1e-04 · |g| 0.84 · 0:42 left"
    )
    assert facts(batches=None, seconds_left=3725.0, validation=None).line().endswith("1:02:05 left")


def test_plain_lines_come_every_few_seconds_without_escapes() -> None:
    now, stream = [0.0], io.StringIO()
    lines = progress.PlainLines(stream, every_s=5, clock=lambda: now[0])
    lines.start("model")
    for _ in range(100):
        now[0] += 0.5
        if lines.due():
            lines.update(facts())
    assert stream.getvalue().count("loss") == 10
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("no_color", [False, True])
def test_the_bar_is_drawn_at_most_ten_times_a_second(no_color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    now, stream = [0.0], io.StringIO()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    bar = progress.TerminalBar(Console(file=stream, force_terminal=True, width=160), clock=lambda: now[0])
    drawn = []
    monkeypatch.setattr(bar.bar, "refresh", lambda refresh=bar.bar.refresh: (drawn.append(now[0]), refresh()))
    bar.start("model")
    drawn.clear()
    for _ in range(1000):
        now[0] += 0.01
        if bar.due():
            bar.update(facts())
    bar.say("epoch 3 done")
    bar.stop()
    assert 90 <= len(drawn) <= 101 + 2
    assert "18.4k tok/s" in stream.getvalue()
    assert "epoch 3 done" in stream.getvalue()
    coloured = "\x1b[38;" in stream.getvalue() or "\x1b[1;3" in stream.getvalue() or "\x1b[3" in stream.getvalue()
    assert coloured is not no_color


def test_not_a_terminal_means_plain_lines(capsys: pytest.CaptureFixture) -> None:
    assert isinstance(progress.make_reporter(True), progress.PlainLines)
    assert isinstance(progress.make_reporter(False), progress.Quiet)
    trainer("", None, progress=True).fit(TRAIN, VAL, epochs=2)
    out = capsys.readouterr().out
    assert "all, shared ones once" in out
    assert "epoch 2 · update 8 · loss" in out
    assert "\x1b" not in out


def test_the_summary_counts_shared_parameters_once() -> None:
    model = token_model()
    model.out = nn.Linear(6, 9, bias=False)
    model.out.weight = model.token.weight
    lines = summarize(model).splitlines()
    assert lines[1].split() == ["token", "Embedding", "54", "54"]
    assert lines[3].split()[-2:] == ["54", "54"]


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adamax"},
        {"accumulate": 0},
        {"batch_size": 2.5},
        {"mode": "least"},
        {"clip": 0.0},
        {"patience": 0},
        {"layer_decay": 1.5},
        {"rates": {"decoder": 1.0}},
    ],
)
def test_settings_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError):
        trainer("", None, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "cross_entropy"}, "loss must be"),
        ({"metrics": [len]}, "functions by name"),
        ({"callbacks": Callback()}, "must be a list"),
        ({"callbacks": [Callback]}, "the class Callback"),
        ({"callbacks": [print]}, "instances of Callback"),
        ({"name": "../elsewhere"}, "below root"),
        ({"optimizer": optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)}, "no parameter of the model"),
    ],
)
def test_what_would_be_noticed_late_is_refused_at_once(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Trainer(**{"model": network(), "loss": CrossEntropy(), **options})


def test_an_event_that_nobody_calls_is_refused() -> None:
    class Late(Callback):
        def on_epoch_end(self, trainer: Trainer) -> None: ...

    with pytest.raises(ConfigError, match=r"Late\.on_epoch_end would never be called\nthe events are on_fit_start"):
        Trainer(network(), CrossEntropy(), callbacks=[Late()])


def test_max_steps_alone_goes_over_the_data_as_often_as_needed() -> None:
    history = trainer("", None).fit(TRAIN, max_steps=9)  # four batches an epoch
    assert history["step"].tolist() == [4, 8, 9]
    both = trainer("", None).fit(TRAIN, epochs=1, max_steps=9)
    assert both["step"].tolist() == [4]


def test_patience_needs_something_to_watch() -> None:
    with pytest.raises(ConfigError, match="was given no val"):
        trainer("", None, patience=1).fit(TRAIN)
    stopped = trainer("", None, patience=1, monitor="loss", lr=0.0).fit(TRAIN, epochs=9).stopped
    assert stopped == "no better loss in 1 evaluations"


def test_a_metric_without_its_weight_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'mean' must return \(sum, weight\), got float\na mean over n"):
        trainer("", None, metrics={"mean": lambda o, y: 0.5}).fit(TRAIN, VAL)


def test_examples_of_different_lengths_say_how_to_pad() -> None:
    ragged = [{"ids": [1, 2], "labels": [1, 2]}, {"ids": np.array([1]), "labels": np.array([1])}]
    ragged[0] = {name: np.array(ids) for name, ids in ragged[0].items()}
    with pytest.raises(ConfigError, match=r"PadCollate\(\) pads"):
        Trainer(token_model(), CrossEntropy(), progress=False).fit(ragged)
    with pytest.raises(ConfigError, match=r"a tuple, \(x, y\)"):
        trainer("", None).fit([TRAIN[0], TRAIN[1]])


def test_padding_is_for_dicts_and_shows_no_data() -> None:
    with pytest.raises(ConfigError, match=r"pads examples that are dicts, got list\n"):
        trainer("", None, collate=PadCollate()).fit([[np.ones(2), np.array(1)]])


def test_a_tokenizers_names_fit_the_batch_and_the_model() -> None:
    examples = [{"input_ids": [3, 4, 5], "labels": [3, 4, 5]}, {"input_ids": [6], "labels": [6]}]
    batch = PadCollate()(examples)
    assert batch["attention_mask"].numpy().tolist() == [[True, True, True], [True, False, False]]
    net = Transformer(TransformerConfig(vocab_size=9, d_model=16, n_heads=2, n_layers=1), seed=0)
    output, _ = run_model(net, batch)
    same = net(batch["input_ids"], attention_mask=batch["attention_mask"])
    np.testing.assert_array_equal(output.detach().numpy(), same.detach().numpy())


def test_calls_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="epochs must be a positive whole number"):
        trainer("", None).fit(TRAIN, epochs=0)
    with pytest.raises(ConfigError, match="no example"):
        trainer("", None).fit([])
    with pytest.raises(ConfigError, match="one first size"):
        trainer("", None).fit((TRAIN[0], TRAIN[1][:3]))
    with pytest.raises(ConfigError, match="expected a DataLoader"):
        trainer("", None).fit(3)
    with pytest.raises(ConfigError, match="monitor='val_f1' is not measured; there are"):
        trainer("", None, monitor="val_f1").fit(TRAIN)
    with pytest.raises(ConfigError, match="must have 'labels'"):
        Trainer(token_model(), CrossEntropy(), collate=PadCollate(), progress=False).fit([{"ids": [1, 2]}])
    with pytest.raises(ConfigError, match="or a dict with 'labels'"):
        Trainer(token_model(), CrossEntropy(), progress=False).fit([np.zeros(3)])
    with pytest.raises(ConfigError, match="give the Trainer a name"):
        trainer("", None).load_best()
    loader = make_loader(TRAIN, 8, shuffle=True)
    with pytest.raises(ConfigError, match="one loader"):
        trainer("", None).fit(loader, loader)
    model = network()
    with pytest.raises(ConfigError, match="yours has its own"):
        Trainer(model, CrossEntropy(), optim.SGD(model.parameters(), lr=1.0), lr=0.1)


def test_a_batch_without_labels_that_count_changes_nothing() -> None:
    model = token_model()
    before = weights(model)
    update = Stepper(model, TokenCrossEntropy(), optim.SGD(model.parameters(), lr=1.0), run_model, 1.0).update(
        [{"ids": tl.ones(1, 3).long(), "labels": tl.full((1, 3), -100)}]
    )
    assert (update.loss, update.grad_norm) == (0.0, 0.0)
    assert weights(model) == before


def test_schedulers_of_tensorlite_work_too() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    history = Trainer(model, CrossEntropy(), optimizer, schedule=schedule, batch_size=8, progress=False).fit(TRAIN)
    assert history.steps["lr"].tolist() == [0.1, 0.1, 0.05, 0.05]
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=10.0)
    history = Trainer(model, CrossEntropy(), optimizer, schedule=plateau, batch_size=8, progress=False).fit(
        TRAIN, epochs=3
    )
    assert history.steps["lr"][-1] < history.steps["lr"][0]


def test_the_rate_shown_is_that_of_the_rest() -> None:
    history = trainer("", None, lr=1e-2, rates={"0": 0.5}, schedule="linear").fit(TRAIN)  # the first layer's is its own
    np.testing.assert_allclose(history.steps["lr"], 1e-2 * np.array([1, 0.75, 0.5, 0.25]))


def test_noam_reads_the_width_of_the_model() -> None:
    model = Transformer(TransformerConfig(vocab_size=9, d_model=16, n_layers=1, n_heads=2), seed=0)
    ids = np.random.default_rng(0).integers(0, 9, (32, 5))
    t = Trainer(model, TokenCrossEntropy(), lr=0.5, schedule="noam", warmup=3, batch_size=8, progress=False)
    lr = t.fit((ids, ids), epochs=2).steps["lr"]
    s = np.arange(1, 9)
    np.testing.assert_allclose(lr, 0.5 * 16**-0.5 * np.minimum(s**-0.5, s * 3**-1.5))


def test_what_is_counted() -> None:
    assert size_of({"ids": tl.ones(2, 3).long(), "attention_mask": tl.tensor([[1, 1, 0], [1, 0, 0]])}) == (3, "tokens")
    assert size_of([tl.ones(2, 3).long(), tl.ones(2).long()]) == (6, "tokens")
    assert size_of([tl.ones(2, 3), tl.ones(2).long()]) == (2, "examples")


def test_callbacks_are_told_and_can_stop(tmp_path: Path) -> None:
    told: list[str] = []

    class Told(Callback):
        def on_fit_start(self, trainer: Trainer) -> None:
            told.append("start")

        def on_step_end(self, trainer: Trainer, numbers: dict) -> None:
            told.append(f"step {trainer.step}")
            assert set(numbers) == {"loss", "grad_norm", "lr"}
            if trainer.step == 5:
                trainer.stop("enough")

        def on_evaluate(self, trainer: Trainer, numbers: dict) -> None:
            told.append(f"epoch {trainer.epoch}")

        def on_fit_end(self, trainer: Trainer, history: object) -> None:
            told.append("end")

    t = trainer(tmp_path)
    t.callbacks.append(Told())
    assert t.fit(TRAIN, epochs=3).stopped == "enough"
    assert told == ["start", "step 1", "step 2", "step 3", "step 4", "epoch 1", "step 5", "end"]


def test_data_without_a_batch_and_a_wrong_monitor_are_refused_before_training() -> None:
    few = DataLoader(TensorDataset(*map(tl.from_numpy, classes(3))), 8, drop_last=True)

    class Nothing(IterableDataset):
        def __iter__(self) -> Any:
            return iter(())

    for data in (few, DataLoader(Nothing(), 8)):
        with pytest.raises(ConfigError, match="hold no batch"):
            trainer(".", None).fit(data)
    wrong = trainer(".", None, monitor="val_acuracy")
    with pytest.raises(ConfigError, match="there are loss, val_loss, val_accuracy"):
        wrong.fit(classes(30), classes(8))
    assert wrong.step == 0


def test_a_dry_run_leaves_the_scheduler_and_overfit_batch_has_the_full_rate() -> None:
    model = network(dropout=0)
    optimizer = optim.AdamW(model.parameters(), lr=0.02)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1, gamma=1e-9)
    t = Trainer(model, CrossEntropy(), optimizer, schedule=scheduler, progress=False)
    t.fit(classes(8), fast_dev_run=True)
    assert (scheduler.last_epoch, optimizer.param_groups[0]["lr"]) == (0, 0.02)
    t.fit(classes(8), epochs=2)
    assert optimizer.param_groups[0]["lr"] < 1e-9
    assert t.overfit_batch(classes(8), steps=400, below=0.05).passed
    assert optimizer.param_groups[0]["lr"] < 1e-9


def test_an_infinite_validation_loss_is_never_better_than_another() -> None:
    t = trainer(
        ".", None, metrics={"inf": lambda output, target: (math.inf, np.float32(1))}, monitor="val_inf", patience=2
    )
    assert "no better val_inf" in t.fit(classes(8), classes(8), epochs=9).stopped
    assert t.epoch == 3


def test_examples_that_cannot_be_one_batch_are_refused() -> None:
    with pytest.raises(ConfigError, match="the same entries, got ids and x"):
        PadCollate()([{"ids": [1, 2]}, {"x": [1]}])
    with pytest.raises(ConfigError, match="has a length, got int"):
        make_loader([{"x": 1}], 2, shuffle=False, by_length=True)
