"""A file of claims larger than memory, assessed: read once, edits and a one-pass screen over all claims, the full model
over those that the screen ranks first.

Four stages, each a row of parts in a work folder (`streaming_store`): *read* puts the claims into buckets by member;
*screen* runs edits and screen on a bucket; *assess* gives the verdicts of a bucket; *write* puts them into the order of
the file. A part that exists is never made again, so a run that was interrupted, however, goes on where it was, and ends
with the same bytes as one that was not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import polars as pl
from polars.io.plugins import register_io_source

from claimsformer.assessment.decision import Assessment, Reason, SimilarClaim
from claimsformer.assessment.edits import Directory
from claimsformer.assessment.processor import ClaimsProcessor
from claimsformer.assessment.streaming_buckets import ASSESSED, CHOSEN, LONG_DAYS, SCREENED, VERDICT_SCHEMA, Buckets
from claimsformer.assessment.streaming_spill import ROW, at_most_claims, long_days
from claimsformer.assessment.streaming_store import WorkFolder, fingerprint
from claimsformer.assessment.streaming_workers import Workers
from claimsformer.claims.frames import claims_schema, conform
from claimsformer.claims.readers import read_claims
from claimsformer.errors import ConfigError

__all__ = ["StreamSettings", "StreamedVerdicts", "assess_stream", "full_model_share"]

Tell = Callable[[str, float], None]
SMALL: Final = 20_000  # up to so many claims the full model reads all
MOST: Final = 200_000  # and never more than so many by default
# How much of the whole each stage takes, for progress.
_STAGES: Final = {"read": (0.0, 0.15), "screen": (0.15, 0.55), "assess": (0.55, 0.95), "write": (0.95, 1.0)}


@dataclass(frozen=True)
class StreamSettings:
    """`full_model`: most claims for the full model, None for `full_model_share` of the file. `part_size`: claims held in
    memory at once, about, by each worker. `explain`: which claims of the full model get expected values and similar claims.
    `workers`: processes that screen and assess; the verdicts are the same with any number, and a run may go on with another."""

    full_model: int | None = None
    part_size: int = 50_000
    explain: str = "suspicious"
    workers: int = 1

    def __post_init__(self) -> None:
        if self.part_size < 1:
            raise ConfigError(f"part_size must be at least 1, got {self.part_size}")
        if self.full_model is not None and self.full_model < 0:
            raise ConfigError(f"full_model must not be negative, got {self.full_model}")
        if self.workers < 1:
            raise ConfigError(f"workers must be at least 1, got {self.workers}")


def full_model_share(n_claims: int) -> int:
    """How many claims the full model reads by default: all of a small file, 5 % of a large one, at most 200,000."""
    return min(n_claims, max(SMALL, min(MOST, n_claims // 20)))


def assess_stream(
    processor: ClaimsProcessor,
    path: str | Path,
    work: str | Path,
    *,
    format: str | None = None,
    mapping: str | Path | None = None,
    rejects: str | Path | None = None,
    history: str | Path | None = None,
    directory: Directory | None = None,
    settings: StreamSettings | None = None,
    on_progress: Tell = lambda what, share: None,
) -> StreamedVerdicts:
    """Assess the claims of a file; `work` is a folder for parts, from which an interrupted run goes on.

    `history` is a file of earlier claims, for duplicates and the like. Raises ReadError for a file that cannot be read,
    or a work folder of another run.
    """
    settings = settings or StreamSettings()
    task = _task(processor, path, format, mapping, history, directory, settings)
    with WorkFolder(work, task) as folder:
        n_buckets = max(1, -(-at_most_claims(path) // settings.part_size))
        buckets = Buckets(processor, directory, folder, n_buckets, settings.explain)
        run = _Run(buckets, settings, on_progress)
        counts = run.read(path, format, mapping, rejects, history)
        if counts["accepted"]:
            run.across_buckets()
            with Workers(buckets, settings.workers) as workers:
                run.screen(workers)
                run.assess(workers, counts["accepted"])
        return StreamedVerdicts(Path(work), counts, processor.model_version, processor.calibrated)


def _task(
    processor: ClaimsProcessor,
    path: str | Path,
    format: str | None,
    mapping: str | Path | None,
    history: str | Path | None,
    directory: Directory | None,
    settings: StreamSettings,
) -> dict[str, Any]:
    """What a run must agree in with the one that it goes on from."""
    tables = [] if directory is None else [directory.providers, directory.members]
    known = [None if t is None else int(t.hash_rows(seed=0).sum()) for t in tables]
    return {
        "claims": fingerprint(path),
        "format": format,
        "mapping": None if mapping is None else fingerprint(mapping),
        "history": None if history is None else fingerprint(history),
        "directory": known,
        "model": processor.model_version,
        "full_model": settings.full_model,
        "part_size": settings.part_size,
        "explain": settings.explain,
        "polars": pl.__version__,  # whose hashes make the buckets
    }


class _Run:
    """The stages of one run."""

    def __init__(self, buckets: Buckets, settings: StreamSettings, tell: Tell) -> None:
        self.buckets, self.settings, self._tell = buckets, settings, tell

    def tell(self, stage: str, words: str, share: float) -> None:
        low, high = _STAGES[stage]
        self._tell(words, low + (high - low) * min(1.0, share))

    def read(
        self,
        path: str | Path,
        format: str | None,
        mapping: str | Path | None,
        rejects: str | Path | None,
        history: str | Path | None,
    ) -> dict[str, Any]:
        """Put claims and history into buckets; gives the counts of what was read."""
        spill, earlier, folder = self.buckets.claims, self.buckets.earlier, self.buckets.folder
        known: dict[str, Any] | None = folder.note("read")
        if known is not None and (rejects is None or Path(rejects).is_file()):
            return known
        tables = self.buckets.processor.tables
        timed = None if "IMPOSSIBLE-DAY" in tables.off or tables.procedures.is_empty() else tables
        if history is not None:
            with read_claims(history, None, mapping) as reader:
                for done in earlier.fill(reader, self.settings.part_size, timed):
                    self.tell("read", f"reading the history, {done:,} claims", 0.0)
        expected = at_most_claims(path)
        # Every part is split into all buckets: of a large file, larger parts, or there would be very many small files.
        size_of_parts = self.settings.part_size * (2 if spill.n_buckets > 8 else 1)
        size = min(self.settings.part_size, 20_000)  # records (FHIR, X12, NDJSON) are large before they are a table
        with read_claims(path, format, mapping, size, rejects=rejects) as reader:
            for done in spill.fill(reader, size_of_parts, timed):
                self.tell("read", f"reading, {done:,} claims", done / expected)
            reasons = {f"{field}: {reason}": n for (field, reason), n in reader.reasons.most_common()}
            counts = {"read": reader.read, "accepted": reader.accepted, "rejected": reader.rejected}
        folder.write_note("read", counts | {"reasons": reasons})
        return counts | {"reasons": reasons}

    def across_buckets(self) -> None:
        """The claims of provider-days too long to be true: they belong to many members, so to many buckets."""
        folder = self.buckets.folder
        if not folder.has(LONG_DAYS):
            days = long_days(folder, self.buckets.n)
            found = pl.concat([self.buckets.claims.of_days(days), self.buckets.earlier.of_days(days)])
            folder.write(LONG_DAYS, found.unique("claim_id", keep="first", maintain_order=True))

    def screen(self, workers: Workers) -> None:
        """Edits and one pass of the model over every claim."""
        for done, share in self._missing(workers, "screen", SCREENED):
            self.tell("screen", f"edits and screen, {done:,} claims", share)

    def assess(self, workers: Workers, n_claims: int) -> None:
        """The verdicts of every bucket."""
        most, folder = self.settings.full_model, self.buckets.folder
        chosen = first_ranked(folder, full_model_share(n_claims) if most is None else most)
        folder.write(CHOSEN, chosen.to_frame())
        for done, share in self._missing(workers, "assess", ASSESSED):
            self.tell("assess", f"full model, {done:,} of {len(chosen):,} claims", share)

    def _missing(self, workers: Workers, stage: str, name: str) -> Iterator[tuple[int, float]]:
        """Do a stage for the buckets that it was not done for; gives claims so far and the share of all buckets."""
        n = self.buckets.n
        missing = [index for index in range(n) if not self.buckets.folder.has(name.format(index))]
        done = 0
        for k, claims in enumerate(workers.run(stage, missing), start=1):
            done += claims
            yield done, (n - len(missing) + k) / n


def first_ranked(folder: WorkFolder, most: int) -> pl.Series:
    """The rows of the `most` claims with the largest screen scores; of equal ones those that come first in the file."""
    kept = pl.DataFrame(schema={ROW: pl.UInt32, "screen": pl.Float32})
    for file in folder.parts("screened/*/scores.parquet"):
        kept = pl.concat([kept, folder.read_part(file)])
        kept = kept.sort(["screen", ROW], descending=[True, False]).head(most)
    return kept[ROW].sort()


@dataclass(frozen=True)
class StreamedVerdicts:
    """The verdicts in a work folder; `counts` says what was read."""

    work: Path
    counts: dict[str, Any]
    model_version: str
    calibrated: bool

    def _table(self) -> pl.LazyFrame:
        files = sorted(self.work.glob("assessed/*.parquet"))
        return pl.scan_parquet(files) if files else pl.LazyFrame(schema=VERDICT_SCHEMA)

    def summary(self) -> dict[str, Any]:
        """How many are suspicious, to review, judged by the full model; what reviews are expected to bring in."""
        review = pl.col("action") == "review"
        found = self._table().select(
            suspicious=(pl.col("decision") == "suspicious").sum(),
            review=review.sum(),
            abstained=pl.col("abstained").sum(),
            full_model=pl.col("full_model").sum(),
            amount_at_risk=pl.col("amount_at_risk").filter(review).sum().round(2),
            expected_value=pl.col("expected_value").filter(review).sum().round(2),
        )
        return self.counts | found.collect().row(0, named=True) | {
            "model_version": self.model_version, "calibrated": self.calibrated
        }  # fmt: skip

    def tenths(self) -> list[int]:
        """How many claims have a probability in each tenth of the scale."""
        tenth = (pl.col("probability") * 10).floor().clip(0, 9).cast(pl.Int64).alias("tenth")
        counts = dict(self._table().select(tenth).group_by("tenth").len().collect().iter_rows())
        return [counts.get(k, 0) for k in range(10)]

    def claims(self, rows: Sequence[int]) -> pl.DataFrame:
        """The claims of these rows (from 1), in their order."""
        wanted = pl.Series([row - 1 for row in rows], dtype=pl.UInt32)
        empty = pl.DataFrame(schema=dict(claims_schema()) | {ROW: pl.UInt32})
        files = sorted(self.work.glob("claims/*/*.parquet"))
        found = [pl.read_parquet(file).filter(pl.col(ROW).is_in(wanted.implode())) for file in files]
        order = pl.DataFrame({ROW: wanted})
        return conform(order.join(pl.concat([empty, *found]), on=ROW, how="left", maintain_order="left"))

    def worth_most(self, n: int) -> list[tuple[int, Assessment]]:
        """The suspicious claims that are expected to be worth most, as (row from 1, assessment)."""
        rows = (
            self._table()
            .filter(pl.col("decision") == "suspicious")
            .sort(["expected_value", ROW], descending=[True, False])
            .head(n)
            .collect()
        )
        return [self._assessment(row) for row in rows.iter_rows(named=True)]

    def all(self) -> list[tuple[int, Assessment]]:
        """Every verdict in the file's order, as (row from 1, assessment); for files that fit into memory."""
        return [self._assessment(row) for row in self._table().sort(ROW).collect().iter_rows(named=True)]

    def _assessment(self, row: dict[str, Any]) -> tuple[int, Assessment]:
        details = json.loads(row["details"]) if row["details"] else {}
        reasons = tuple(_reason(state) for state in details.get("reasons", ()))
        if row["full_model"]:
            similar = tuple(SimilarClaim(**state) for state in details["similar"])
            columns = {field.name: row[field.name] for field in fields(Assessment) if field.name in row}
            return row[ROW] + 1, Assessment(**(columns | details | {"reasons": reasons, "similar": similar}))
        return row[ROW] + 1, Assessment(
            row["claim_id"], row["decision"], row["action"], row["probability"], self.calibrated, 1.0, reasons,
            row["amount_at_risk"], row["expected_value"], {}, self.model_version, details.get("claim_digest", ""),
        )  # fmt: skip

    def batches(self, size: int = 100_000) -> Iterator[pl.DataFrame]:
        """The verdicts in the file's order, `size` at a time: row (from 1), claim_id, decision and so on, details."""
        for start in range(0, int(self.counts["accepted"]), size):
            part = self._table().filter(pl.col(ROW).is_between(start, start + size - 1)).sort(ROW).collect()
            yield part.with_columns((pl.col(ROW) + 1).alias(ROW)).rename({ROW: "row"})

    def write(self, path: str | Path, *, with_ids: bool = False, on_progress: Tell = lambda what, share: None) -> int:
        """Write all verdicts, as NDJSON or (by its suffix) Parquet, whole or not at all; gives their number."""
        target = Path(path)
        temporary = target.with_name(target.name + ".tmp")
        done = 0

        def told() -> Iterator[pl.DataFrame]:
            nonlocal done
            for batch in self.batches():
                done += batch.height
                on_progress("writing", 0.95 + 0.05 * done / max(1, int(self.counts["accepted"])))
                yield batch if with_ids else batch.drop("claim_id")

        if target.suffix == ".parquet":
            _sink(told(), temporary, with_ids)
        else:
            with temporary.open("wb") as stream:
                for batch in told():
                    stream.write(("\n".join(self._lines(batch, with_ids)) + "\n").encode())
        temporary.replace(target)
        return done

    def _lines(self, batch: pl.DataFrame, with_ids: bool) -> list[str]:
        """One line of JSON a claim."""
        common = {"calibrated": self.calibrated, "model_version": self.model_version}
        names = [name for name in batch.columns if name not in ("details", "screen")]
        rounded = pl.col("screen").cast(pl.Float64).round(3)
        heads = batch.select(pl.struct(*names, rounded).struct.json_encode()).to_series()
        shared = json.dumps(common)[1:-1]
        lines = []
        for head, details in zip(heads, batch["details"], strict=True):
            more = json.loads(details) if details else {}
            more = {k: v for k, v in more.items() if k not in common}
            rest = f", {json.dumps(more)[1:-1]}" if more else ""
            lines.append(f"{head[:-1]}, {shared}{rest}}}")
        return lines


def _reason(state: dict[str, Any]) -> Reason:
    return Reason(**(state | {"expected": tuple((words, p) for words, p in state["expected"])}))


def _sink(batches: Iterator[pl.DataFrame], path: Path, with_ids: bool) -> None:
    schema = {("row" if name == ROW else name): dtype for name, dtype in VERDICT_SCHEMA.items()}
    if not with_ids:
        schema.pop("claim_id")

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        yield from batches

    register_io_source(source, schema=pl.Schema(schema)).sink_parquet(path)
