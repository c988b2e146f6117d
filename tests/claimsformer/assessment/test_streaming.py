"""A file assessed in parts is assessed as in one piece, and a run that is stopped, however often, ends as one that is not."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from claimsformer.assessment import Assessment, ClaimsProcessor, Directory
from claimsformer.assessment import streaming_store as store
from claimsformer.assessment.streaming import StreamSettings, assess_stream, full_model_share
from claimsformer.assessment.streaming_screen import SHOWN, screen_answers
from claimsformer.assessment.streaming_store import WorkFolder
from claimsformer.claims.generator import generate
from claimsformer.claims.writers import write_claims
from claimsformer.cli.common import PRETRAINED
from claimsformer.errors import ReadError

N = 600


@pytest.fixture(scope="module")
def processor() -> ClaimsProcessor:
    return ClaimsProcessor.load(PRETRAINED)


def crowded(claims: pl.DataFrame) -> pl.DataFrame:
    """The same with forty visits of forty members to one provider on one day, which therefore has more than 24 hours."""
    visits = claims.filter((pl.col("claim_type") == "professional") & (pl.col("lines").list.len() > 0))
    chosen = visits.unique("member_id", maintain_order=True)["claim_id"][:40].implode()
    here, day = pl.col("claim_id").is_in(chosen), visits["service_from"].max()
    undated = pl.element().struct.with_fields(
        service_from=pl.lit(None, pl.Date), service_thru=pl.lit(None, pl.Date), units=pl.lit(4.0)
    )
    crowd = {
        "billing_provider_id": pl.lit(visits["billing_provider_id"][0]),
        "service_from": pl.lit(day), "service_thru": pl.lit(day), "submitted_date": pl.lit(day),
        "lines": pl.col("lines").list.eval(undated),
    }  # fmt: skip
    return claims.with_columns(pl.when(here).then(to).otherwise(name).alias(name) for name, to in crowd.items())


class Example:
    """A file of generated claims and what is known about those who take part."""

    def __init__(self, folder: Path, n: int, seed: int) -> None:
        made = next(generate(n, seed, n, rate=0.01))
        self.claims, self.truth = crowded(made.claims), made.truth
        self.directory = Directory(made.providers, made.members)
        self.path = folder / f"claims{seed}.parquet"
        write_claims(self.claims, self.path)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return Example(tmp_path_factory.mktemp("streaming"), N, 9)


def check_alike(found: list[Assessment], expected: list[Assessment]) -> None:
    """The same verdicts for the same reasons; the size of a batch moves the last digits of what the model says."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        for name in ("claim_id", "decision", "action", "abstained", "claim_digest", "model_version", "amount_at_risk"):
            assert getattr(a, name) == getattr(b, name)
        assert [(r.id, r.field, r.hint) for r in a.reasons] == [(r.id, r.field, r.hint) for r in b.reasons]
        edits = [[dataclasses.astuple(r) for r in x.reasons if r.source == "edit"] for x in (a, b)]
        assert edits[0] == edits[1]
        assert a.p_value == pytest.approx(b.p_value, abs=0.003)
        assert a.surprises == pytest.approx(b.surprises, abs=0.01)
        assert [s.summary for s in a.similar] == [s.summary for s in b.similar]


def test_in_parts_as_in_one_piece(processor: ClaimsProcessor, example: Example, tmp_path: Path) -> None:
    whole = processor.assess(example.claims, directory=example.directory)
    parts = assess_stream(
        processor, example.path, tmp_path / "work", directory=example.directory, settings=StreamSettings(part_size=125)
    )
    assert len(list((tmp_path / "work" / "assessed").iterdir())) == 5
    found = parts.all()
    assert [row for row, _ in found] == list(range(1, len(whole) + 1))
    check_alike([a for _, a in found], whole)
    fired = {reason.id.split()[0] for _, a in found for reason in a.reasons if reason.source == "edit"}
    assert {"DUPLICATE", "NEAR-DUPLICATE", "IMPOSSIBLE-DAY"} <= fired  # what lives across claims, so across parts


