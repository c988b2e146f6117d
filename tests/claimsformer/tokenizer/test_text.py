"""Our own text tokenizer: lossless, deterministic, and aware of medical units."""

from __future__ import annotations

import copy
import json
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claimsformer.errors import WriteError
from claimsformer.tokenizer import SpecialTokens, TokenizerError, load_tokenizer
from claimsformer.tokenizer.text import (
    DEFAULT_DRUGS,
    MedicalSplitter,
    ParallelEncoder,
    TextTokenizer,
    coverage_table,
    measure_coverage,
)

NOTE = (
    "Pt seen 2024-03-15, ICD-10 E11.9 and dx 4019; 250.00. CPT 99213-25, J1885, NDC 0093-7214-01 paid $1,250.00, "
    "TX 75001. Metformin hydrochloride 500 MG ER Oral Tablet twice daily for 10 days, BP 120/80 mmHg, Temp 98.6 F, "
    "SpO2 98%, q8h as needed; insulin glargine 10 units, 5 mg/kg/day. M1A.09X0 on March 5, 2024, "
    "hydrochlorothiazide 25 µg, 38 °C."
)


def corpus(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    drugs = ["metformin", "lisinopril", "insulin glargine", "atorvastatin", "apixaban"]
    return [
        f"Claim {n}: dx E{rng.randint(10, 13)}.{rng.randint(0, 9)}, CPT 99{rng.randint(202, 215)}-25, "
        f"{rng.choice(drugs)} {rng.choice([5, 10, 500])} mg twice daily for {rng.randint(1, 90)} days, charged "
        f"${rng.randint(1, 9)},{rng.randint(100, 999)}.{rng.randint(10, 99)}, BP {rng.randint(90, 180)}/80."
        for n in range(count)
    ] + [NOTE] * 2


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.train(corpus(300), 2_000)


# Hypothesis' own text() leaves out surrogates; a Python string may hold them.
any_string = st.text(st.characters(codec=None, exclude_categories=()))
medical_string = st.lists(
    st.one_of(st.sampled_from([*NOTE.split(), "é", "漢", "\x00", "[PAD]", "<ndc>", "\u2009"]), st.text(max_size=4)),
    max_size=12,
)


@given(any_string)
@example("\ud800 \udc00 \ud83d\ude00 \U0001f600")
@example("\x00\x00 \x85\u2028\u3000\r\n\t")
@example("[PAD][CLS]<icd10:E00><ndc> <|endoftext|>")
@example(" E11.9  E11.9\u00e9 99213\u0301 $1,250.00\u00b2")
@example("a" * 300 + "1" * 300 + " " * 300 + "é" * 100)
def test_every_string_comes_back(tokenizer: TextTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text


@given(medical_string, st.sampled_from(["", " ", "  ", "-", ", "]))
def test_every_medical_string_comes_back(tokenizer: TextTokenizer, parts: list[str], between: str) -> None:
    text = between.join(parts)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(medical_string, st.sampled_from(["", " "]))
def test_offsets_cover_the_text_in_order(tokenizer: TextTokenizer, parts: list[str], between: str) -> None:
    text = between.join(parts)
    batch = tokenizer(text, return_offsets_mapping=True)
    assert batch.input_ids.tolist() == tokenizer.encode(text)
    covered = 0
    for index, (start, stop) in zip(batch.input_ids, batch.offset_mapping, strict=True):
        assert (
            start <= covered <= stop or start == stop == covered
        )  # no gap; a character of several tokens counts for each
        covered = max(covered, stop)
        spelled = tokenizer.decode([index])
        if "\ufffd" not in spelled:
            assert spelled in text[start:stop]
    assert covered == len(text)


@given(st.lists(st.integers(0, 1_999), max_size=20))
def test_any_ids_decode(tokenizer: TextTokenizer, ids: list[int]) -> None:
    assert isinstance(tokenizer.decode([i for i in ids if i < tokenizer.vocab_size]), str)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("E11.9", "icd10"), ("C4A.1", "icd10"), ("M1A.09X0", "icd10"), ("S72.001A", "icd10"), ("I10", "icd10"),
        ("250.00", "icd9"), ("E849.0", "icd9"), ("ICD-9 4019", "coded"), ("dx 4019", "coded"), ("ICD10: E119", "coded"),
        ("99213", "cpt"), ("99213-25", "cpt"), ("99213-25-LT", "cpt"), ("0001F", "cpt"),
        ("J1885", "hcpcs"), ("G0463-PO", "hcpcs"), ("CPT 99213", "coded"),
        ("0093-7214-01", "ndc"), ("50242-040-62", "ndc"), ("60575-4112-1", "ndc"), ("00093-7214-01", "ndc"),
        ("500 mg", "dose"), ("2.5mg/mL", "dose"), ("5 mg/kg/day", "dose"),
        ("10 days", "duration"), ("6-8 weeks", "duration"), ("45 years old", "duration"),
        ("Oral Tablet", "form"), ("ER Oral Tablet", "form"), ("extended-release capsules", "form"),
        ("auto-injector", "form"),
        ("90 mcg/actuation", "dose"), ("1 MG/ML", "dose"),
        ("25 µg", "dose"), ("98%", "dose"), ("1,000 units", "dose"),
        ("$1,250.00", "money"), ("$5", "money"), ("USD 12.50", "money"), ("€ 30", "money"),
        ("2024-03-15", "date"), ("3/15/2024", "date"), ("20240315", "date"), ("March 5, 2024", "date"),
        ("BP 120/80 mmHg", "vital"), ("HR 72 bpm", "vital"), ("Temp 98.6 F", "vital"), ("SpO2 98%", "vital"),
        ("twice daily", "frequency"), ("q8h", "frequency"), ("every 6 hours", "frequency"), ("once a day", "frequency"),
        ("metformin", "drug"), ("Insulin Glargine", "drug"), ("TX 75001", "address"),
    ],
)  # fmt: skip
def test_recognises_units(text: str, kind: str) -> None:
    splitter = MedicalSplitter(DEFAULT_DRUGS)
    for before, after in (("", ""), ("Given ", " today"), ("(", "),"), ("x: ", ".")):
        units = splitter.units(before + text + after)
        assert [(unit.kind, unit.start, unit.stop) for unit in units] == [(kind, len(before), len(before) + len(text))]


