"""Every command: help with an example, JSON, exit codes, and errors that end with what to type next."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from claimsformer.cli import main
from claimsformer.cli.group import COMMANDS


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Result(int(stop.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("claims")
    paths = {name: folder / f"{name}.parquet" for name in ("claims", "providers", "members")}
    paths["truth"] = folder / "truth.csv"
    with pytest.raises(SystemExit) as stop:
        main(["generate", "350", "--seed", "3", "--rate", "0.01", "--out", str(paths["claims"]),
              "--truth", str(paths["truth"]), "--providers", str(paths["providers"]),
              "--members", str(paths["members"])])  # fmt: skip
    assert not stop.value.code
    return paths


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.code == 0
    assert f"claimsformer {name}" in result.out.split("Example", 1)[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_prints_json(run: Run, name: str) -> None:
    assert "--json" in run(name, "--help").out


def test_help_of_the_group_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom claimsformer.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('polars', 'numpy', 'pydantic', 'rich', 'tensorlite') if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stderr.strip().endswith("[]")
    assert all(name in result.stdout for name in COMMANDS)


def test_python_m_claimsformer_works() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "claimsformer", "--version"], capture_output=True, text=True, check=False
    )
    assert "claimsformer" in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("trian",), 2),
        (("assess",), 2),
        (("assess", "missing.csv"), 2),
        (("assess", "--text", "a fine day"), 1),
        (("train", "--out", "m"), 2),
        (("generate", "0", "--out", "x.csv"), 2),
        (("generate", "10", "--out", "x.unknown"), 1),
        (("demo", "--model", "."), 1),
        (("deidentify", "missing.csv", "--out", "x.csv"), 2),
    ],
)
def test_errors_end_with_what_to_type_next(run: Run, arguments: tuple[str, ...], code: int) -> None:
    result = run(*arguments)
    assert result.code == code
    assert result.err.startswith("Error: ")
    assert "Traceback" not in result.err
    last = result.err.strip().splitlines()[-1]
    assert "claimsformer " in last


def test_demo_shows_decisions_writes_a_report_and_says_the_same_twice(run: Run, tmp_path: Path) -> None:
    from claimsformer.assessment.bundle import load_demo_claims
    from claimsformer.cli.common import PRETRAINED

    first, second = run("demo"), run("demo")
    assert first.code == 0
    assert first.out == second.out
    assert "suspicious" in first.out
    assert "CO-" in first.out
    page = (tmp_path / "claimsformer_demo.html").read_text()
    assert "<svg" in page
    assert "prefers-color-scheme" in page
    for outside in ("http://", "https://", "<script", "<link", "url("):
        assert outside not in page.replace("http://www.w3.org", "").replace("url(#", "")
    frame = load_demo_claims(PRETRAINED)[0]
    for name in ("member_id", "claim_id"):
        assert not any(value in text for value in frame[name].unique() for text in (first.out, page))


def test_assess_a_file(run: Run, claims: dict[str, Path], tmp_path: Path) -> None:
    directory = ("--providers", claims["providers"], "--members", claims["members"])
    result = run("assess", claims["claims"], "--json", "--out", "verdicts.ndjson", "--with-ids", *directory)
    found = json.loads(result.out)
    assert result.code == 0
    assert found["read"] == found["accepted"] + found["rejected"] == len(found["assessments"])
    assert found["suspicious"] == sum(a["decision"] == "suspicious" for a in found["assessments"])
    verdicts = [json.loads(line) for line in (tmp_path / "verdicts.ndjson").read_text().splitlines()]
    ids = pl.read_parquet(claims["claims"])["claim_id"].to_list()
    assert [v["claim_id"] for v in verdicts] == ids
    planted = set(pl.read_csv(claims["truth"])["claim_id"])
    suspicious = {v["claim_id"] for v in verdicts if v["decision"] == "suspicious"}
    assert len(planted & suspicious) > 0.8 * len(planted)


def test_assess_without_ids_shows_none(run: Run, claims: dict[str, Path]) -> None:
    frame = pl.read_parquet(claims["claims"])
    text = run("assess", claims["claims"]).out + run("assess", claims["claims"], "--json").out
    for name in ("member_id", "claim_id"):
        assert not any(value in text for value in frame[name].unique())


def test_an_export_of_ones_own(run: Run, tmp_path: Path) -> None:
    """What is printed names the reasons of refusals, the files written, and a next command that works."""
    rows = "".join(f"{k};P{k};03.04.2024;X1003;{price}\n" for k, price in enumerate(("98,00", "1.234,50 $", "5 €")))
    (tmp_path / "own export.csv").write_text("No;Who;On;What;Price\n" + rows)
    columns = {"claim_id": "No", "member_id": "Who", "service_from": "On", "service_thru": "On"}
    columns |= {"line_procedure_code": "What", "line_charge_amount": "Price"}
    mapping = {
        "columns": columns,
        "constants": {"claim_type": "professional", "code_system": "icd10"},
        "day_first": True,
    }
    (tmp_path / "own.json").write_text(json.dumps(mapping))
    assert "--mapping FILE" in run("assess", "own export.csv").err
    nothing = run("assess", "own export.csv", "--mapping", "own.json")
    assert nothing.code == 1
    assert "2 rows: line_charge_amount: is not an amount in US dollars (a decimal comma? " in nothing.err
    assert "1 row: line_charge_amount: is not an amount in US dollars\n" in nothing.err
    assert nothing.err.splitlines()[-1].endswith(
        "claimsformer assess 'own export.csv' --mapping own.json --rejects rejects.csv"
    )
    (tmp_path / "own.json").write_text(json.dumps(mapping | {"decimal_comma": True}))
    files = ("--rejects", "no.csv", "--report", "page.html", "--out", "all.ndjson")
    said = run("assess", "own export.csv", "--mapping", "own.json", *files).out
    assert all(name in said for name in ("no.csv", "page.html", "all.ndjson", "1 row: line_charge_amount"))
    asked = [json.loads(line)["amount_at_risk"] for line in (tmp_path / "all.ndjson").read_text().splitlines()]
    assert asked[0] == 98.0  # the claim names no total, its line does
    command = shlex.split(said.splitlines()[-1].split(": ", 1)[1])
    assert run(*command[1:]).code == 0


def test_verdicts_go_to_a_file_of_their_format_in_a_folder_that_exists(run: Run, claims: dict[str, Path]) -> None:
    wrong = run("assess", claims["claims"], "--out", "verdicts.csv")
    assert (wrong.code, ".ndjson" in wrong.err) == (2, True)
    missing = run("generate", 20, "--out", "gone/claims.csv")
    assert (missing.code, "'gone'" in missing.err) == (1, True)


@pytest.mark.parametrize("option", ["--labels", "--providers", "--members"])
def test_a_table_beside_the_claims_that_cannot_be_read_is_an_error_in_words(
    run: Run, claims: dict[str, Path], tmp_path: Path, option: str
) -> None:
    (tmp_path / "empty").touch()
    found = run("train", claims["claims"], option, "empty", "--out", "m")
    assert (found.code, found.err.splitlines()[0].startswith("Error: 'empty' is not a sound")) == (1, True)


def test_claims_that_cannot_be_written_leave_no_half_of_a_file(run: Run, tmp_path: Path) -> None:
    assert run("generate", 30, "--out", "claims.837").code == 1  # some are pharmacies', which have no 837
    assert not (tmp_path / "claims.837").exists()


def test_fail_on_review(run: Run, claims: dict[str, Path]) -> None:
    assert run("assess", claims["claims"], "--fail-on-review").code == 3
    assert run("assess", "--text", "Diabetes patient, Metformin 500mg, $150", "--fail-on-review").code == 0


def test_explain_a_row(run: Run, claims: dict[str, Path]) -> None:
    assert json.loads(run("explain", claims["claims"], "5", "--json").out)["row"] == 5
    assert "surprise by field" in run("explain", claims["claims"], "5").out
    assert run("explain", claims["claims"], "5000").code == 2


def test_what_is_piped_has_no_trailing_blanks_and_continues_under_its_text(run: Run, claims: dict[str, Path]) -> None:
    lines = run("assess", claims["claims"]).out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    reason = next(k for k, line in enumerate(lines) if line.startswith("  CO-"))
    end = next(k for k, line in enumerate(lines) if line.startswith("  surprise by field"))
    assert end > reason + 1
    assert all(line.startswith(("  CO-", " " * 15)) for line in lines[reason:end])


def test_text(run: Run) -> None:
    ordinary = json.loads(run("assess", "--text", "Diabetes patient, Metformin 500mg, $150", "--json").out)
    dear = json.loads(run("assess", "--text", "Diabetes patient, Metformin 500mg, $5,000", "--json").out)
    assert (ordinary["decision"], dear["decision"]) == ("valid", "suspicious")
    assert dear["reasons"][0]["field"] == "charge_amount"


def test_train_assess_and_evaluate_an_own_history(run: Run, claims: dict[str, Path]) -> None:
    options = ("--epochs", "1", "--d-model", "16")
    trained = json.loads(run("train", claims["claims"], "--out", "m", "--json", *options).out)
    assert not trained["labels"]
    assert json.loads(run("assess", claims["claims"], "--model", "m", "--json").out)["calibrated"] is False
    assert run("evaluate", claims["claims"], "--history", claims["claims"], "--truth", claims["truth"]).code == 1


def test_evaluate_own_claims_with_the_truth_that_generate_writes(
    run: Run, claims: dict[str, Path], tmp_path: Path
) -> None:
    """Alike whether fields and scopes are listed or not; a list of numbers alone does too."""
    frame = pl.read_parquet(claims["claims"])
    renamed = [pl.concat_str(pl.lit("E"), name).alias(name) for name in ("claim_id", "member_id")]
    frame.with_columns(renamed).write_parquet("earlier.parquet")
    arguments = ("evaluate", claims["claims"], "--history", "earlier.parquet", "--bootstrap", 20, "--json", "--truth")
    found = json.loads(run(*arguments, claims["truth"], "--report", "page.html").out)
    assert found["n_claims"] == frame.height
    assert 0 < found["localisation"]["claimsformer"] <= 1
    page = (tmp_path / "page.html").read_text()
    assert "Left out: nothing is known" not in page
    assert not any(value in page for name in ("member_id", "claim_id") for value in frame[name].unique())
    listed = pl.read_csv(claims["truth"], infer_schema=False)
    listed.select("claim_id").write_csv("numbers.csv")
    again = json.loads(run(*arguments, "numbers.csv").out)
    assert again["methods"] == found["methods"]
    assert list(again["types"]) == ["anomaly"]
    listed.rename({"claim_id": "number"}).write_csv("wrong.csv")
    refused = run(*arguments, "wrong.csv")
    assert refused.code == 1
    assert "claim_id" in refused.err
    assert run("evaluate", "--synpuf", "--report", "page.html").code == 2
    assert run("evaluate", "--truth", "numbers.csv").code == 2


def test_deidentify(run: Run, claims: dict[str, Path], tmp_path: Path) -> None:
    result = run("deidentify", claims["claims"], "--out", "released.parquet", "--json")
    assert result.code == 0
    before, after = pl.read_parquet(claims["claims"]), pl.read_parquet(tmp_path / "released.parquet")
    assert json.loads(result.out)["claims"] == before.height
    assert not set(before["member_id"]) & set(after["member_id"])
    refused = run("deidentify", claims["claims"], "--out", "x.parquet", "--mode", "shifted")
    assert refused.code == 2
    assert "--key-file" in refused.err.splitlines()[-1]


def test_doctor(run: Run) -> None:
    result = run("doctor", "--json")
    assert result.code == 0
    assert all(item["ok"] for item in json.loads(result.out))
