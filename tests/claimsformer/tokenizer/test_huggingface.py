"""Other libraries' tokenizers, held against Hugging Face's `tokenizers`: equal ids, offsets, padding and text."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claimsformer.tokenizer import SpecialTokens, TokenizerError
from claimsformer.tokenizer.text import GPT2_SPLIT, SplitPattern, TextTokenizer, byte_level_state

tokenizers = pytest.importorskip("tokenizers", reason="compares with Hugging Face's tokenizers")
from tokenizers import (  # noqa: E402
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

LLAMA3_SPLIT = "|".join(
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+|\s+(?!\S)|\s+",
    ]
)
O200K_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _old(character: str) -> bool:
    """Assigned since Unicode 3.2, so that all libraries' tables, of whatever version, agree on it."""
    old, new = unicodedata.ucd_3_2_0.category(character), unicodedata.category(character)
    return old != "Cn" and old == new


everyday = (
    "abcdefgXYZ012389 .,;:!?'\"-_/()[]$%&@#\n\r\t"
    + "éüßñçøŁжЯαΩשلक漢字かな한글½²٣Ⅷ€—…“”👍\u00a0\u2009\u3000\u0301\u200d"
)
unicode_text = st.text(
    st.one_of(
        st.sampled_from(everyday),
        st.characters(exclude_categories=("Cs", "Cn", "Co")).filter(_old),
    ),
    max_size=40,
)
words = st.lists(
    st.sampled_from(
        [
            "don't",
            "I'LL",
            "we've",
            "it'ſ",
            "claims",
            "E11.9",
            "99213",
            "  ",
            "\n\n",
            "é",
            "naïve",
            "漢字",
            "<|endoftext|>",
        ]
    ),
    max_size=12,
).map(" ".join)
any_text = st.one_of(unicode_text, words)


def corpus() -> list[str]:
    rng = random.Random(0)
    stems = [
        "claim",
        "diagnosis",
        "paid",
        "patient",
        "don't",
        "naïve",
        "jalapeño",
        "漢字",
        "привет",
        "E11.9",
        "99213",
        "we'll",
    ]
    return [" ".join(rng.choices(stems, k=12)) + rng.choice([".", "!\n", "  \t", ""]) for _ in range(300)]


def both(hf: Any, folder: Path) -> tuple[Any, TextTokenizer]:
    hf.save(str(folder / "tokenizer.json"))
    return hf, TextTokenizer.from_pretrained(folder)


def byte_level(pre: Any, normalizer: Any = None, **model: Any) -> Any:
    hf = Tokenizer(models.BPE(**model))
    hf.pre_tokenizer = pre
    if normalizer is not None:
        hf.normalizer = normalizer
    hf.decoder = decoders.ByteLevel()
    hf.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    hf.train_from_iterator(corpus(), trainer)
    return hf


def split_then_bytes(pattern: str) -> Any:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


BYTE_LEVEL = {
    "gpt2": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "prefix space": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "smollm2": lambda: byte_level(
        pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    ),
    "llama3": lambda: byte_level(split_then_bytes(LLAMA3_SPLIT), ignore_merges=True),
    "o200k": lambda: byte_level(split_then_bytes(O200K_SPLIT)),
    "nfc": lambda: byte_level(split_then_bytes(LLAMA3_SPLIT), normalizers.NFC()),
}


@pytest.fixture(scope="module", params=list(BYTE_LEVEL))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, TextTokenizer]:
    return both(BYTE_LEVEL[request.param](), tmp_path_factory.mktemp("hf"))


@given(any_text)
@example("it'ſ I'LL we'VE 'Kelvin")
@example("\x1c a\x85b \u2028 \u180e\ufeff")
@example("x" * 200 + " " * 100 + "9" * 50)
def test_byte_level_ids_equal(pair: tuple[Any, TextTokenizer], text: str) -> None:
    hf, ours = pair
    assert ours.encode(text) == hf.encode(text).ids
    assert ours.decode(ours.encode(text)) == hf.decode(hf.encode(text).ids, skip_special_tokens=False)