@pytest.mark.parametrize(
    "text", ["E11.9abc", "x99213", "992131", "250.007", "vitamin B", "a1b2", "mg", "COVID-19 ward", "B.12"]
)
def test_leaves_ordinary_text_alone(text: str) -> None:
    assert MedicalSplitter(DEFAULT_DRUGS).units(text) == []


def test_codes_become_chapter_category_and_rest(tokenizer: TextTokenizer) -> None:
    def tokens(text: str) -> list[str]:
        return tokenizer.convert_ids_to_tokens(tokenizer.encode(text))

    assert tokens("E11.9") == ["<icd10:E00>", "E11", ".9"]
    assert tokens("a E11.9")[-3:] == ["<icd10:E00> ", "E11", ".9"]
    assert tokens("CPT 99213-25")[-4:] == ["<cpt:99202> ", "992", "13", "-25"]
    assert "<icd9:390> " in tokens("dx 4019")
    # A code that was never seen still shows its chapter and spells itself.
    assert tokens("Q87.42")[0] == "<icd10:Q00>"
    assert tokenizer.decode(tokenizer.encode("Q87.42")) == "Q87.42"


def test_drug_names_are_one_token_and_the_list_can_be_replaced(tokenizer: TextTokenizer) -> None:
    assert tokenizer.tokenize("warfarin") == ["warfarin"]
    assert len(tokenizer.tokenize(" insulin lispro")) == 1
    other = TextTokenizer.train(corpus(50), 800, drugs=["Zyxomab beta"])
    assert len(other.tokenize("zyxomab beta")) == 1
    assert len(other.tokenize("warfarin")) > 1


def test_text_cannot_smuggle_in_special_tokens(tokenizer: TextTokenizer) -> None:
    special = {tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.mask_token_id}
    text = "[PAD] [CLS]x[MASK]"
    assert not special & set(tokenizer.encode(text))
    assert tokenizer.convert_tokens_to_ids("<ndc>") not in tokenizer.encode("<ndc>")
    tokenizer.split_special_tokens = False
    try:
        assert tokenizer.encode(text)[0] == tokenizer.pad_token_id
        assert tokenizer.decode(tokenizer.encode(text)) == text
    finally:
        tokenizer.split_special_tokens = True


def test_training_depends_on_the_texts_alone(tokenizer: TextTokenizer) -> None:
    texts = corpus(300)
    random.Random(5).shuffle(texts)
    assert TextTokenizer.train(texts, 2_000).to_dict() == tokenizer.to_dict()


