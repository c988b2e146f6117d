"""`TextTokenizer`: text to ids and back, with the calls that users of Hugging Face's tokenizers know."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from claimsformer.tokenizer.base import TOKENIZER_FILE, SpecialTokens, TokenizerBase, TokenizerError, write_json
from claimsformer.tokenizer.text.added import AddedToken
from claimsformer.tokenizer.text.bytes import bytes_of_token, decode_bytes, encode_bytes
from claimsformer.tokenizer.text.drugs import DEFAULT_DRUGS
from claimsformer.tokenizer.text.encoding import (
    BatchEncoding,
    Encoded,
    Padding,
    Side,
    Truncation,
    pad_length,
    pad_rows,
    truncate,
)
from claimsformer.tokenizer.text.models import build_model
from claimsformer.tokenizer.text.normalizers import build_normalizer
from claimsformer.tokenizer.text.pipeline import Pipeline
from claimsformer.tokenizer.text.splitters import build_splitter
from claimsformer.tokenizer.text.templates import build_template, build_trimming, word_piece_text

__all__ = ["TextTokenizer"]

Text = str | Sequence[str]
PAD_VALUES: dict[str, Any] = {
    "attention_mask": 0,
    "token_type_ids": 0,
    "special_tokens_mask": 1,
    "offset_mapping": (0, 0),
    "labels": -100,
}


class TextTokenizer(TokenizerBase):
    """Reads what a `tokenizer.json` describes: ours, or Hugging Face's byte-level BPE and BERT WordPiece.

    Special tokens that stand in a text are text, unless `split_special_tokens` is False: a claim cannot smuggle them
    in. For a tokenizer of another library they are special tokens, as that library has it.
    """

    kind = "text"

    def __init__(
        self,
        state: Mapping[str, Any],
        *,
        special: SpecialTokens | None = None,
        model_max_length: int | None = None,
        padding_side: Side = "right",
        truncation_side: Side = "right",
        split_special_tokens: bool | None = None,
    ) -> None:
        for name, side in (("padding_side", padding_side), ("truncation_side", truncation_side)):
            if side not in ("left", "right"):
                raise TokenizerError(f"{name} must be 'left' or 'right', got {side!r}")
        if model_max_length is not None and (not isinstance(model_max_length, int) or model_max_length < 1):
            raise TokenizerError(f"model_max_length must be a positive whole number or None, got {model_max_length!r}")
        model, vocab = build_model(state["model"])
        added = [AddedToken.from_dict(entry) for entry in state.get("added_tokens") or []]
        super().__init__(_tokens_in_order(vocab, added), special or _guess_special(added))
        self._state = dict(state)
        self.model_max_length = model_max_length
        self.padding_side: Side = padding_side
        self.truncation_side: Side = truncation_side
        self.split_special_tokens = (
            state.get("medical") is not None if split_special_tokens is None else split_special_tokens
        )
        self.template = build_template(state.get("post_processor"))
        self._pipeline = Pipeline(
            model,
            build_splitter(state.get("pre_tokenizer")),
            build_normalizer(state.get("normalizer")),
            added,
            prefix_space=_adds_prefix_space(state.get("pre_tokenizer")),
        )
        self._trimming = build_trimming(state.get("post_processor"))
        self._decoder = state.get("decoder") or {}
        self._special_ids = frozenset(token.id for token in added if token.special)
        markers = state["model"].get("markers", [])
        self._content = self._contents(added, markers)

    def _contents(self, added: Iterable[AddedToken], markers: Iterable[str]) -> list[bytes]:
        """The bytes that each id spells."""
        found = [bytes_of_token(token) for token in self._id_to_token]
        content = [encode_bytes(t) if data is None else data for t, data in zip(self._id_to_token, found, strict=True)]
        for token in added:
            content[token.id] = encode_bytes(token.content)
        for marker in markers:
            content[self._token_to_id[marker]] = b" " if marker.endswith(" ") else b""
        return content

    # Text to ids --------------------------------------------------------------------------------------------------

    def encode(
        self,
        text: str,
        text_pair: str | None = None,
        *,
        add_special_tokens: bool = True,
        truncation: Truncation = False,
        max_length: int | None = None,
    ) -> list[int]:
        """The ids of a text (or of a pair), with the template's special tokens unless told otherwise."""
        limit = self._limit(truncation, max_length, False)
        return self._encoded(text, text_pair, add_special_tokens, False, truncation, limit).ids

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, without special tokens."""
        return self.convert_ids_to_tokens(self.encode(text, add_special_tokens=False))

    def encode_batch(self, texts: Sequence[str], *, processes: int | None = None) -> list[npt.NDArray[np.int64]]:
        """The ids of many texts without special tokens; several processes pay from some ten megabytes on."""
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise TokenizerError("encode_batch takes a list of str")
        if processes is not None and processes < 1:
            raise TokenizerError(f"processes must be at least 1, got {processes}")
        if processes is not None and processes > 1:
            from claimsformer.tokenizer.text.parallel import ParallelEncoder

            with ParallelEncoder(self, processes) as encoder:
                return encoder.encode_batch(texts)
        find = not self.split_special_tokens
        return [np.array(self._pipeline.ids(text, find_special=find), dtype=np.int64) for text in texts]

    def __call__(
        self,
        text: Text,
        text_pair: Text | None = None,
        *,
        add_special_tokens: bool = True,
        padding: Padding = False,
        truncation: Truncation = False,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: Side | None = None,
        return_attention_mask: bool = True,
        return_token_type_ids: bool = False,
        return_offsets_mapping: bool = False,
        return_special_tokens_mask: bool = False,
        return_length: bool = False,
        return_tensors: Literal["np"] | None = None,
    ) -> BatchEncoding:
        """Ids and masks of one text, or of several, as a mapping of int64 arrays; offsets are characters, (T, 2).

        `max_length` is where `truncation` cuts and what `padding="max_length"` fills up to; it counts special tokens,
        and without it the model's own is used. With `return_tensors="np"` one text
        makes a batch too, (1, T), and texts of different lengths must be padded. Raises TokenizerError for what
        cannot be done.
        """
        _check_tensors(return_tensors)
        if isinstance(text, bytes) or not isinstance(text, Iterable):
            raise TokenizerError(f"text must be a str or a list of them, got {type(text).__name__}")
        single = isinstance(text, str)
        texts = [text] if isinstance(text, str) else list(text)
        pairs: list[str | None] = [None] * len(texts)
        if text_pair is not None:
            pairs = [text_pair] if isinstance(text_pair, str) else list(text_pair)
            if len(pairs) != len(texts):
                raise TokenizerError(f"text and text_pair must be equally many, got {len(texts)} and {len(pairs)}")
        limit = self._limit(truncation, max_length, padding)
        rows = [
            self._encoded(a, b, add_special_tokens, return_offsets_mapping, truncation, limit)
            for a, b in zip(texts, pairs, strict=True)
        ]
        fields: dict[str, list[Any]] = {"input_ids": [row.ids for row in rows]}
        if return_token_type_ids:
            fields["token_type_ids"] = [row.types for row in rows]
        if return_attention_mask:
            fields["attention_mask"] = [[1] * len(row.ids) for row in rows]
        if return_special_tokens_mask:
            fields["special_tokens_mask"] = [row.special for row in rows]
        if return_offsets_mapping:
            fields["offset_mapping"] = [row.offsets for row in rows]
        if return_length:
            fields["length"] = [len(row.ids) for row in rows]
        length = max_length if max_length is not None else self.model_max_length
        target = pad_length([len(row.ids) for row in rows], padding, length, pad_to_multiple_of)
        if return_tensors == "np" and target is None and len({len(row.ids) for row in rows}) > 1:
            raise TokenizerError("texts of different lengths make no array: set padding=True")
        return self._arrays(fields, target, single and return_tensors is None, padding_side or self.padding_side)

    def _limit(self, truncation: Truncation, max_length: int | None, padding: Padding) -> int | None:
        if truncation is False or truncation == "do_not_truncate":
            if max_length is not None and padding != "max_length":
                raise TokenizerError(
                    f"max_length={max_length} limits nothing by itself: "
                    "add truncation=True to cut, or padding='max_length' to fill up"
                )
            return None
        limit = self.model_max_length if max_length is None else max_length
        if limit is None:
            raise TokenizerError("truncation needs max_length: the tokenizer has no model_max_length")
        return limit

    def _encoded(
        self,
        text: str,
        pair: str | None,
        add_special_tokens: bool,
        offsets: bool,
        truncation: Truncation = False,
        limit: int | None = None,
    ) -> Encoded:
        first = self._sequence(text, offsets)
        second = None if pair is None else self._sequence(pair, offsets)
        if limit is not None:
            room = limit - (self.template.added(pair is not None) if add_special_tokens else 0)
            first, second = truncate(first, second, room, truncation, self.truncation_side)
        return self._join(first, second, add_special_tokens, offsets)

    def _sequence(self, text: str, offsets: bool) -> Encoded:
        if not isinstance(text, str):
            raise TokenizerError(f"a text must be a str, got {type(text).__name__}")
        if offsets:
            ids, spans = self._pipeline.ids_and_offsets(text, find_special=not self.split_special_tokens)
            if self._trimming is not None:
                spans = self._trimming.apply([self._content[index] for index in ids], spans)
            return Encoded(ids, spans)
        return Encoded(self._pipeline.ids(text, find_special=not self.split_special_tokens))

    def _join(self, first: Encoded, second: Encoded | None, add_special_tokens: bool, offsets: bool) -> Encoded:
        joined = Encoded([])
        for part in self.template.single if second is None else self.template.pair:
            if part.token_id is not None:
                if add_special_tokens:
                    joined.ids.append(part.token_id)
                    joined.offsets.append((0, 0))
                    joined.types.append(part.type_id)
                    joined.special.append(1)
                continue
            source = first if part.sequence == "A" or second is None else second
            joined.ids += source.ids
            joined.offsets += source.offsets
            joined.types += [part.type_id] * len(source.ids)
            joined.special += [0] * len(source.ids)
        return joined

    # Padding ------------------------------------------------------------------------------------------------------

    def pad(
        self,
        encoded_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        padding: Padding = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: Side | None = None,
        return_tensors: Literal["np"] | None = None,
    ) -> BatchEncoding:
        """Encodings of different lengths as one batch of (B, T) arrays, or one encoding as (T,) arrays.

        An attention mask is made if there is none; what is one number an encoding, such as a label, becomes (B,).
        """
        _check_tensors(return_tensors)
        fields = _columns(encoded_inputs)
        if "input_ids" not in fields:
            raise TokenizerError(f"pad needs input_ids, got {', '.join(fields) or 'nothing'}")
        single = len(fields["input_ids"]) > 0 and np.ndim(fields["input_ids"][0]) == 0
        if single:
            fields = {name: [values] for name, values in fields.items()}
        lengths = [len(row) for row in fields["input_ids"]]
        fields.setdefault("attention_mask", [[1] * length for length in lengths])
        target = pad_length(lengths, padding, max_length, pad_to_multiple_of)
        return self._arrays(fields, target, single, padding_side or self.padding_side)

    def _arrays(self, fields: Mapping[str, list[Any]], target: int | None, single: bool, side: Side) -> BatchEncoding:
        batch = BatchEncoding()
        lengths = {len(row) for row in fields["input_ids"]}
        if target is not None and self.pad_token_id is None and (len(lengths) > 1 or lengths != {target}):
            raise TokenizerError("this tokenizer has no pad token: call set_special with one of its tokens as pad")
        for name, rows in fields.items():
            if name == "length" or (rows and np.ndim(rows[0]) == 0):
                batch[name] = np.array(rows[0] if single else rows)
                continue
            value = self.pad_token_id if name == "input_ids" else PAD_VALUES.get(name, 0)
            if target is not None or len(lengths) <= 1:
                whole = pad_rows(rows, target or 0, 0 if value is None else value, side)
                batch[name] = whole[0] if single else whole
            else:
                batch[name] = [np.asarray(row, dtype=np.int64) for row in rows]
        return batch

    # Ids to text --------------------------------------------------------------------------------------------------

    def decode(self, token_ids: int | Iterable[int], *, skip_special_tokens: bool = False) -> str:
        """The text that the ids spell; raises IndexError for an id outside the vocabulary."""
        if isinstance(token_ids, str):
            raise TokenizerError("decode takes ids, got a str")
        try:
            ids = (
                [operator.index(i) for i in token_ids]
                if isinstance(token_ids, Iterable)
                else [operator.index(token_ids)]
            )
        except TypeError:
            raise TokenizerError(
                "decode takes the ids of one text, whole numbers; see batch_decode for several"
            ) from None
        for index in ids:
            self._token(index)
        if skip_special_tokens:
            ids = [index for index in ids if index not in self._special_ids]
        if self._decoder.get("type") == "WordPiece":
            tokens = [self._id_to_token[index] for index in ids]
            return word_piece_text(tokens, self._decoder.get("prefix", "##"), self._decoder.get("cleanup", True))
        return decode_bytes(b"".join([self._content[index] for index in ids]))

    def batch_decode(self, sequences: Iterable[Iterable[int]], *, skip_special_tokens: bool = False) -> list[str]:
        """The text of each sequence."""
        return [self.decode(ids, skip_special_tokens=skip_special_tokens) for ids in sequences]

    # Special tokens -----------------------------------------------------------------------------------------------

    def set_special(self, special: SpecialTokens) -> None:
        """Set which tokens play which role (a pad token for GPT-2); raises TokenizerError for unknown tokens."""
        unknown = [token for token in special.in_order() if token not in self._token_to_id]
        if unknown:
            raise TokenizerError(f"not in the vocabulary: {', '.join(unknown)}")
        self.special = special

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens of the vocabulary, in the order of their ids."""
        return self.convert_ids_to_tokens(self.all_special_ids)

    @property
    def all_special_ids(self) -> list[int]:
        """Ids of the special tokens of the vocabulary, ascending."""
        return sorted(self._special_ids)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens the template puts around one sequence, or a pair."""
        return self.template.added(pair)

    # Saving -------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The `tokenizer.json`, with the roles of the special tokens beside it."""
        return {
            "special": self.special.as_dict(),
            "model_max_length": self.model_max_length,
            "padding_side": self.padding_side,
            "truncation_side": self.truncation_side,
            "split_special_tokens": self.split_special_tokens,
            "tokenizer": self._state,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The tokenizer that `to_dict` described."""
        options = {
            name: state[name]
            for name in ("model_max_length", "padding_side", "truncation_side", "split_special_tokens")
        }
        return cls(state["tokenizer"], special=SpecialTokens(**state["special"]), **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_dict, (self.to_dict(),)

    def save_huggingface(self, folder: str | os.PathLike[str]) -> Path:
        """Write a `tokenizer.json` that Hugging Face's `tokenizers` reads; raises TokenizerError for a medical one."""
        if self._state.get("medical") is not None:
            raise TokenizerError("medical units have no form in Hugging Face's tokenizer.json: use save_pretrained")
        path = Path(folder) / TOKENIZER_FILE
        write_json(path, self._state)
        return path

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a folder or file: ours, a Hugging Face `tokenizer.json`, GPT-2's two files, or BERT's `vocab.txt`."""
        from claimsformer.tokenizer.text.files import read_tokenizer_files

        state, options = read_tokenizer_files(Path(folder))
        if state.get("format") == "claimsformer":
            return super().from_pretrained(folder)
        if not isinstance(state.get("model"), Mapping):
            raise TokenizerError("this JSON file has no 'model': it is no tokenizer.json")
        return cls(state, **options)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        medical: bool = True,
        drugs: Iterable[str] = DEFAULT_DRUGS,
        min_frequency: int = 2,
        special: SpecialTokens | None = None,
        extra_special: Iterable[str] = (),
        template: Literal["none", "cls_sep", "bos_eos"] = "none",
    ) -> Self:
        """Learn a tokenizer of at most `vocab_size` tokens from texts; the order of the texts makes no difference.

        medical: recognise units (codes, drugs, doses ...) before merging; False is GPT-2's kind of tokenizer.
        drugs: names that are one token each. min_frequency: what is seen less often is not merged.
        special: which tokens play which role; extra_special: more special tokens.
        template: what `encode` puts around a text: nothing, [CLS] ... [SEP], or the bos and eos tokens of `special`.
        Raises TokenizerError for texts that are one str, and for a vocabulary too small for its fixed tokens.
        """
        from claimsformer.tokenizer.text.training import train_state

        if isinstance(texts, str | bytes):
            raise TokenizerError(f"texts must be many texts, such as a list of str, got one {type(texts).__name__}")
        state, found = train_state(
            texts,
            vocab_size,
            medical=medical,
            drugs=drugs,
            min_frequency=min_frequency,
            special=special,
            extra_special=extra_special,
            template=template,
        )
        return cls(state, special=found)


def _check_tensors(kind: object) -> None:
    if kind not in (None, "np"):
        raise TokenizerError(
            f"return_tensors must be 'np' or None, got {kind!r}: arrays are NumPy's here, "
            "and models take them as they are"
        )


def _columns(encodings: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Lists by name, of one encoding of many texts or of many encodings."""
    if isinstance(encodings, Mapping):
        return {name: values if isinstance(values, int | float) else list(values) for name, values in encodings.items()}
    names = list(encodings[0]) if encodings else []
    for entry in encodings:
        if set(entry) != set(names):
            raise TokenizerError(f"pad needs encodings of one kind, got {', '.join(names)} and {', '.join(entry)}")
    return {name: [entry[name] for entry in encodings] for name in names}


def _tokens_in_order(vocab: Mapping[str, int], added: Iterable[AddedToken]) -> list[str]:
    """Tokens by id; an id that nothing names gets a name that says so."""
    by_id = {index: token for token, index in vocab.items()}
    by_id |= {token.id: token.content for token in added}
    if max(by_id, default=0) > 2 * len(by_id) + 100_000:
        raise TokenizerError(f"the vocabulary of {len(by_id)} tokens has the id {max(by_id)}: the file is damaged")
    return [by_id.get(index, f"<|unused {index}|>") for index in range(max(by_id, default=-1) + 1)]


def _guess_special(added: Iterable[AddedToken]) -> SpecialTokens:
    """Roles by the names that BERT and GPT-2 gave them."""
    names = {token.content for token in added}

    def known(*candidates: str) -> str | None:
        return next((name for name in candidates if name in names), None)

    end = known("<|endoftext|>", "</s>", "<|end_of_text|>")
    return SpecialTokens(
        pad=known("[PAD]", "<pad>", "<|pad|>"),
        cls=known("[CLS]"),
        sep=known("[SEP]"),
        mask=known("[MASK]", "<mask>"),
        bos=known("<|begin_of_text|>", "<s>") or end,
        eos=end,
        unk=known("[UNK]", "<unk>"),
    )


def _adds_prefix_space(state: Mapping[str, Any] | None) -> bool:
    if state is None:
        return False
    if state["type"] == "Sequence":
        return any(_adds_prefix_space(part) for part in state["pretokenizers"])
    return state["type"] == "ByteLevel" and bool(state.get("add_prefix_space", False))