def test_history_counts_as_in_one_piece(processor: ClaimsProcessor, example: Example, tmp_path: Path) -> None:
    earlier, later = example.claims[::2], example.claims[1::2]
    for name, frame in (("earlier", earlier), ("later", later)):
        write_claims(frame, tmp_path / f"{name}.parquet")
    whole = processor.assess(later, history=earlier, directory=example.directory, explain="none")
    parts = assess_stream(
        processor, tmp_path / "later.parquet", tmp_path / "work", history=tmp_path / "earlier.parquet",
        directory=example.directory, settings=StreamSettings(part_size=100, explain="none"),
    )  # fmt: skip
    check_alike([a for _, a in parts.all()], whole)


def test_the_full_model_reads_what_the_screen_ranks_first(
    processor: ClaimsProcessor, example: Example, tmp_path: Path
) -> None:
    settings = StreamSettings(full_model=100, part_size=125)
    found = assess_stream(processor, example.path, tmp_path / "work", settings=settings)
    table = pl.concat(found.batches(500))
    assert table["row"].to_list() == list(range(1, N + 1))
    read = table.filter("full_model")
    assert read.height == found.summary()["full_model"] == 100
    assert read["screen"].min() >= table.filter(~pl.col("full_model"))["screen"].max()  # type: ignore[operator]
    others = [a for (_, a), whole in zip(found.all(), table["full_model"], strict=True) if not whole]
    assert all(reason.source == "edit" for a in others for reason in a.reasons)
    planted = set(example.truth["claim_id"])
    caught = {a.claim_id for a in others if a.decision == "suspicious"}
    assert len(caught & planted) > 0.9 * len(caught)  # what the edits find needs no model


def test_how_many_claims_the_full_model_reads() -> None:
    sizes = [1, 20_000, 100_000, 1_000_000, 6_000_000]
    assert [full_model_share(n) for n in sizes] == [1, 20_000, 20_000, 50_000, 200_000]


def test_the_screen_hides_at_once_what_the_model_scores_one_by_one(
    processor: ClaimsProcessor, example: Example
) -> None:
    batch = processor.encode(example.claims[:300])
    found = screen_answers(processor.reader, batch, batch_size=64)
    again = screen_answers(processor.reader, batch, batch_size=301)
    np.testing.assert_allclose(found.values, again.values, atol=1e-4)
    questions = processor.reader.reading.questions
    assert found.fields == tuple(question.name for question in questions)
    for k, question in enumerate(questions):
        there = batch.mask & (batch.field_ids == processor.tokenizer.field_id(question.field))
        if question.ranks:
            there &= np.isin(batch.position_ids, question.ranks)
        asked = there.any(axis=1) & (question.field not in SHOWN)
        np.testing.assert_array_equal(~np.isnan(found.values[:, k]), asked)


def test_the_screen_sees_a_tenfold_price(processor: ClaimsProcessor, example: Example) -> None:
    clean = example.claims.filter(
        ~pl.col("claim_id").is_in(example.truth["claim_id"].implode()) & (pl.col("claim_type") == "professional")
    )[-80:]
    dear = clean.with_columns(
        lines=pl.col("lines").list.eval(
            pl.element().struct.with_fields((pl.field("charge_amount") * 10).cast(pl.Decimal(18, 2)))
        )
    )
    ordinary, raised = processor.screen(clean), processor.screen(dear)
    assert (raised > ordinary).mean() > 0.9
    assert (raised > np.quantile(ordinary, 0.95)).mean() > 0.6


# Interruptions --------------------------------------------------------------------------------------------------------


class Stopped(KeyboardInterrupt):
    """Ctrl-C, at a moment that the test chooses."""


def write(processor: ClaimsProcessor, path: Path, work: Path, out: Path, rejects: Path) -> dict[str, Any]:
    settings = StreamSettings(full_model=60, part_size=100, explain="none")
    found = assess_stream(processor, path, work, rejects=rejects, settings=settings)
    found.write(out)
    return found.summary()