@given(any_text)
def test_byte_level_offsets_equal(pair: tuple[Any, TextTokenizer], text: str) -> None:
    hf, ours = pair
    if hf.normalizer is not None:
        text = unicodedata.normalize("NFC", text)
    found = ours(text, return_offsets_mapping=True).offset_mapping
    assert [tuple(span) for span in found.tolist()] == hf.encode(text).offsets


@pytest.mark.parametrize("pattern", [GPT2_SPLIT, LLAMA3_SPLIT, O200K_SPLIT], ids=["gpt2", "llama3", "o200k"])
def test_patterns_match_as_in_the_regex_package(pattern: str) -> None:
    regex = pytest.importorskip("regex", reason="compares with the regex package")
    reference, ours = regex.compile(pattern), SplitPattern(pattern)
    rng = random.Random(1)
    assigned = [chr(code) for code in range(0x110000) if _old(chr(code)) and not 0xD800 <= code < 0xE000]
    for _ in range(300):
        text = "".join(rng.choice(assigned if rng.random() < 0.5 else everyday) for _ in range(60))
        assert ours.pieces(text) == reference.findall(text)


def test_every_assigned_character_is_split_as_in_the_regex_package() -> None:
    regex = pytest.importorskip("regex", reason="compares with the regex package")
    text = "".join(f"a{chr(code)}1" for code in range(0x30000) if _old(chr(code)) and not 0xD800 <= code < 0xE000)
    assert SplitPattern(GPT2_SPLIT).pieces(text) == regex.findall(GPT2_SPLIT, text)


@pytest.mark.parametrize("pattern", [r"\w+", r"\bfoo", r"^a", r"a$", r"[a-z&&[^b]]", r"(?P<x>a)", r"漢", r"\p{Greek}"])
def test_patterns_that_would_differ_are_refused(pattern: str) -> None:
    with pytest.raises(TokenizerError, match="not supported"):
        SplitPattern(pattern)


def test_training_finds_the_merges_that_hugging_face_finds(tmp_path: Path) -> None:
    hf = Tokenizer(models.BPE())
    hf.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        min_frequency=2,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [*corpus(), "aaaa aaa aa a aaaaaaa", "abab ababab"]
    hf.train_from_iterator(texts, trainer)
    special = SpecialTokens(pad="<pad>", cls=None, sep=None, mask=None, eos="</s>")
    ours = TextTokenizer.train(texts, 700, medical=False, special=special)
    expected = json.loads(hf.to_str())["model"]
    assert ours.to_dict()["tokenizer"]["model"]["merges"] == expected["merges"]
    assert ours.vocab == expected["vocab"]
    ours.save_huggingface(tmp_path)
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in texts[:50]:
        assert again.encode(text).ids == ours.encode(text)


def test_gpt2_files(tmp_path: Path) -> None:
    hf = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    state = json.loads(hf.to_str())["model"]
    merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in state["merges"])]) + "\n"
    for vocab_name, merges_name in (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")):
        folder = tmp_path / vocab_name
        folder.mkdir()
        (folder / vocab_name).write_text(json.dumps(state["vocab"]))
        (folder / merges_name).write_text(merges, encoding="utf-8")
        ours = TextTokenizer.from_pretrained(folder)
        assert ours.eos_token_id == ours.bos_token_id == state["vocab"]["<|endoftext|>"]
        for text in [*corpus()[:40], "é 漢\u3000½ <|endoftext|> x"]:
            assert ours.encode(text) == hf.encode(text).ids


def test_byte_level_from_parts(tmp_path: Path) -> None:
    hf = BYTE_LEVEL["smollm2"]()
    model = json.loads(hf.to_str())["model"]
    special = {name: model["vocab"][name] for name in ("<|endoftext|>", "<|pad|>")}
    ours = TextTokenizer(byte_level_state(model["vocab"], model["merges"], single_digits=True, special=special))
    ours.save_huggingface(tmp_path)
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*corpus()[:40], "a 123 <|endoftext|>4"]:
        assert ours.encode(text) == hf.encode(text).ids == again.encode(text).ids


