"""Training a text tokenizer: the pieces of a corpus, which become tokens whole, and merges for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

from claimsformer.tokenizer.base import SpecialTokens, TokenizerError
from claimsformer.tokenizer.text.bytes import BYTE_TO_CHAR, bytes_of_token, encode_bytes, token_of_bytes
from claimsformer.tokenizer.text.drugs import DEFAULT_DRUGS
from claimsformer.tokenizer.text.files import byte_level_state
from claimsformer.tokenizer.text.medical import MARKERS, SPACED, MedicalSplitter, pieces_of
from claimsformer.tokenizer.text.medical_patterns import classify
from claimsformer.tokenizer.text.patterns import GPT2_SPLIT, SplitPattern
from claimsformer.tokenizer.text.trainer import BYTES_IN_ORDER, learn_merges

__all__ = ["train_state"]

TemplateName = Literal["none", "cls_sep", "bos_eos"]
WHOLE_SHARE = 0.25  # of the room for learned tokens, at most, for the pieces of medical units


def train_state(
    texts: Iterable[str],
    vocab_size: int,
    *,
    medical: bool = True,
    drugs: Iterable[str] = DEFAULT_DRUGS,
    min_frequency: int = 2,
    special: SpecialTokens | None = None,
    extra_special: Iterable[str] = (),
    template: TemplateName = "none",
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
    names_of_drugs = [token_of_bytes(encode_bytes(spelling)) for drug in drugs for spelling in (drug, " " + drug)]
    whole = [token for token in dict.fromkeys(names_of_drugs) if token not in tokens]
    room = vocab_size - len(tokens) - len(whole)
    if room < 0:
        least = (
            f"{vocab_size - room} ({len(names)} special, {len(markers)} markers, 256 bytes, {len(whole)} drug names)"
        )
        way = "; drugs=[...] replaces the names, medical=False needs neither names nor markers" if medical else ""
        raise TokenizerError(f"vocab_size must be at least {least}, got {vocab_size}{way}")
    words, units = _count_medical(texts, drugs) if medical else (_count(texts), Counter[str]())
    whole += _frequent_pieces(units, min_frequency, int(room * WHOLE_SHARE), {*tokens, *whole})
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
    state = _state(names, vocab, pairs, whole, markers, drugs, medical)
    if template != "none":
        state["post_processor"] = _post_processor(template, special, vocab)
    return state, special


def _post_processor(template: TemplateName, special: SpecialTokens, vocab: dict[str, int]) -> dict[str, Any]:
    """[CLS] A [SEP] B [SEP], or <bos> A <eos>; raises TokenizerError when a role has no token."""
    first, last = (special.cls, special.sep) if template == "cls_sep" else (special.bos, special.eos)
    if first is None or last is None:
        raise TokenizerError(
            f"template {template!r} needs special tokens for both of its roles, got {first} and {last}"
        )

    def token(name: str, type_id: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": type_id}}

    def sequence(name: str, type_id: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": type_id}}

    return {
        "type": "TemplateProcessing",
        "single": [token(first, 0), sequence("A", 0), token(last, 0)],
        "pair": [token(first, 0), sequence("A", 0), token(last, 0), sequence("B", 1), token(last, 1)],
        "special_tokens": {name: {"id": name, "ids": [vocab[name]], "tokens": [name]} for name in (first, last)},
    }


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


def _frequent_pieces(units: Counter[str], min_frequency: int, budget: int, taken: set[str]) -> list[str]:
    """Tokens for the most frequent pieces of units that have none yet."""
    frequent = sorted((piece for piece, count in units.items() if count >= min_frequency), key=lambda p: (-units[p], p))
    tokens = (token_of_bytes(encode_bytes(piece)) for piece in frequent)
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
    state = byte_level_state(vocab, merges, special={name: vocab[name] for name in names})
    if medical:
        state |= {
            "medical": {"version": 1},
            "pre_tokenizer": {"type": "Medical", "drugs": drugs},
            "post_processor": None,
        }
        state["model"] |= {"whole": whole, "markers": markers, "drugs": drugs}
    return state
