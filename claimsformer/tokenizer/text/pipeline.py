"""From text to ids without special tokens: added tokens found, the rest normalized, split, and each piece looked up
or encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Generic, TypeVar

from claimsformer.tokenizer.text.added import AddedToken, AddedTokens
from claimsformer.tokenizer.text.models import PieceModel, Span
from claimsformer.tokenizer.text.normalizers import Normalizer, align
from claimsformer.tokenizer.text.splitters import Splitter

__all__ = ["Pipeline"]

CACHE_LIMIT = 1 << 18  # pieces; a piece takes some 200 bytes
LONG_PIECE = 64  # characters; longer pieces hardly ever come back


Found = TypeVar("Found", bound=Sequence[Any])


class _Cache(dict[str, Found], Generic[Found]):
    """Piece to ids (or to spans); what is missing is computed, and kept while there is room."""

    def __init__(self, compute: Callable[[str], Found]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, piece: str) -> Found:
        found = self._compute(piece)
        if len(piece) <= LONG_PIECE:
            if len(self) >= CACHE_LIMIT:
                self.clear()
            self[piece] = found
        return found


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
    ) -> None:
        self.model = model
        self.splitter = splitter
        self.normalizer = normalizer
        self.prefix_space = prefix_space
        self.set_added(added)
        self._cache = _Cache(model.ids)
        self._span_cache = _Cache(model.spans)

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
            spans += [(start + a - shift, start + b - shift) for a, b in self._span_cache[piece]]
        return ids, [(max(0, a), max(0, b)) for a, b in spans]