def test_phi_added_runs_of_spaces(tmp_path: Path) -> None:
    hf = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    hf.add_tokens(
        [AddedToken(" " * n, normalized=True) for n in range(31, 1, -1)] + [AddedToken("\t\t", normalized=True)]
    )
    _, ours = both(hf, tmp_path)
    for text in ("a  b", "def f():\n    return   1\n\t\tx" + " " * 70 + "y", " ", "   "):
        assert ours.encode(text) == hf.encode(text).ids
        assert ours.decode(ours.encode(text)) == text


@pytest.mark.parametrize(
    "options", [{}, {"lstrip": True}, {"rstrip": True}, {"single_word": True}, {"lstrip": True, "rstrip": True}]
)
def test_added_tokens_with_options(tmp_path: Path, options: dict[str, bool]) -> None:
    hf = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    hf.add_special_tokens([AddedToken("<x>", **options), AddedToken("<xy>", **options)])
    hf.add_tokens([AddedToken("member", **options)])
    _, ours = both(hf, tmp_path)
    for text in ("a <x> b", "a<xy>b", "  <x>  <x>", "remember member members member.", "<x><xy><x>y"):
        assert ours.encode(text) == hf.encode(text).ids, text


# BERT
# ------------------------------------------------------------------------------------------------------------------


def wordpiece(**normalizer: Any) -> Any:
    hf = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    hf.normalizer = normalizers.BertNormalizer(**normalizer)
    hf.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    hf.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    hf.train_from_iterator(
        corpus(), trainers.WordPieceTrainer(vocab_size=250, special_tokens=special, show_progress=False)
    )
    hf.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, hf.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return hf


@pytest.fixture(
    scope="module",
    params=[{}, {"lowercase": False}, {"strip_accents": False}, {"handle_chinese_chars": False}],
    ids=str,
)
def bert(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, TextTokenizer]:
    return both(wordpiece(**request.param), tmp_path_factory.mktemp("bert"))


@given(any_text)
@example("ΑΣ ΑΣ. İI ǅ ﬁ Ⅷ")
@example("a\x00b\ufffdc\x1cd\u200be\u00adf")
def test_wordpiece_ids_equal(bert: tuple[Any, TextTokenizer], text: str) -> None:
    hf, ours = bert
    assert ours.encode(text) == hf.encode(text).ids