def test_saved_and_loaded_it_is_the_same(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    path = tokenizer.save_pretrained(tmp_path / "model")
    loaded = TextTokenizer.from_pretrained(tmp_path / "model")
    assert [file.name for file in (tmp_path / "model").iterdir()] == ["tokenizer.json"]
    assert loaded.vocab == tokenizer.vocab
    assert loaded.special == tokenizer.special
    for text in (NOTE, *corpus(20, seed=9)):
        assert loaded.encode(text) == tokenizer.encode(text)
    assert loaded.save_pretrained(tmp_path / "again").read_bytes() == path.read_bytes()


def test_padding_and_truncation_make_arrays(tokenizer: TextTokenizer) -> None:
    texts = [NOTE, "E11.9", ""]
    ragged = tokenizer(texts)
    assert isinstance(ragged["input_ids"], list)
    right = tokenizer(texts, padding=True)
    left = tokenizer(texts, padding=True, padding_side="left")
    for batch in (right, left):
        assert batch.input_ids.shape == batch.attention_mask.shape == (3, len(ragged.input_ids[0]))
        assert batch.input_ids.dtype == np.int64
        for row, mask, ids in zip(batch.input_ids, batch.attention_mask, ragged.input_ids, strict=True):
            np.testing.assert_array_equal(row[mask == 1], ids)
            assert (row[mask == 0] == tokenizer.pad_token_id).all()
    assert left.attention_mask[1, -1] == 1
    assert left.attention_mask[1, 0] == 0
    cut = tokenizer(texts, padding="max_length", truncation=True, max_length=8)
    np.testing.assert_array_equal(cut.input_ids, right.input_ids[:, :8])
    assert tokenizer(texts, padding=True, pad_to_multiple_of=64).input_ids.shape[1] % 64 == 0
    assert tokenizer(NOTE, return_tensors="np").input_ids.shape == (1, right.input_ids.shape[1])
    with pytest.raises(TokenizerError, match="padding=True"):
        tokenizer(texts, return_tensors="np")
    assert tokenizer.encode(NOTE, truncation=True, max_length=8) == cut.input_ids[0].tolist()
    padded = tokenizer.pad([tokenizer(text) for text in texts])
    np.testing.assert_array_equal(padded.input_ids, right.input_ids)
    np.testing.assert_array_equal(padded.attention_mask, right.attention_mask)


def test_errors_say_what_to_do(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="needs max_length"):
        tokenizer("x", truncation=True)
    with pytest.raises(TokenizerError, match="must be a str"):
        tokenizer.encode(b"x")  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="token id must be in"):
        tokenizer.decode([10**6])
    with pytest.raises(FileNotFoundError, match="holds no tokenizer"):
        TextTokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TokenizerError, match="is not JSON"):
        TextTokenizer.from_pretrained(tmp_path)
    with pytest.raises(TokenizerError, match="vocab_size must be at least"):
        TextTokenizer.train(["a"], 100)
    with pytest.raises(AttributeError, match="it has input_ids"):
        _ = tokenizer("x").labels


def test_special_tokens_can_be_chosen() -> None:
    special = SpecialTokens(pad="<pad>", cls=None, sep=None, mask=None, bos="<s>", eos="</s>")
    tokenizer = TextTokenizer.train(corpus(20), 1_500, special=special, extra_special=["<sep-claim>"])
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert tokenizer.convert_tokens_to_ids("<sep-claim>") == 3
    assert tokenizer.cls_token_id is None


def test_processes_give_the_same_ids(tokenizer: TextTokenizer) -> None:
    texts = [*corpus(200, seed=2), "", "\ud800"]
    with ParallelEncoder(tokenizer, 2) as encoder:
        parallel = encoder.encode_batch(texts)
    for ids, text in zip(parallel, texts, strict=True):
        assert ids.tolist() == tokenizer.encode(text)


def test_coverage_counts_tokens_and_words(tokenizer: TextTokenizer) -> None:
    coverage = measure_coverage(tokenizer.encode, ["warfarin", "E11.9 E11.9"])
    assert (coverage.texts, coverage.words, coverage.characters) == (2, 3, 19)
    assert coverage.tokens == 1 + 6
    assert coverage.tokens_per_word == pytest.approx(7 / 3)
    assert coverage.whole_words == 1
    assert "2 texts" in str(coverage)
    table = coverage_table({"ours": tokenizer.encode, "characters": lambda text: range(len(text))}, ["warfarin", "a b"])
    assert table.splitlines()[-1] == "| characters | 5.5 | 3.67 | 1.00 |"


