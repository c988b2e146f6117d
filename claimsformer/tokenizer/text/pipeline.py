"""From text to ids without special tokens: added tokens found, the rest normalized, split, and each piece looked up
or encoded.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from claimsformer.tokenizer.text.added import AddedToken, AddedTokens
from claimsformer.tokenizer.text.models import PieceModel, Span
from claimsformer.tokenizer.text.normalizers import Normalizer, align
from claimsformer.tokenizer.text.splitters import Splitter

__all__ = ["Pipeline"]

CACHE_LIMIT = 1 << 18  # pieces; a piece takes some 200 bytes
LONG_PIECE = 64  # characters; longer pieces hardly ever come back


class _Cache(dict[str, tuple[int, ...]]):
    """Piece to ids; what is missing is encoded, and kept while there is room."""

    def __init__(self, model: PieceModel) -> None:
        super().__init__()
        self._encode = model.ids

    def __missing__(self, piece: str) -> tuple[int, ...]:
        ids = self._encode(piece)
        if len(piece) <= LONG_PIECE:
            if len(self) >= CACHE_LIMIT:
                self.clear()
            self[piece] = ids
        return ids


class Pipeline:
    """The part of a tokenizer that reads text."""

    def __init__(
        self,
        model: PieceModel,
        splitter: Splitter | None,
        normalizer: Normalizer | None,
        added: list[AddedToken],
        *,
        prefix_space: bool = False,
        trim_offsets: bool = False,
    ) -> None:
        self.model = model
        self.splitter = splitter
        self.normalizer = normalizer
        self.prefix_space = prefix_space
        self.trim_offsets = trim_offsets
        self.set_added(added)
        self._cache = _Cache(model)

    def set_added(self, added: list[AddedToken]) -> None:
        """Replace the added tokens."""
        self.added = added
        self._finders = self._build_finders(added)
        self._ordinary_finders = self._build_finders([token for token in added if not token.special])

    def _build_finders(self, added: list[AddedToken]) -> tuple[AddedTokens, AddedTokens]:
        """Tokens found in the text as it is, and tokens found in the normalized text."""
        raw = [token for token in added if not token.normalized]
        normalized = [token for token in added if token.normalized]
        if self.normalizer is not None:
            keep = AddedToken.__dataclass_fields__
            normalized = [
                AddedToken(**{name: getattr(t, name) for name in keep} | {"content": self.normalizer(t.content)})
                for t in normalized
            ]
        return AddedTokens(raw), AddedTokens(normalized)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("a pipeline is rebuilt from its tokenizer.json, not pickled")

    def ids(self, text: str, *, find_special: bool) -> list[int]:
        """The ids of a text."""
        raw, normalized = self._finders if find_special else self._ordinary_finders
        if not raw.by_content and not normalized.by_content:
            return self._plain(text if self.normalizer is None else self.normalizer(text))
        result: list[int] = []
        for start, stop, token in raw.split(text):
            if token is not None:
                result.append(token.id)
                continue
            part = text[start:stop]
            part = part if self.normalizer is None else self.normalizer(part)
            for first, last, inner in normalized.split(part):
                if inner is not None:
                    result.append(inner.id)
                else:
                    result += self._plain(part[first:last])
        return result

    def _plain(self, text: str) -> list[int]:
        if self.prefix_space and text and not text.startswith(" "):
            text = " " + text
        pieces = (
            [text] if self.splitter is None and text else [] if self.splitter is None else self.splitter.pieces(text)
        )
        return list(chain.from_iterable(map(self._cache.__getitem__, pieces)))

    def ids_and_offsets(self, text: str, *, find_special: bool) -> tuple[list[int], list[Span]]:
        """The ids of a text and the characters that each covers."""
        ids: list[int] = []
        offsets: list[Span] = []
        raw, normalized = self._finders if find_special else self._ordinary_finders
        for start, stop, token in raw.split(text):
            if token is not None:
                ids.append(token.id)
                offsets.append((start, stop))
                continue
            part, origin = self._aligned(text[start:stop])
            for first, last, inner in normalized.split(part):
                if inner is not None:
                    found, spans = [inner.id], [(0, last - first)]
                else:
                    found, spans = self._plain_with_spans(part[first:last])
                ids += found
                offsets += [self._original(a + first, b + first, origin, start) for a, b in spans]
        return ids, offsets

    def _aligned(self, text: str) -> tuple[str, list[Span] | None]:
        return (text, None) if self.normalizer is None else align(self.normalizer, text)

    @staticmethod
    def _original(a: int, b: int, origin: list[Span] | None, start: int) -> Span:
        if origin is None:
            return (start + a, start + b)
        if a >= b:
            at = start + (origin[a][0] if a < len(origin) else origin[-1][1] if origin else 0)
            return (at, at)
        return (start + origin[a][0], start + origin[b - 1][1])

    def _plain_with_spans(self, text: str) -> tuple[list[int], list[Span]]:
        shift = int(self.prefix_space and bool(text) and not text.startswith(" "))
        text = " " * shift + text
        ids: list[int] = []
        spans: list[Span] = []
        pieces = (
            [(0, len(text))]
            if self.splitter is None and text
            else []
            if self.splitter is None
            else self.splitter.spans(text)
        )
        for start, stop in pieces:
            piece = text[start:stop]
            ids += self._cache[piece]
            for a, b in self.model.spans(piece):
                spans.append(self._trimmed(text, start + a, start + b) if self.trim_offsets else (start + a, start + b))
        return ids, [(max(0, a - shift), max(0, b - shift)) for a, b in spans]

    @staticmethod
    def _trimmed(text: str, a: int, b: int) -> Span:
        token = text[a:b]
        leading = len(token) - len(token.lstrip())
        trailing = len(token) - len(token.rstrip())
        if leading == len(token):
            return (b, b)
        return (a + leading, b - trailing)