@pytest.fixture
def damaged_csv(example: Example, tmp_path: Path) -> Path:
    """Claims as CSV with rows that are refused."""
    path = tmp_path / "claims.csv"
    write_claims(example.claims[:300], path)
    lines = path.read_text().splitlines()
    for k in (5, 90, 200, 251):
        lines[k] = lines[k][:40]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_stopped_at_any_part_it_ends_the_same(
    processor: ClaimsProcessor, damaged_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = write(processor, damaged_csv, tmp_path / "w", tmp_path / "a.ndjson", tmp_path / "a.csv")
    assert expected["read"] == expected["accepted"] + expected["rejected"]
    assert expected["rejected"] > 0
    replace, left = os.replace, [0]

    def stopping(source: Any, target: Any) -> None:
        """Before the part is there, or just after."""
        left[0] -= 1
        if left[0] == 0:
            raise Stopped
        replace(source, target)
        if left[0] == 1:
            raise Stopped

    monkeypatch.setattr(store.os, "replace", stopping)
    stops = 0
    for _ in range(100):
        left[0] = 2 + stops % 3
        try:
            found = write(processor, damaged_csv, tmp_path / "again", tmp_path / "b.ndjson", tmp_path / "b.csv")
            break
        except Stopped:
            stops += 1
    assert stops > 5
    assert found == expected
    assert (tmp_path / "b.ndjson").read_bytes() == (tmp_path / "a.ndjson").read_bytes()
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


# The work folder ------------------------------------------------------------------------------------------------------


def test_parts_of_another_run_are_refused(processor: ClaimsProcessor, example: Example, tmp_path: Path) -> None:
    settings = StreamSettings(full_model=0, part_size=300)
    assess_stream(processor, example.path, tmp_path / "work", settings=settings)
    other = tmp_path / "other.parquet"
    write_claims(example.claims[:100], other)
    with pytest.raises(ReadError, match="differs in: claims"):
        assess_stream(processor, other, tmp_path / "work", settings=settings)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with WorkFolder(tmp_path, {}), pytest.raises(ReadError, match="another process"):
        WorkFolder(tmp_path, {}).__enter__()
    with WorkFolder(tmp_path, {}):
        pass


def test_a_folder_with_other_things_in_it_is_left_alone(example: Example, tmp_path: Path) -> None:
    from claimsformer.cli import main

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    with pytest.raises(SystemExit) as stop:
        main(["assess", str(example.path), "--full-model", "0", "--json", "--work", str(tmp_path / "mine")])
    assert stop.value.code == 1
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_part_is_whole_or_not_there(tmp_path: Path) -> None:
    with WorkFolder(tmp_path, {}) as folder:
        writing = folder._replacing(tmp_path / "part.parquet")
        writing.__enter__().write_bytes(b"half of it")
        assert not folder.has("part.parquet")
    with WorkFolder(tmp_path, {}) as folder:
        assert not list(tmp_path.glob("*.tmp"))


# The command ----------------------------------------------------------------------------------------------------------


def test_of_a_large_file_the_command_shows_what_is_worth_most(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from claimsformer.assessment import streaming
    from claimsformer.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(streaming, "SMALL", 50)  # as if its claims were too many to list

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(["assess", str(example.path), "--full-model", "40", "--show", "5", *arguments])
        assert not stop.value.code
        return capsys.readouterr().out

    found = json.loads(run("--json", "--report", "report.html", "--out", "verdicts.parquet"))
    listed = found["assessments"]
    assert len(listed) == 5
    assert all(a["decision"] == "suspicious" for a in listed)
    worth = [a["expected_value"] for a in listed]
    assert worth == sorted(worth, reverse=True)
    verdicts = pl.read_parquet(tmp_path / "verdicts.parquet")
    assert verdicts.height == found["accepted"] == N
    assert worth[0] == verdicts.filter(decision="suspicious")["expected_value"].max()
    assert f"of {found['suspicious']:,} suspicious claims" in (tmp_path / "report.html").read_text()
    assert "the full model read 40 claims" in run()
