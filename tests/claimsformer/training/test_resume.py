"""A run that is stopped and resumed is, bit for bit, the run that was not."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorlite as tl
from claimsformer.errors import CheckpointError, ConfigError, WriteError
from claimsformer.training import CrossEntropy, Trainer, checkpoints, journal, noam
from claimsformer.training.checkpoints import read, write
from claimsformer.training.progress import Quiet
from tensorlite.utils.data import DataLoader, IterableDataset, TensorDataset

from .samples import classes, network, same_history, trainer, weights

TRAIN, VAL = classes(30), classes(10, seed=5)


def rows(folder: Path) -> list[dict]:
    """The journal without what depends on the clock."""
    return [
        {k: v for k, v in row.items() if not k.endswith("_per_s")}
        for row in journal.read_metrics(folder / "metrics.jsonl")
    ]


@given(
    k=st.integers(1, 15),
    options=st.fixed_dictionaries(
        {
            "optimizer": st.sampled_from(["adamw", "adam", "sgd"]),
            "schedule": st.sampled_from(["constant", "cosine", "linear", noam(8, 3)]),
            "warmup": st.sampled_from([0, 3]),
            "accumulate": st.sampled_from([1, 2, 3]),
            "checkpoint_every": st.sampled_from([None, 2]),
            "evaluate_every": st.sampled_from([None, 3]),
            "by_length": st.booleans(),
            "log_every": st.just(1),
        }
    ),
)
@settings(max_examples=max(5, settings.default.max_examples // 6))  # each trains twice
def test_n_steps_equal_k_steps_and_the_rest(k: int, options: dict) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = trainer(folder, "whole", **options)
        expected = whole.fit(TRAIN, VAL, epochs=4)
        stopped = trainer(folder, "parts", k, **options)
        if k < whole.step:
            with pytest.raises(KeyboardInterrupt):
                stopped.fit(TRAIN, VAL, epochs=4)
            assert stopped.step == k
        resumed = trainer(folder, "parts", **options)
        found = resumed.fit(TRAIN, VAL, epochs=4, resume="auto")
        assert weights(resumed.model) == weights(whole.model)
        assert same_history(found, expected)
        assert rows(Path(folder, "parts")) == rows(Path(folder, "whole"))
        for name in ("last", "best"):
            a, b = (Path(folder, run, "checkpoints", f"{name}.safetensors") for run in ("whole", "parts"))
            if name == "last":
                assert {k: v for k, v in read(a).items() if k == "position"} == {
                    k: v for k, v in read(b).items() if k == "position"
                }
            else:
                assert a.read_bytes() == b.read_bytes()


class Stream(IterableDataset):
    """The training data as a stream, whose length nobody knows."""

    def __iter__(self) -> Any:
        return zip(tl.from_numpy(TRAIN[0]), tl.from_numpy(TRAIN[1]), strict=True)


@pytest.mark.parametrize("max_steps", [None, 6])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_run_resumes_from_every_checkpoint_that_it_ever_wrote(
    accumulate: int, stream: bool, max_steps: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from the one after the last update of an epoch, before its evaluation; 4 batches are no multiple of 3."""
    options = {"accumulate": accumulate, "checkpoint_every": 1, "evaluate_every": 2, "log_every": 1, "warmup": 3}

    def fit(name: str, resume: bool | None = None) -> tuple:
        data = DataLoader(Stream(), 8) if stream else TRAIN
        t = trainer(tmp_path, name, **options)
        return t.fit(data, VAL, epochs=4, max_steps=max_steps, resume=resume), weights(t.model)

    written: list[bytes] = []

    def keep(path: Path, value: Any) -> None:
        write(path, value)
        if path.name == "last.safetensors":
            written.append(path.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write", keep)
        history, expected = fit("whole")
    assert len(written) > len(history["step"])
    for i, content in enumerate(written):
        shutil.copytree(tmp_path / "whole", tmp_path / f"{i}")
        (tmp_path / f"{i}" / "checkpoints" / "last.safetensors").write_bytes(content)
        resumed, found = fit(f"{i}", resume=True)
        assert found == expected
        assert same_history(resumed, history)
        assert rows(tmp_path / f"{i}") == rows(tmp_path / "whole")


def test_the_call_that_ctrl_c_prints_is_the_one_that_resumes(tmp_path: Path) -> None:
    said: list[str] = []

    class Ears(Quiet):
        def say(self, text: str) -> None:
            said.append(text)

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, "run", 3, progress=Ears()).fit(TRAIN, epochs=9, max_steps=20)
    assert said[-1].endswith('resume with: trainer.fit(train, epochs=9, max_steps=20, resume="auto")')