def test_medical_units_cost_fewer_tokens_than_plain_bpe_of_the_same_size() -> None:
    train, held_out = corpus(400), corpus(100, seed=7)
    medical = measure_coverage(TextTokenizer.train(train, 2_000).encode, held_out)
    plain = measure_coverage(TextTokenizer.train(train, 2_000, medical=False).encode, held_out)
    assert medical.characters == plain.characters
    assert medical.tokens_per_text < plain.tokens_per_text * 1.1


def test_template_puts_special_tokens_around() -> None:
    tokenizer = TextTokenizer.train(corpus(20), 1_500, template="cls_sep")
    inner = tokenizer.encode("E11.9", add_special_tokens=False)
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    assert tokenizer.encode("E11.9") == [cls, *inner, sep]
    pair = tokenizer("E11.9", "E11.9", return_token_type_ids=True)
    assert pair.input_ids.tolist() == [cls, *inner, sep, *inner, sep]
    assert pair.token_type_ids.tolist() == [0] * (len(inner) + 2) + [1] * (len(inner) + 1)
    assert tokenizer.num_special_tokens_to_add(pair=True) == 3
    assert tokenizer.decode(tokenizer.encode(NOTE), skip_special_tokens=True) == NOTE
    with pytest.raises(TokenizerError, match="needs special tokens"):
        TextTokenizer.train(corpus(20), 1_500, template="bos_eos")


