"""What both tokenizers share: a vocabulary, special tokens, and one `tokenizer.json` in a folder.

`TextTokenizer` and `FieldTokenizer` differ in what they read; they agree in how a token is looked up, saved and found
again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, overload

from claimsformer.errors import ClaimsformerError, WriteError

__all__ = ["TOKENIZER_FILE", "SpecialTokens", "TokenizerError", "TokenizerBase", "read_json", "write_json"]

TOKENIZER_FILE = "tokenizer.json"
FORMAT_VERSION = 1


class TokenizerError(ClaimsformerError, ValueError):
    """A tokenizer was given a file, a specification or an argument that it cannot use."""


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The control tokens of a tokenizer; a role that is None is not in the vocabulary."""

    pad: str | None = "[PAD]"
    cls: str | None = "[CLS]"
    sep: str | None = "[SEP]"
    mask: str | None = "[MASK]"
    bos: str | None = None
    eos: str | None = None
    unk: str | None = None

    def in_order(self) -> list[str]:
        """The distinct tokens, in the order of the roles."""
        roles = (self.pad, self.cls, self.sep, self.mask, self.bos, self.eos, self.unk)
        return list(dict.fromkeys(token for token in roles if token is not None))

    def as_dict(self) -> dict[str, str | None]:
        """Role to token, for saving."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class TokenizerBase:
    """Token to id and back, special tokens, `save_pretrained` and `from_pretrained`."""

    kind: str = ""

    def __init__(self, tokens: Sequence[str], special: SpecialTokens) -> None:
        self.special = special
        self._set_tokens(tokens)

    def _set_tokens(self, tokens: Iterable[str]) -> None:
        self._id_to_token: list[str] = list(tokens)
        self._token_to_id: dict[str, int] = {token: index for index, token in enumerate(self._id_to_token)}
        if len(self._token_to_id) != len(self._id_to_token):
            raise TokenizerError("a vocabulary holds each token once, got a repeated token")

    # The vocabulary -----------------------------------------------------------------------------------------------

    @property
    def vocab(self) -> dict[str, int]:
        """Token to id (a copy)."""
        return dict(self._token_to_id)

    def get_vocab(self) -> dict[str, int]:
        """Token to id (a copy), by Hugging Face's name."""
        return dict(self._token_to_id)

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return len(self._id_to_token)

    def __len__(self) -> int:
        return len(self._id_to_token)

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int | None: ...
    @overload
    def convert_tokens_to_ids(self, tokens: list[str] | tuple[str, ...]) -> list[int | None]: ...
    def convert_tokens_to_ids(self, tokens: str | list[str] | tuple[str, ...]) -> int | list[int | None] | None:
        """The id of a token, or of each; of an unknown token the `unk` token's id, None without one."""
        if isinstance(tokens, str):
            return self._token_to_id.get(tokens, self.unk_token_id)
        return [self._token_to_id.get(token, self.unk_token_id) for token in tokens]

    @overload
    def convert_ids_to_tokens(self, ids: int) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]: ...
    def convert_ids_to_tokens(self, ids: int | Iterable[int]) -> str | list[str]:
        """The token of an id, or of each id; raises IndexError for an id outside the vocabulary."""
        if isinstance(ids, Iterable):
            return [self._token(int(index)) for index in ids]
        return self._token(int(ids))

    def _token(self, index: int) -> str:
        if not 0 <= index < len(self._id_to_token):
            raise IndexError(f"token id must be in [0, {len(self._id_to_token)}), got {index}")
        return self._id_to_token[index]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, special={', '.join(self.special.in_order())})"

    # Special tokens -----------------------------------------------------------------------------------------------

    @property
    def all_special_tokens(self) -> list[str]:
        """The tokens that play a role, in the order of the roles."""
        return self.special.in_order()

    def _special_id(self, token: str | None) -> int | None:
        return None if token is None else self._token_to_id.get(token)

    @property
    def pad_token_id(self) -> int | None:
        """Id of the padding token."""
        return self._special_id(self.special.pad)

    @property
    def cls_token_id(self) -> int | None:
        """Id of the token that stands for the whole sequence."""
        return self._special_id(self.special.cls)

    @property
    def sep_token_id(self) -> int | None:
        """Id of the token between two sequences."""
        return self._special_id(self.special.sep)

    @property
    def mask_token_id(self) -> int | None:
        """Id of the token that hides another."""
        return self._special_id(self.special.mask)

    @property
    def bos_token_id(self) -> int | None:
        """Id of the token that opens a sequence."""
        return self._special_id(self.special.bos)

    @property
    def eos_token_id(self) -> int | None:
        """Id of the token that closes a sequence."""
        return self._special_id(self.special.eos)

    @property
    def unk_token_id(self) -> int | None:
        """Id of the token for what the vocabulary lacks."""
        return self._special_id(self.special.unk)

    # Saving -------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything needed to build this tokenizer again, as JSON values."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The tokenizer that `to_dict` described."""
        raise NotImplementedError

    def save_pretrained(self, folder: str | os.PathLike[str]) -> Path:
        """Write `tokenizer.json` into `folder` (made if missing), whole or not at all; returns its path."""
        path = Path(folder) / TOKENIZER_FILE
        write_json(path, {"format": "claimsformer", "version": FORMAT_VERSION, "kind": self.kind, **self.to_dict()})
        return path

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> Self:
        """Read the tokenizer that `save_pretrained` wrote into `folder` (or into the file `folder` itself)."""
        path = Path(folder)
        path = path / TOKENIZER_FILE if path.is_dir() else path
        state = read_json(path)
        if state.get("format") != "claimsformer" or state.get("kind") != cls.kind:
            found = state.get("kind") or "another library's tokenizer"
            raise TokenizerError(f"{path.name} holds {found!r}, {cls.__name__} reads {cls.kind!r}")
        version = state.get("version", FORMAT_VERSION)
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise TokenizerError(
                f"{path.name} has format version {version!r}, this release reads up to {FORMAT_VERSION}: "
                "install a newer claimsformer"
            )
        try:
            return cls.from_dict(state)
        except TokenizerError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise TokenizerError(f"{path.name} is damaged: it lacks or garbles {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; raises FileNotFoundError, or TokenizerError when it is not one."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path.name} is not JSON ({error}): the file is damaged or no tokenizer") from None
    if not isinstance(state, dict):
        raise TokenizerError(f"{path.name} must hold a JSON object, got {type(state).__name__}")
    return state


def write_json(path: Path, state: Mapping[str, Any]) -> None:
    """Write a JSON object beside `path` and move it into place, so that a reader never sees half a file. Raises WriteError."""
    # ASCII escapes keep lone surrogates, which UTF-8 cannot hold.
    text = json.dumps(state, ensure_ascii=True, indent=1, allow_nan=False)
    try:
        _write_whole(path, text)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}; nothing there was changed") from error


def _write_whole(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tokenizer-", suffix=".json")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii", newline="\n") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