def test_a_run_is_known_by_any_path_to_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer("runs").fit(TRAIN, epochs=1)
    resumed = trainer("runs")
    resumed.fit(TRAIN, epochs=2, resume=tmp_path / "runs" / "run" / "checkpoints" / "last.safetensors")
    assert resumed.step == 8


def test_data_that_draw_from_global_generators_resume_too(tmp_path: Path) -> None:
    class Noisy:
        def __len__(self) -> int:
            return 24

        def __getitem__(self, i: int) -> tuple:
            noise = np.random.normal(size=4) + random.random()  # noqa: NPY002
            return (TRAIN[0][i] + noise).astype(np.float32), TRAIN[1][i]

    def start() -> None:
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)

    start()
    whole = trainer(tmp_path, "whole")
    whole.fit(Noisy(), epochs=3)
    start()
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, "parts", 4).fit(Noisy(), epochs=3)
    np.random.seed(99)  # noqa: NPY002
    resumed = trainer(tmp_path, "parts")
    resumed.fit(Noisy(), epochs=3, resume=True)
    assert weights(resumed.model) == weights(whole.model)


def test_the_same_seed_gives_the_same_bytes_and_leaves_the_global_state(tmp_path: Path) -> None:
    found = []
    for seed in (0, 0, 1):
        state = tl.get_rng_state().numpy().tobytes()
        t = trainer(tmp_path, None, seed=seed)
        t.fit(TRAIN, VAL, epochs=2)
        assert tl.get_rng_state().numpy().tobytes() == state
        found.append(weights(t.model))
        tl.rand(3)
    assert found[0] == found[1] != found[2]


def test_evaluation_does_not_change_the_run(tmp_path: Path) -> None:
    """Even one that draws from the random numbers of which dropout takes the next ones."""
    shuffled = DataLoader(TensorDataset(*map(tl.from_numpy, VAL)), 4, shuffle=True)
    found = []
    for val in (None, VAL, shuffled):
        t = trainer(tmp_path, None, evaluate_every=1)
        t.fit(TRAIN, val, epochs=2)
        found.append(weights(t.model))
    assert found[0] == found[1] == found[2]


def test_a_finished_run_can_go_on_for_more_epochs(tmp_path: Path) -> None:
    whole = trainer(tmp_path, "whole")
    whole.fit(TRAIN, epochs=4)
    trainer(tmp_path, "parts").fit(TRAIN, epochs=2)
    longer = trainer(tmp_path, "parts")
    history = longer.fit(TRAIN, epochs=4, resume="auto")
    assert weights(longer.model) == weights(whole.model)
    assert list(history["epoch"]) == [1, 2, 3, 4]
    again = trainer(tmp_path, "parts")
    assert same_history(again.fit(TRAIN, epochs=4, resume=True), history)


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, k=3).fit(TRAIN, epochs=3)
    return tmp_path / "run"