def test_it_pickles_and_is_found_by_its_kind(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    assert pickle.loads(pickle.dumps(tokenizer)).encode(NOTE) == tokenizer.encode(NOTE)
    tokenizer.save_pretrained(tmp_path)
    assert isinstance(load_tokenizer(tmp_path), TextTokenizer)


def test_text_needs_neither_polars_nor_other_tokenizers() -> None:
    code = (
        "import sys\n"
        "for name in ('polars', 'tokenizers', 'regex', 'transformers', 'torch', 'pydantic'): sys.modules[name] = None\n"
        "from claimsformer.tokenizer.text import TextTokenizer\n"
        "t = TextTokenizer.train(['E11.9 \u00e9'] * 3, 1200)\n"
        "assert t.decode(t.encode('E11.9 \u00e9')) == 'E11.9 \u00e9'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("unit", ["1,111,", "1", "a", " ", "5 mg/", "E11.", "-", "$", "BP 1/", "é", "\ud800", "[PAD]"])
def test_long_monotonous_texts_take_linear_time(tokenizer: TextTokenizer, unit: str) -> None:
    text = unit * 20_000  # quadratic behaviour would take minutes here
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "NovoLog 10 units", "Decadron 4 mg", "Augmentin 50 mg", "mayor 5", "decline 3", "octane 9",
        "2024-13-45", "2024-00-10", "13/13/2024", "45/01/2024", "1/32/24", "june 45",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_date_is_none(text: str) -> None:
    assert "date" not in {unit.kind for unit in MedicalSplitter(DEFAULT_DRUGS).units(text)}


@pytest.mark.parametrize(
    "text", ["1/2/24", "13/12/2024", "12/31/2024", "2024-2-9", "Sept. 3, 2024", "31 December 2024"]
)
def test_dates_are_whole_units(text: str) -> None:
    (unit,) = MedicalSplitter(DEFAULT_DRUGS).units(text)
    assert (unit.kind, text[unit.start : unit.stop]) == ("date", text)


@pytest.mark.parametrize("often", ["BID", "bid", "t.i.d.", "qid", "PRN", "qhs", "q8h", "every 8 hours", "twice daily"])
def test_how_often_is_a_unit_also_abbreviated(often: str, tokenizer: TextTokenizer) -> None:
    text = f"metformin 500 mg {often}, then stop"
    kinds = [(u.kind, text[u.start : u.stop]) for u in MedicalSplitter(DEFAULT_DRUGS).units(text)]
    assert kinds == [("drug", "metformin"), ("dose", "500 mg"), ("frequency", often)]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_pad_takes_one_encoding_labels_and_fractions(tokenizer: TextTokenizer) -> None:
    one = tokenizer.pad({"input_ids": [7, 8]}, padding="max_length", max_length=4)
    assert one["attention_mask"].tolist() == [1, 1, 0, 0]
    assert one["input_ids"].shape == (4,)
    two = tokenizer.pad(
        [{"input_ids": [7, 8], "labels": 1, "weights": [0.5, 0.25]}, {"input_ids": [9], "labels": 0, "weights": [0.75]}]
    )
    assert two["labels"].tolist() == [1, 0]
    assert two["weights"].tolist() == [[0.5, 0.25], [0.75, 0.0]]


def test_calls_that_make_no_sense_are_refused(tokenizer: TextTokenizer) -> None:
    for call, message in {
        lambda: tokenizer(None): "text must be a str or a list",
        lambda: tokenizer(b"asthma"): "got bytes",
        lambda: tokenizer("asthma", truncation="sometimes", max_length=3): "truncation must be",
        lambda: tokenizer(["a", "b c"], padding=True, padding_side="top"): "padding_side must be",
        lambda: tokenizer.pad([{"input_ids": [1], "labels": [1]}, {"input_ids": [1]}]): "of one kind",
        lambda: tokenizer.decode("12"): "got a str",
        lambda: tokenizer.decode([1.5]): "whole numbers",
        lambda: tokenizer.decode([[1, 2]]): "batch_decode",
        lambda: tokenizer.encode_batch("asthma"): "list of str",
        lambda: tokenizer.encode_batch(["a", 5], processes=2): "list of str",
        lambda: tokenizer.encode_batch(["a"], processes=0): "at least 1",
    }.items():
        with pytest.raises(TokenizerError, match=message):
            call()
    assert len(tokenizer(np.array(["asthma", "E11.9"]))["input_ids"]) == 2


def test_a_damaged_file_is_one_error(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    path = tokenizer.save_pretrained(tmp_path)
    whole = json.loads(path.read_text())

    def huge_id(state: dict) -> None:
        vocab = state["tokenizer"]["model"]["vocab"]
        vocab[next(reversed(vocab))] = 10**12

    for damage, message in {
        lambda s: s.update(version="2"): "format version",
        lambda s: s.update(version=None): "format version",
        lambda s: s.update(version=99): "newer claimsformer",
        lambda s: s.update(padding_side="top"): "padding_side",
        lambda s: s.update(model_max_length="many"): "model_max_length",
        lambda s: s["tokenizer"]["model"].update(merges="x y"): "damaged",
        lambda s: s["tokenizer"]["model"].update(merges=[["a", "b", "c"]]): "damaged",
        lambda s: s["tokenizer"]["model"].update(drugs=[["a"]]): "damaged",
        huge_id: "damaged",
    }.items():
        state = copy.deepcopy(whole)
        damage(state)
        path.write_text(json.dumps(state))
        with pytest.raises(TokenizerError, match=message):
            load_tokenizer(tmp_path)
    with pytest.raises(WriteError, match="nothing there was changed"):
        tokenizer.save_pretrained(path)


def test_calls_that_would_do_nothing_sensible_are_refused(tokenizer: TextTokenizer) -> None:
    with pytest.raises(TokenizerError, match="got one str"):
        TextTokenizer.train("one note", 2_000)
    with pytest.raises(TokenizerError, match=r"medical=False"):
        TextTokenizer.train([NOTE], 300)
    with pytest.raises(TokenizerError, match="max_length=5 limits nothing by itself"):
        tokenizer(NOTE, max_length=5)
    with pytest.raises(TokenizerError, match=r"give tokenizer\.encode"):
        measure_coverage(tokenizer, [NOTE])
    assert tokenizer(NOTE, max_length=5, truncation=True)["input_ids"].shape == (5,)
    assert tokenizer("x", max_length=5, padding="max_length")["input_ids"].shape == (5,)


def test_a_tokenizer_says_what_it_is(tokenizer: TextTokenizer) -> None:
    assert repr(tokenizer) == f"TextTokenizer(vocab_size={len(tokenizer)}, special=[PAD], [CLS], [SEP], [MASK], [EOS])"
    assert tokenizer.all_special_tokens == tokenizer.convert_ids_to_tokens(tokenizer.all_special_ids)
    assert [unit.kind for unit in MedicalSplitter().units("metformin 5 mg")] == ["drug", "dose"]
    with pytest.raises(TokenizerError, match="arrays are NumPy's"):
        tokenizer.pad([tokenizer("x")], return_tensors="pt")
    assert tokenizer.pad([tokenizer("x"), tokenizer("x y")], return_tensors="np")["input_ids"].shape[0] == 2
