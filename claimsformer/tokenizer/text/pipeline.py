"""From text to ids: added tokens found, the rest normalized, split, and each piece looked up or encoded."""

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
        splitter: Splitter,
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
        return list(chain.from_iterable(map(self._cache.__getitem__, self.splitter.pieces(text))))

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
                    found, spans = [inner.id], [(first, last)]
                else:
                    found, spans = self._plain_with_spans(part[first:last], first)
                ids += found
                offsets += spans if origin is None and start == 0 else _original(spans, origin, start)
        return ids, offsets

    def _aligned(self, text: str) -> tuple[str, list[Span] | None]:
        return (text, None) if self.normalizer is None else align(self.normalizer, text)

    def _plain_with_spans(self, text: str, base: int) -> tuple[list[int], list[Span]]:
        """Ids and spans of ordinary text that stands at `base`."""
        shift = int(self.prefix_space and bool(text) and not text.startswith(" "))
        text = " " * shift + text
        ids: list[int] = []
        spans: list[Span] = []
        for start, stop in self.splitter.spans(text):
            piece = text[start:stop]
            ids += self._cache[piece]
            at = base + start - shift
            spans += [(at + a, at + b) for a, b in self._span_cache[piece]]
        return ids, [(max(base, a), max(base, b)) for a, b in spans] if shift else spans


def _original(spans: list[Span], origin: list[Span] | None, start: int) -> list[Span]:
    """Spans of the normalized text as spans of the original, which starts at `start`."""
    if origin is None:
        return [(start + a, start + b) for a, b in spans]
    end = origin[-1][1] if origin else 0
    starts, stops = [a for a, _ in origin] + [end], [0] + [b for _, b in origin]
    return [(start + starts[a], start + (stops[b] if b > a else starts[a])) for a, b in spans]