@given(st.text(st.sampled_from("abcdeABC naïveéñ漢字.,!'-"), max_size=40))
def test_wordpiece_offsets_and_text_equal(bert: tuple[Any, TextTokenizer], text: str) -> None:
    hf, ours = bert
    expected = hf.encode(text)
    found = ours(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    assert [tuple(span) for span in found.offset_mapping.tolist()] == expected.offsets
    assert found.special_tokens_mask.tolist() == expected.special_tokens_mask
    assert ours.decode(expected.ids, skip_special_tokens=True) == hf.decode(expected.ids, skip_special_tokens=True)


def test_bert_vocab_file(tmp_path: Path) -> None:
    hf = wordpiece()
    ordered = sorted(hf.get_vocab(), key=hf.token_to_id)
    (tmp_path / "vocab.txt").write_text("\n".join(ordered) + "\n", encoding="utf-8")
    ours = TextTokenizer.from_pretrained(tmp_path)
    for text in corpus()[:40]:
        assert ours.encode(text) == hf.encode(text).ids
    assert (ours.pad_token_id, ours.cls_token_id, ours.mask_token_id) == (0, 2, 4)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("length", [7, 12, 15])
def test_pairs_truncate_and_pad_alike(tmp_path: Path, side: str, strategy: str, length: int) -> None:
    hf, ours = both(wordpiece(), tmp_path)
    hf.enable_truncation(length, strategy=strategy, direction=side)
    hf.enable_padding(direction=side, length=length, pad_id=0, pad_token="[PAD]")
    ours.truncation_side = ours.padding_side = side  # type: ignore[assignment]
    first, second = (
        ["claim paid", "patient diagnosis claim paid", "a"],
        ["don't", "claim claim claim paid paid", "patient"],
    )
    try:
        expected = hf.encode_batch(list(zip(first, second, strict=True)))
    except Exception:
        with pytest.raises(TokenizerError):
            ours(first, second, truncation=strategy, max_length=length, padding="max_length")  # type: ignore[arg-type]
        return
    found = ours(
        first,
        second,
        truncation=strategy,  # type: ignore[arg-type]
        max_length=length,
        padding="max_length",
        return_token_type_ids=True,
        return_offsets_mapping=True,
    )
    for name, attribute in (
        ("input_ids", "ids"),
        ("attention_mask", "attention_mask"),
        ("token_type_ids", "type_ids"),
        ("offset_mapping", "offsets"),
    ):
        np.testing.assert_array_equal(found[name], np.array([getattr(row, attribute) for row in expected]))


def test_roles_and_limits_come_from_the_config(tmp_path: Path) -> None:
    hf, _ = both(byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False)), tmp_path)
    config = {
        "pad_token": "<|pad|>",
        "eos_token": {"content": "<|endoftext|>"},
        "model_max_length": 16,
        "padding_side": "left",
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    ours = TextTokenizer.from_pretrained(tmp_path)
    assert ours.pad_token_id == hf.token_to_id("<|pad|>")
    assert ours.eos_token_id == hf.token_to_id("<|endoftext|>")
    batch = ours(["claim " * 30, "paid"], truncation=True, padding=True)
    assert batch.input_ids.shape == (2, 16)
    assert batch.attention_mask[1, 0] == 0


def test_saved_in_our_form_it_is_the_same(pair: tuple[Any, TextTokenizer], tmp_path: Path) -> None:
    _, ours = pair
    ours.save_pretrained(tmp_path)
    loaded = TextTokenizer.from_pretrained(tmp_path)
    for text in corpus()[:40]:
        assert loaded.encode(text) == ours.encode(text)
    assert loaded.special == ours.special


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalizer": {"type": "Precompiled"}}, "normalizer 'Precompiled'"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "pre-tokenizer 'Metaspace'"),
        ({"model": {"type": "Unigram", "vocab": {}}}, "model 'Unigram'"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": [], "byte_fallback": True}}, "byte_fallback"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}}, "lacks"),
    ],
)
def test_what_is_not_supported_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    state = {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}} | change
    (tmp_path / "tokenizer.json").write_text(json.dumps(state))
    with pytest.raises(TokenizerError, match=re.escape(message)):
        TextTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "post",
    [
        None,
        processors.ByteLevel(),
        processors.Sequence([processors.ByteLevel()]),
        processors.TemplateProcessing(single="a $A", pair="a $A $B:1", special_tokens=[("a", 0)]),
        processors.RobertaProcessing(("a", 0), ("b", 1)),
        processors.BertProcessing(("a", 0), ("b", 1)),
    ],
    ids=lambda post: type(post).__name__,
)
def test_types_of_a_pair_are_theirs(post: Any, tmp_path: Path) -> None:
    """Also where nothing is put around the pair: the second text is of type 1."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    theirs = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if post is not None:
        theirs.post_processor = post
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = TextTokenizer.from_pretrained(tmp_path)
    for special in (True, False):
        expected = theirs.encode("xy", "z", add_special_tokens=special)
        found = ours("xy", "z", add_special_tokens=special, return_token_type_ids=True)
        assert found["input_ids"].tolist() == expected.ids
        assert found["token_type_ids"].tolist() == expected.type_ids
