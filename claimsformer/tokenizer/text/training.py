"""Training a text tokenizer: which pieces a corpus has, which become tokens whole, and byte-pair merges for the
rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from claimsformer.tokenizer.base import SpecialTokens, TokenizerError
from claimsformer.tokenizer.text.bytes import BYTE_TO_CHAR, bytes_of_token, encode_bytes, token_of_bytes
from claimsformer.tokenizer.text.drugs import DEFAULT_DRUGS
from claimsformer.tokenizer.text.medical import MARKERS, SPACED, MedicalSplitter, pieces_of
from claimsformer.tokenizer.text.medical_patterns import classify
from claimsformer.tokenizer.text.patterns import GPT2_SPLIT, SplitPattern
from claimsformer.tokenizer.text.trainer import BYTES_IN_ORDER, learn_merges

__all__ = ["train_state"]

WHOLE_SHARE = 0.25  # of the vocabulary, at most, for the pieces of medical units


def train_state(
    texts: Iterable[str],
    vocab_size: int,
    *,
    medical: bool = True,
    drugs: Iterable[str] = DEFAULT_DRUGS,
    min_frequency: int = 2,
    special: SpecialTokens | None = None,
    extra_special: Iterable[str] = (),
) -> tuple[dict[str, Any], SpecialTokens]:
    """A `tokenizer.json` with at most `vocab_size` tokens, learned from texts, and the roles of its special tokens.

    With `medical`, units are recognised (see `medical`), every drug of the list is one token, and pieces of units
    seen at least `min_frequency` times are tokens whole, the most frequent first, up to a quarter of the vocabulary.
    Without, it is GPT-2's kind of tokenizer and can be saved for Hugging Face. The result depends on the texts, not
    on their order.
    """
    special = special or SpecialTokens(sep="[SEP]", bos=None, eos="[EOS]")
    names = list(dict.fromkeys([*special.in_order(), *extra_special]))
    drugs = sorted({" ".join(name.lower().split()) for name in drugs}) if medical else []
    markers = [marker + space for marker in MARKERS for space in ("", SPACED)] if medical else []
    tokens = names + markers + [BYTE_TO_CHAR[byte] for byte in BYTES_IN_ORDER]
    if vocab_size < len(tokens):
        raise TokenizerError(
            f"vocab_size must be at least {len(tokens)} (special tokens, markers, bytes), got {vocab_size}"
        )
    words, units = _count_medical(texts, drugs) if medical else (_count(texts), Counter[str]())
    whole = _whole_pieces(units, drugs, vocab_size, min_frequency, vocab_size - len(tokens), set(tokens))
    first_byte = len(names) + len(markers)
    reserved = set(names + markers)
    known = {
        data: len(tokens) + index for index, token in enumerate(whole) if (data := bytes_of_token(token)) is not None
    }
    tokens += whole
    counts = {encode_bytes(word): count for word, count in words.items()}
    merges = learn_merges(
        {word: count for word, count in counts.items() if word not in known},
        vocab_size - len(tokens),
        first_id=len(tokens),
        byte_ids={byte: first_byte + index for index, byte in enumerate(BYTES_IN_ORDER)},
        min_frequency=min_frequency,
        reserved=reserved,
        known=known,
    )
    vocab = {token: index for index, token in enumerate(tokens)}
    vocab |= {token_of_bytes(data): index for _, index, data in merges}
    name_of = {index: token for token, index in vocab.items()}
    pairs = [[name_of[left], name_of[right]] for (left, right), _, _ in merges]
    return _state(names, vocab, pairs, whole, markers, drugs, medical), special


def _count(texts: Iterable[str]) -> Counter[str]:
    words: Counter[str] = Counter()
    split = SplitPattern(GPT2_SPLIT).pieces
    for text in texts:
        words.update(split(text))
    return words


def _count_medical(texts: Iterable[str], drugs: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """How often each piece occurs in the corpus, and of those the pieces of units."""
    splitter = MedicalSplitter(drugs)
    units: Counter[str] = Counter()
    for text in texts:
        units.update(splitter.pieces(text))
    words: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    for unit, count in units.items():
        known = classify(unit, splitter.drugs) is not None
        for piece in pieces_of(unit, splitter.drugs):
            if piece.marker is None:
                words[piece.text] += count
                if known:
                    parts[piece.text] += count
    return words, parts


def _whole_pieces(
    units: Counter[str], drugs: Iterable[str], vocab_size: int, min_frequency: int, room: int, taken: set[str]
) -> list[str]:
    """Tokens for whole pieces: drug names with and without a space before them, then frequent pieces of units."""
    names = [spelling for drug in drugs for spelling in (drug, " " + drug)]
    frequent = sorted((piece for piece, count in units.items() if count >= min_frequency), key=lambda p: (-units[p], p))
    budget = min(room, int(vocab_size * WHOLE_SHARE))
    tokens = dict.fromkeys(token_of_bytes(encode_bytes(piece)) for piece in [*names, *frequent])
    return [token for token in tokens if token not in taken][:budget]


def _state(
    names: list[str],
    vocab: dict[str, int],
    merges: list[list[str]],
    whole: list[str],
    markers: list[str],
    drugs: list[str],
    medical: bool,
) -> dict[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    state: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocab[name], "content": name, "single_word": False, "lstrip": False, "rstrip": False}
            | {"normalized": False, "special": True}
            for name in names
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Medical", "drugs": drugs} if medical else byte_level,
        "post_processor": None if medical else byte_level,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None}
        | {"end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
        | {"vocab": vocab, "merges": merges},
    }
    if medical:
        state["medical"] = {"version": 1}
        state["model"] |= {"whole": whole, "markers": markers, "drugs": drugs}
    return state
