"""Structured claims to ids and back."""

from __future__ import annotations

import datetime as dt
import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimsformer.errors import NotFittedError
from claimsformer.tokenizer import TokenizerError, load_tokenizer
from claimsformer.tokenizer.codes import levels
from claimsformer.tokenizer.fields import (
    SYNPUF_SPEC,
    ClaimBatch,
    ClaimSpec,
    FieldSpec,
    FieldTokenizer,
    choose_at_random,
    choose_field,
    closure,
    hide,
    prepare_synpuf,
    with_history,
)

DATA = Path(os.environ.get("CLAIMSFORMER_DATA", Path(__file__).parents[4] / "shared" / "data"))
SYNPUF = DATA / "synpuf" / "inpatient_claims.parquet"

SPEC = ClaimSpec(
    "test",
    fields=(
        FieldSpec("sex", "category"),
        FieldSpec("age", "number", bins=4),
        FieldSpec("admitted", "date"),
        FieldSpec("stay", "days", columns=("discharged",), since="admitted", mask_group="stay"),
        FieldSpec("days", "number", mask_group="stay"),
        FieldSpec("drg", "code", hierarchy="drg", hides=("ratio",)),
        FieldSpec("paid", "money", bins=6, mask_group="paid"),
        FieldSpec("ratio", "ratio", columns=("paid",), by="drg", mask_group="paid"),
        FieldSpec("dx", "code", columns=("dx1", "dx2", "dx3"), hierarchy="icd9", absent="pad"),
    ),
    identifiers=("member",),
)


def claims(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    admitted = pl.Series(np.datetime64("2020-01-01") + rng.integers(0, 700, rows))
    stay = rng.integers(0, 9, rows)
    dx = rng.choice(["428.0", "428.1", "428.9", "250.00", "250.02", "V10.1", "E849.0", "486"], (rows, 3))
    missing = rng.random((rows, 3)) < [0.0, 0.3, 0.7]
    return pl.DataFrame(
        {
            "member": [f"M{i}" for i in range(rows)],
            "sex": rng.choice(["F", "M"], rows),
            "age": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(20, 99, rows)),
            "admitted": admitted,
            "discharged": admitted + pl.Series(stay.astype("timedelta64[D]").astype("timedelta64[ms]")),
            "days": stay,
            "drg": rng.choice(["470", "291", "871"], rows),
            "paid": np.round(rng.lognormal(8, 1, rows), 2) * rng.choice([1, 1, 1, 0, -1], rows),
            **{
                f"dx{k + 1}": [None if m else v for v, m in zip(dx[:, k], missing[:, k], strict=True)] for k in range(3)
            },
        }
    )


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return claims()


@pytest.fixture(scope="module")
def tokenizer(frame: pl.DataFrame) -> FieldTokenizer:
    return FieldTokenizer(SPEC, min_count=5).fit(frame)


def test_vocabulary_is_one_contiguous_slice_per_field(tokenizer: FieldTokenizer) -> None:
    slices = list(tokenizer.slices.values())
    assert slices[0].start == len(tokenizer.special.in_order())
    assert all(a.stop == b.start for a, b in pairwise(slices))
    assert slices[-1].stop == tokenizer.vocab_size
    assert tokenizer.pad_token_id == 0


