"""What turns one piece into ids: byte-level BPE, or WordPiece."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Protocol

from claimsformer.tokenizer.base import TokenizerError
from claimsformer.tokenizer.text.bpe import BytePairModel
from claimsformer.tokenizer.text.bytes import BYTE_TO_CHAR, bytes_of_token, encode_bytes

__all__ = ["ByteLevelModel", "PieceModel", "WordPieceModel", "build_model", "character_spans"]

Span = tuple[int, int]


class PieceModel(Protocol):
    """One piece to ids, and to the characters that each id covers."""

    def ids(self, piece: str) -> tuple[int, ...]:
        """The ids of a piece."""
        ...

    def spans(self, piece: str) -> list[Span]:
        """For each of them the characters of the piece, start and end."""
        ...


class ByteLevelModel:
    """Byte-pair encoding of a piece's UTF-8."""

    def __init__(self, bpe: BytePairModel, lengths: Mapping[int, int]) -> None:
        self.bpe = bpe
        self.lengths = dict(lengths)  # bytes of each token

    def ids(self, piece: str) -> tuple[int, ...]:
        """The ids of a piece."""
        return tuple(self.bpe.encode(encode_bytes(piece)))

    def spans(self, piece: str) -> list[Span]:
        """A token that holds a part of a character covers the whole character."""
        return character_spans(piece, [self.lengths.get(index, 1) for index in self.ids(piece)])


def character_spans(piece: str, byte_lengths: list[int]) -> list[Span]:
    """Spans of characters from lengths in bytes."""
    ends = list(accumulate(byte_lengths))
    if piece.isascii():
        return list(zip([0, *ends], ends, strict=False))
    owner = [index for index, character in enumerate(piece) for _ in encode_bytes(character)]
    starts = [0, *ends]
    last = len(owner) - 1
    return [(owner[min(a, last)], owner[min(b - 1, last)] + 1) for a, b in zip(starts, ends, strict=False)]


class WordPieceModel:
    """Longest match first (as in BERT): a word is known as a whole series of parts, or not at all."""

    def __init__(self, vocab: Mapping[str, int], *, unk: str, prefix: str = "##", max_characters: int = 100) -> None:
        self.vocab = vocab
        self.unk_id = vocab[unk]
        self.prefix = prefix
        self.max_characters = max_characters

    def _parts(self, word: str) -> list[tuple[int, Span]]:
        if len(word) > self.max_characters:
            return [(self.unk_id, (0, len(word)))]
        parts, start = [], 0
        while start < len(word):
            stop, head = len(word), self.prefix if start else ""
            while stop > start and head + word[start:stop] not in self.vocab:
                stop -= 1
            if stop == start:
                return [(self.unk_id, (0, len(word)))]
            parts.append((self.vocab[head + word[start:stop]], (start, stop)))
            start = stop
        return parts

    def ids(self, piece: str) -> tuple[int, ...]:
        """The ids of a word."""
        return tuple(index for index, _ in self._parts(piece))

    def spans(self, piece: str) -> list[Span]:
        """The characters of each."""
        return [span for _, span in self._parts(piece)]


def build_model(state: Mapping[str, Any]) -> tuple[PieceModel, dict[str, int]]:
    """The model of a `tokenizer.json` and its vocabulary; raises TokenizerError for other than BPE and WordPiece."""
    vocab: dict[str, int] = state.get("vocab", {})
    kind = state.get("type") or ("BPE" if "merges" in state else "WordPiece")
    if kind == "WordPiece":
        model = WordPieceModel(
            vocab,
            unk=state.get("unk_token", "[UNK]"),
            prefix=state.get("continuing_subword_prefix", "##"),
            max_characters=state.get("max_input_chars_per_word", 100),
        )
        return model, vocab
    if kind != "BPE":
        raise TokenizerError(f"model {kind!r} is not supported: byte-level BPE and WordPiece are")
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if state.get(option):
            raise TokenizerError(
                f"a BPE model with {option}={state[option]!r} is not supported: only byte-level BPE is"
            )
    return _build_byte_level(state, vocab), vocab


def _build_byte_level(state: Mapping[str, Any], vocab: dict[str, int]) -> PieceModel:
    content = {token: bytes_of_token(token) for token in vocab}
    merges = []
    for entry in state["merges"]:
        left, right = entry.split(" ") if isinstance(entry, str) else entry
        try:
            merges.append(((vocab[left], vocab[right]), vocab[left + right]))
        except KeyError as error:
            raise TokenizerError(
                f"the merge {left!r} {right!r} needs the token {error}, which the vocabulary lacks"
            ) from None
    whole_tokens = vocab if state.get("ignore_merges") else state.get("whole", [])
    whole = {data: vocab[token] for token in whole_tokens if (data := content[token]) is not None}
    bpe = BytePairModel(
        [vocab.get(BYTE_TO_CHAR[byte]) for byte in range(256)],
        merges,
        whole=whole,
        unk=None if state.get("unk_token") is None else vocab.get(state["unk_token"]),
    )
    lengths = {vocab[token]: len(data) for token, data in content.items() if data is not None}
    if "markers" in state:
        from claimsformer.tokenizer.text.medical import MedicalModel

        return MedicalModel(bpe, lengths, {name: vocab[name] for name in state["markers"]}, state["drugs"])
    return ByteLevelModel(bpe, lengths)