def unchanged(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_is_not_overwritten(saved: Path) -> None:
    before = unchanged(saved)
    with pytest.raises(CheckpointError, match="already holds a run"):
        trainer(saved.parent).fit(TRAIN, epochs=3)
    assert unchanged(saved) == before


def test_a_checkpoint_of_another_shape(saved: Path) -> None:
    before, model = unchanged(saved), network(width=9)
    own = weights(model)
    with pytest.raises(
        CheckpointError, match=r"0\.weight is \(8, 4\) in the file and \(9, 4\) in the model \(and \d+ more"
    ):
        trainer(saved.parent, model=model).fit(TRAIN, epochs=3, resume="auto")
    assert weights(model) == own
    assert unchanged(saved) == before


def test_a_checkpoint_of_another_optimizer_or_other_data(saved: Path) -> None:
    before = unchanged(saved)
    with pytest.raises(CheckpointError, match="made with AdamW, this trainer has SGD"):
        trainer(saved.parent, optimizer="sgd").fit(TRAIN, epochs=3, resume="auto")
    with pytest.raises(CheckpointError, match="4 batches; these data make 3"):
        trainer(saved.parent).fit(classes(20), epochs=3, resume="auto")
    assert unchanged(saved) == before


@pytest.mark.parametrize("keep", [0, 7, 400, -1])
def test_a_truncated_checkpoint(saved: Path, keep: int) -> None:
    path = saved / "checkpoints" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    before, t = unchanged(saved), trainer(saved.parent)
    own = weights(t.model)
    with pytest.raises(CheckpointError, match=r"cannot be read|is not a checkpoint"):
        t.fit(TRAIN, epochs=3, resume="auto")
    assert weights(t.model) == own
    assert unchanged(saved) == before


def test_something_else_is_not_a_checkpoint(saved: Path, tmp_path: Path) -> None:
    tl.save({"weights": tl.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not a checkpoint of a training run"):
        trainer(tmp_path, None).fit(TRAIN, resume=tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        trainer(tmp_path, "new").fit(TRAIN, resume=True)
    with pytest.raises(ConfigError, match="give the Trainer a name"):
        trainer(tmp_path, None).fit(TRAIN, resume="auto")


@pytest.mark.parametrize("checkpoint_every", [1, None])
def test_a_full_disk(saved: Path, monkeypatch: pytest.MonkeyPatch, checkpoint_every: int | None) -> None:
    """Writing fails after some bytes, as it does when the disk is full: of the last checkpoint, or of the best."""
    before = unchanged(saved / "checkpoints")
    real = os.fsync

    def full(handle: int) -> None:
        if os.fstat(handle).st_size > 1000:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    t = trainer(saved.parent, checkpoint_every=checkpoint_every)
    with pytest.raises(WriteError, match=r"cannot write the checkpoint .*No space left on device"):
        t.fit(TRAIN, epochs=3, resume="auto")
    monkeypatch.undo()
    assert unchanged(saved / "checkpoints") == before
    resumed, whole = trainer(saved.parent), trainer(saved.parent, "whole")
    whole.fit(TRAIN, epochs=3)
    resumed.fit(TRAIN, epochs=3, resume="auto")
    assert weights(resumed.model) == weights(whole.model)


def test_a_read_only_folder() -> None:
    """As the user `nobody` where the tests run as root, whom permissions do not bind."""
    with tempfile.TemporaryDirectory() as folder:
        trainer(folder, None, progress=False).fit(TRAIN, VAL, fast_dev_run=True)  # everything is imported now
        os.chmod(folder, 0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            with pytest.raises(WriteError, match="Permission denied"):
                trainer(folder).fit(TRAIN, epochs=1)
        finally:
            if root:
                os.seteuid(0)
            os.chmod(folder, 0o755)
        assert list(Path(folder).iterdir()) == []


SCRIPT = """
import sys
import numpy as np
from tests.claimsformer.training.samples import classes, trainer
from claimsformer.training import Callback

class Print(Callback):
    def on_step_end(self, trainer, numbers):
        print(trainer.step, flush=True)

t = trainer(sys.argv[1], checkpoint_every=1, evaluate_every=5, schedule="cosine")
t.callbacks.append(Print())
t.fit(classes(30), classes(10, seed=5), epochs=int(sys.argv[2]), resume="auto")
np.savez(sys.argv[3], *[p.detach().numpy() for p in t.model.parameters()])
"""


def killed_runs(folder: Path, kills: int, epochs: int) -> None:
    """Start the run again and again, each time kill it after a few updates, and at last let it end."""
    rng = random.Random(7)
    root = Path(__file__).parents[3]

    def start(name: str) -> subprocess.Popen:
        command = [sys.executable, "-c", SCRIPT, str(folder / name), str(epochs), str(folder / f"{name}.npz")]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, env=environment)

    furthest = 0
    for _ in range(kills):
        with start("killed") as process:
            for _ in range(rng.randint(1, 6)):
                line = process.stdout.readline()
                furthest = int(line or furthest)
            process.send_signal(signal.SIGKILL)
        assert process.returncode in (-signal.SIGKILL, 0)
    for name in ("killed", "whole"):
        with start(name) as process:
            process.communicate()
        assert process.returncode == 0
    assert furthest > 0
    with np.load(folder / "killed.npz") as a, np.load(folder / "whole.npz") as b:
        assert all(np.array_equal(a[k], b[k]) for k in b.files)
    assert rows(folder / "killed" / "run") == rows(folder / "whole" / "run")


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    killed_runs(tmp_path, kills=2, epochs=4)


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path) -> None:
    killed_runs(tmp_path, kills=20, epochs=30)


def test_lines_written_after_the_checkpoint_are_dropped(saved: Path) -> None:
    """A run killed between two checkpoints has written more lines than the checkpoint knows, the last one cut off."""
    with (saved / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "update", "step": 4, "loss": 1.0}\n{"kind": "evaluation", "step": 3}\n{"kind": "upd')
    resumed, whole = trainer(saved.parent, log_every=1), trainer(saved.parent, "whole")
    resumed.fit(TRAIN, epochs=3, resume="auto")
    whole.fit(TRAIN, epochs=3)
    kept = [(row["kind"], row["step"]) for row in rows(saved)]
    steps = [("update", step) for step in range(4, 13)]
    expected = sorted(
        [*steps, *(("evaluation", step) for step in (4, 8, 12))], key=lambda r: (r[1], r[0] == "evaluation")
    )
    assert kept == expected
    assert [r for r in rows(saved) if r["kind"] == "evaluation"] == [
        r for r in rows(saved.parent / "whole") if r["kind"] == "evaluation"
    ]


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    journal.Journal(tmp_path / "run").start({"model": "…"})
    t = trainer(tmp_path)
    t.fit(TRAIN, resume="auto")
    assert t.step == 4


def test_a_second_ctrl_c_ends_at_once_and_the_handlers_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    t = trainer(tmp_path, k=2)
    with pytest.raises(KeyboardInterrupt):
        t.fit(TRAIN, epochs=2)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_saves_and_exits(tmp_path: Path) -> None:
    t = trainer(tmp_path)
    t.callbacks[0].on_step_end = lambda trainer, numbers: os.kill(os.getpid(), signal.SIGTERM)  # type: ignore[method-assign]
    with pytest.raises(SystemExit) as found:
        t.fit(TRAIN, epochs=2)
    assert found.value.code == 128 + signal.SIGTERM
    assert read(tmp_path / "run" / "checkpoints" / "last.safetensors")["position"]["step"] == 1


def test_what_ctrl_c_prints(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, k=2, progress=True).fit(TRAIN, epochs=7)
    assert 'resume with: trainer.fit(train, epochs=7, resume="auto")' in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, "b", k=2, progress=True, resume_call="claims train --resume").fit(TRAIN)
    assert "resume with: claims train --resume" in capsys.readouterr().out


def test_the_trainer_is_what_it_says() -> None:
    with pytest.raises(ConfigError, match="optimizer must be one of"):
        Trainer(network(), CrossEntropy(), "adamax")