def test_every_value_id_lies_in_the_slice_of_its_field(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    batch = tokenizer.encode(frame)
    for name, where in tokenizer.slices.items():
        ids = batch.value_ids[batch.field_ids == tokenizer.field_id(name)]
        assert ids.size
        assert where.start <= ids.min()
        assert ids.max() < where.stop


def test_decode_returns_what_was_encoded(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    decoded = tokenizer.decode(tokenizer.encode(frame))
    for column in ("sex", "drg"):
        assert decoded[column].to_list() == frame[column].to_list()
    for column in ("dx1", "dx2", "dx3"):
        assert decoded[column].to_list() == frame[column].str.replace(".", "", literal=True).to_list()
    age = frame["age"].fill_nan(None)
    assert decoded["age"].is_null().to_list() == age.is_null().to_list()
    np.testing.assert_allclose(decoded["age"].drop_nulls(), age.drop_nulls(), rtol=1e-5)
    np.testing.assert_allclose(decoded["paid"], frame["paid"], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(decoded["stay"], frame["days"], atol=1e-5)
    assert decoded["admitted"].to_list() == frame["admitted"].dt.strftime("%m-%d").to_list()


def test_decoding_a_compact_batch_gives_the_same_claims(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    batch = tokenizer.encode(frame)
    compact = batch.compact()
    assert compact.shape[1] == batch.lengths.max()
    assert not (np.diff(compact.mask.astype(int), axis=1) > 0).any()  # no token after padding
    assert tokenizer.decode(compact).equals(tokenizer.decode(batch))


def test_a_claim_does_not_depend_on_its_neighbours(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    whole = tokenizer.encode(frame)
    parts = ClaimBatch.concatenate([tokenizer.encode(frame[:7]), tokenizer.encode(frame[7:])])
    for name in ClaimBatch.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_rare_codes_back_off_to_their_family_then_to_unknown() -> None:
    codes = ["428.0"] * 20 + ["428.1"] * 3 + ["250.0"] * 9 + ["250.7"] * 3 + ["486"] * 2
    spec = ClaimSpec("codes", (FieldSpec("dx", "code", hierarchy="icd9"),))
    tokenizer = FieldTokenizer(spec, min_count=8).fit(pl.DataFrame({"dx": codes}))
    new = pl.DataFrame({"dx": ["4280", "428.1", "428.99", "486", "E849.0", None, "  "]})
    batch = tokenizer.encode(new)
    assert tokenizer.decode(batch)["dx"].to_list() == ["4280", "428*", "428*", "?", "?", None, None]
    parents = {index: name for name, index in tokenizer.parents_.items()}
    names = [parents[i] for i in batch.parent_ids[:, 1].tolist()]
    # 486 is too rare for a family of its own; no chapter of it was seen often enough either.
    assert names == ["icd9:428", "icd9:428", "icd9:428", "icd9:?", "icd9:?", "<none>", "<none>"]


def test_a_rare_family_takes_its_chapter_as_parent() -> None:
    codes = ["428.0"] * 20 + ["410.1"] * 3
    spec = ClaimSpec("codes", (FieldSpec("dx", "code", hierarchy="icd9"),))
    tokenizer = FieldTokenizer(spec).fit(pl.DataFrame({"dx": codes}))
    batch = tokenizer.encode(pl.DataFrame({"dx": ["410.1"]}))
    parents = {index: name for name, index in tokenizer.parents_.items()}
    assert parents[int(batch.parent_ids[0, 1])] == "icd9:chapter 390"


@pytest.mark.parametrize(
    ("hierarchy", "code", "families"),
    [
        ("icd9", "42833", ("428", "chapter 390")),
        ("icd9", "V1011", ("V10", "chapter V")),
        ("icd9", "E8490", ("E849", "chapter E")),
        ("icd10", "E1165", ("E11", "chapter E00")),
        ("icd10", "C4A9", ("C4A", "chapter C00")),
        ("icd10", "H6501", ("H65", "chapter H60")),
        ("icd10", "D509", ("D50", "chapter D50")),
        ("icd9_procedure", "8154", ("81", "chapter 76")),
        ("drg", "470", ("MDC 08",)),
        ("drg", "291", ("MDC 05",)),
        ("drg", "871", ("MDC 18",)),
        ("drg", "003", ("MDC PRE",)),
        ("procedure", "99213", ("992", "section 99202")),
        ("procedure", "J1885", ("J18", "section J")),
        ("ndc", "00093721401", ("000937214", "00093")),
    ],
)
def test_families_of_codes(hierarchy: str, code: str, families: tuple[str, ...]) -> None:
    assert levels(hierarchy, code) == families


def test_quantile_bins_hold_about_equally_many() -> None:
    values = np.random.default_rng(1).normal(size=8000)
    spec = ClaimSpec("numbers", (FieldSpec("x", "number", bins=16),))
    batch = FieldTokenizer(spec).fit(pl.DataFrame({"x": values})).encode(pl.DataFrame({"x": values}))
    counts = np.unique(batch.value_ids[:, 1], return_counts=True)[1]
    assert counts.size == 16
    assert np.ptp(counts) <= 2
    assert abs(np.median(batch.scalars[:, 1])) < 1e-6
    assert np.subtract(*np.quantile(batch.scalars[:, 1], [0.75, 0.25])) == pytest.approx(1.349, abs=1e-3)


def test_a_value_that_fills_a_bin_gets_its_own() -> None:
    values = np.concatenate([np.zeros(900), np.linspace(1, 100, 100)])
    spec = ClaimSpec("numbers", (FieldSpec("x", "money", bins=8),))
    tokenizer = FieldTokenizer(spec).fit(pl.DataFrame({"x": values}))
    ids = tokenizer.encode(pl.DataFrame({"x": values})).value_ids[:, 1]
    assert len(set(ids[:900])) == 1
    assert not set(ids[900:]) & set(ids[:900])
    assert len(set(ids[900:])) >= 6


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30))
def test_bins_keep_the_order_and_scalars_stay_finite(values: list[float]) -> None:
    spec = ClaimSpec("numbers", (FieldSpec("x", "money", bins=5), FieldSpec("y", "number", columns=("x",), bins=5)))
    frame = pl.DataFrame({"x": values})
    tokenizer = FieldTokenizer(spec).fit(pl.DataFrame({"x": [0.0, 1.0, 10.0, 100.0, -5.0, 2.0, 3.0]}))
    batch = tokenizer.encode(frame)
    assert np.isfinite(batch.scalars).all()
    numbers = np.array(values)
    known = ~np.isnan(numbers)
    for column in (1, 2):
        ids = batch.value_ids[:, column]
        order = np.argsort(numbers[known], kind="stable")
        assert (np.diff(ids[known][order]) >= 0).all()
        assert (ids[~known] == tokenizer.slices["xy"[column - 1]].start).all()


def test_ratio_is_the_value_over_the_median_of_its_group(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    expected = frame.select(pl.col("paid") / pl.col("paid").median().over("drg"))["paid"]
    decoded = tokenizer.decode(tokenizer.encode(frame))["ratio"]
    clipped = decoded.abs() > 50  # beyond the clipped z-score
    np.testing.assert_allclose(decoded.filter(~clipped), expected.filter(~clipped), rtol=1e-4, atol=1e-4)


def test_history_counts_only_earlier_days() -> None:
    frame = pl.DataFrame(
        {
            "who": ["a", "b", "a", "a", "a", "a"],
            "where": ["p", "p", "p", "q", "p", "p"],
            "when": [dt.date(2020, 3, d) for d in (5, 5, 1, 5, 31)] + [dt.date(2021, 1, 1)],
        }
    )
    history = with_history(frame, member="who", provider="where", date="when")
    assert history["days_since_last_claim"].to_list() == [4, None, None, 4, 26, 276]
    assert history["member_claims_90d"].to_list() == [1, 0, 0, 1, 3, 0]
    assert history["provider_claims_90d"].to_list() == [1, 1, 0, 0, 3, 0]


def test_identifiers_never_enter() -> None:
    with pytest.raises(TokenizerError, match="reads an identifier"):
        ClaimSpec("bad", (FieldSpec("member", "category"),), identifiers=("member",))
    spec = ClaimSpec("sly", (FieldSpec("key", "category"),))
    frame = pl.DataFrame({"key": [f"K{i}" for i in range(2000)]})
    with pytest.raises(TokenizerError, match="looks like an identifier"):
        FieldTokenizer(spec, min_count=1).fit(frame)


def test_hiding_leaves_nothing_that_tells(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    batch = tokenizer.encode(frame)

    def hidden_fields(name: str) -> set[str]:
        hidden = closure(tokenizer, batch, choose_field(tokenizer, batch, name))
        return {tokenizer.field_names[i - 1] for i in set(batch.field_ids[hidden].tolist())}

    assert hidden_fields("stay") == {"stay", "days"}
    assert hidden_fields("paid") == {"paid", "ratio"}
    assert hidden_fields("drg") == {"drg", "ratio"}
    assert hidden_fields("sex") == {"sex"}
    one_rank = closure(tokenizer, batch, choose_field(tokenizer, batch, "dx", rank=2))
    assert set(batch.position_ids[one_rank].tolist()) == {2}
    hidden = closure(tokenizer, batch, choose_field(tokenizer, batch, "drg"))
    masked = hide(tokenizer, batch, hidden)
    assert (masked.value_ids[hidden] == tokenizer.mask_token_id).all()
    assert not masked.parent_ids[hidden].any()
    assert not masked.scalars[hidden].any()
    np.testing.assert_array_equal(masked.value_ids[~hidden], batch.value_ids[~hidden])


def test_random_choice_has_the_rate_and_spares_padding(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    batch = tokenizer.encode(frame)
    chosen = choose_at_random(tokenizer, batch, 0.2, np.random.default_rng(0), extra={"drg": 0.3})
    assert not chosen[~batch.mask].any()
    assert not chosen[:, 0].any()
    assert chosen.any(axis=1).all()
    is_drg = batch.field_ids == tokenizer.field_id("drg")
    candidates = batch.mask & (batch.field_ids > 0)
    assert chosen[is_drg].mean() == pytest.approx(0.5, abs=0.1)
    assert chosen[candidates & ~is_drg].mean() == pytest.approx(0.2, abs=0.05)
    again = choose_at_random(tokenizer, batch, 0.2, np.random.default_rng(0), extra={"drg": 0.3})
    np.testing.assert_array_equal(chosen, again)


def test_saved_and_loaded_it_is_the_same(tokenizer: FieldTokenizer, frame: pl.DataFrame, tmp_path: Path) -> None:
    path = tokenizer.save_pretrained(tmp_path / "model")
    loaded = FieldTokenizer.from_pretrained(tmp_path / "model")
    assert path.name == "tokenizer.json"
    assert isinstance(load_tokenizer(tmp_path / "model"), FieldTokenizer)
    assert loaded.spec == tokenizer.spec
    assert loaded.vocab == tokenizer.vocab
    for name in ClaimBatch.__dataclass_fields__:
        np.testing.assert_array_equal(
            getattr(loaded.encode(frame), name), getattr(tokenizer.encode(frame), name), strict=True
        )
    assert loaded.save_pretrained(tmp_path / "again").read_bytes() == path.read_bytes()


def test_fitting_does_not_depend_on_the_order_of_rows(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    shuffled = FieldTokenizer(SPEC, min_count=5).fit(frame.sample(fraction=1.0, shuffle=True, seed=3))
    assert shuffled.vocab == tokenizer.vocab
    assert shuffled.parents_ == tokenizer.parents_


def test_errors_name_the_way_out(frame: pl.DataFrame) -> None:
    with pytest.raises(NotFittedError, match="fit"):
        FieldTokenizer(SPEC).encode(frame)
    with pytest.raises(TokenizerError, match="lacks: drg"):
        FieldTokenizer(SPEC).fit(frame.drop("drg"))
    with pytest.raises(TokenizerError, match="hierarchy must be one of"):
        FieldSpec("dx", "code")
    with pytest.raises(TokenizerError, match="kind must be one of"):
        FieldSpec("dx", "colour")  # type: ignore[arg-type]


def test_a_field_that_was_never_seen_still_encodes() -> None:
    spec = ClaimSpec("empty", (FieldSpec("x", "number"), FieldSpec("c", "category")))
    empty = pl.DataFrame({"x": [None, None], "c": [None, None]}, schema={"x": pl.Float64, "c": pl.String})
    tokenizer = FieldTokenizer(spec).fit(empty)
    batch = tokenizer.encode(pl.DataFrame({"x": [3.0, None], "c": ["new", None]}))
    tokens = tokenizer.convert_ids_to_tokens(batch.value_ids[:, 1:].ravel())
    assert tokens == ["x:bin0", "<unk:c>", "<missing:x>", "<missing:c>"]


@pytest.mark.data
@pytest.mark.skipif(
    not SYNPUF.exists(), reason=f"public data is missing: set CLAIMSFORMER_DATA ({SYNPUF.name} not found)"
)
def test_synpuf_claims() -> None:
    raw = pl.read_parquet(SYNPUF, n_rows=12_000)
    frame = prepare_synpuf(raw)
    tokenizer = FieldTokenizer(SYNPUF_SPEC).fit(frame)
    batch = tokenizer.encode(frame)
    assert batch.shape == (12_000, SYNPUF_SPEC.length)
    identifiers = set(raw["bene"]) | set(raw["claim"]) | set(raw["prov"]) | set(raw["att"].drop_nulls())
    assert not {token.partition("=")[2] for token in tokenizer.vocab} & identifiers
    decoded = tokenizer.decode(batch)
    frequent = raw["drg"].value_counts().filter(pl.col("count") >= 8)["drg"].to_list()
    same = (decoded["drg"] == raw["drg"]).to_numpy()
    np.testing.assert_array_equal(same, raw["drg"].is_in(frequent).to_numpy())
    short = raw["util"] < 20  # longer stays are beyond the clipped z-score
    np.testing.assert_allclose(decoded["util"].filter(short), raw["util"].filter(short), atol=1e-4)


def test_hiding_one_rank_hides_the_same_rank_and_the_total() -> None:
    fields = (
        FieldSpec("total", "money", mask_group="money"),
        FieldSpec("line", "money", columns=("line1", "line2"), mask_group="money"),
        FieldSpec("ratio", "ratio", columns=("line1", "line2"), by="code{rank}", mask_group="money"),
    )
    names = ("total", "line1", "line2", "code1", "code2")
    frame = pl.DataFrame({name: [1.0, 2.0, 3.0] for name in names})
    tokenizer = FieldTokenizer(ClaimSpec("lines", fields)).fit(frame)
    batch = tokenizer.encode(frame)
    # Order of tokens: [CLS] total line1 line2 ratio1 ratio2.
    second = closure(tokenizer, batch, choose_field(tokenizer, batch, "line", rank=2))
    assert second[0].tolist() == [False, True, False, True, False, True]
    total = closure(tokenizer, batch, choose_field(tokenizer, batch, "total"))
    assert total[0].tolist() == [False, True, True, True, True, True]


def test_codes_read_as_numbers_are_the_same_codes() -> None:
    spec = ClaimSpec("codes", (FieldSpec("drg", "code", hierarchy="drg"), FieldSpec("sex", "category")))
    text = pl.DataFrame({"drg": ["470", "291", None] * 9, "sex": ["1", "2", None] * 9})
    tokenizer = FieldTokenizer(spec).fit(text)
    expected = tokenizer.encode(text).value_ids
    for dtype in (pl.Int64, pl.Float64, pl.Float32):
        np.testing.assert_array_equal(tokenizer.encode(text.cast(dtype)).value_ids, expected)
    nan = text.cast(pl.Float64).fill_null(float("nan"))
    np.testing.assert_array_equal(tokenizer.encode(nan).value_ids, expected)


def test_a_damaged_file_is_refused(tokenizer: FieldTokenizer, tmp_path: Path) -> None:
    name = "tokenizer.json"
    state = json.loads(tokenizer.save_pretrained(tmp_path).read_text())
    del state["learned"]
    (tmp_path / name).write_text(json.dumps(state))
    with pytest.raises(TokenizerError, match="lacks or garbles"):
        FieldTokenizer.from_pretrained(tmp_path)
    whole = json.loads(tokenizer.save_pretrained(tmp_path).read_text())
    for key, wrong in (("parents", "zz"), ("parents", [1]), ("min_count", None), ("learned", []), ("spec", 1)):
        (tmp_path / name).write_text(json.dumps(whole | {key: wrong}))
        with pytest.raises(TokenizerError, match="damaged"):
            FieldTokenizer.from_pretrained(tmp_path)
    (tmp_path / name).write_text(json.dumps({"kind": "text", "format": "claimsformer"}))
    with pytest.raises(TokenizerError, match="holds 'text'"):
        FieldTokenizer.from_pretrained(tmp_path)
    newer = json.dumps({"kind": "fields", "format": "claimsformer", "version": 99})
    (tmp_path / name).write_text(newer)
    with pytest.raises(TokenizerError, match="newer claimsformer"):
        FieldTokenizer.from_pretrained(tmp_path)


def test_what_is_no_frame_or_no_number_is_said() -> None:
    spec = ClaimSpec("small", (FieldSpec("sex", "category"), FieldSpec("paid", "money")))
    frame = pl.DataFrame({"sex": ["F", "M"] * 8, "paid": [1.0, 2.0] * 8})
    tokenizer = FieldTokenizer(spec)
    assert repr(tokenizer) == "FieldTokenizer('small', 2 fields: sex, paid; not fitted)"
    tokenizer.fit(frame)
    assert repr(tokenizer).endswith(f"vocab_size={len(tokenizer)})")
    with pytest.raises(TokenizerError, match="polars DataFrame with a row for each, got dict"):
        tokenizer.encode({"sex": "F", "paid": 1.0})  # type: ignore[arg-type]
    with pytest.raises(TokenizerError, match="none of the 16 values of column 'paid' is one"):
        FieldTokenizer(spec).fit(frame.with_columns(paid=pl.lit("F")))
