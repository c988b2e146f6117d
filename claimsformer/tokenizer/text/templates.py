"""Where the special tokens go around one sequence or two, and how tokens become text again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from claimsformer.tokenizer.base import TokenizerError

__all__ = ["Template", "TemplatePart", "Trimming", "build_template", "build_trimming", "word_piece_text"]


class TemplatePart(NamedTuple):
    """A sequence (`A` or `B`, `token_id` None) or a special token, with its type id."""

    token_id: int | None
    sequence: str
    type_id: int


class Template(NamedTuple):
    """The parts around one sequence and around a pair."""

    single: tuple[TemplatePart, ...]
    pair: tuple[TemplatePart, ...]

    def added(self, pair: bool) -> int:
        """Number of special tokens that it adds."""
        return sum(part.token_id is not None for part in (self.pair if pair else self.single))


_A, _B = TemplatePart(None, "A", 0), TemplatePart(None, "B", 1)
PLAIN = Template((_A,), (_A, _B))


def build_template(state: Mapping[str, Any] | None) -> Template:
    """The post-processor of a `tokenizer.json`; raises TokenizerError for a type that is not supported."""
    if state is None or state["type"] == "ByteLevel":
        return PLAIN
    kind = state["type"]
    if kind == "TemplateProcessing":
        ids = {name: entry["ids"] for name, entry in state.get("special_tokens", {}).items()}
        return Template(_parts(state["single"], ids), _parts(state["pair"], ids))
    if kind == "BertProcessing":
        cls, sep = (TemplatePart(state[name][1], "", 0) for name in ("cls", "sep"))
        return Template((cls, _A, sep), (cls, _A, sep, _B, sep._replace(type_id=1)))
    if kind == "RobertaProcessing":
        cls, sep = (TemplatePart(state[name][1], "", 0) for name in ("cls", "sep"))
        return Template((cls, _A, sep), (cls, _A, sep, sep, _B._replace(type_id=0), sep))
    if kind == "Sequence":
        built = [build_template(part) for part in state["processors"]]
        return next((template for template in built if template is not PLAIN), PLAIN)
    raise TokenizerError(f"post-processor {kind!r} is not supported")


def _parts(entries: Sequence[Mapping[str, Any]], ids: Mapping[str, Sequence[int]]) -> tuple[TemplatePart, ...]:
    parts: list[TemplatePart] = []
    for entry in entries:
        if "Sequence" in entry:
            parts.append(TemplatePart(None, entry["Sequence"]["id"], entry["Sequence"]["type_id"]))
        else:
            token = entry["SpecialToken"]
            parts += [TemplatePart(index, "", token["type_id"]) for index in ids[token["id"]]]
    return tuple(parts)


class Trimming(NamedTuple):
    """How byte-level offsets leave out the spaces at a token's ends; `keep_first`: not the one put before the text."""

    keep_first: bool

    def apply(self, contents: Sequence[bytes], spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """The spans of tokens with these bytes, trimmed."""
        trimmed = []
        for position, (data, (start, stop)) in enumerate(zip(contents, spans, strict=True)):
            leading = len(data) - len(data.lstrip(b" "))
            trailing = len(data) - len(data.rstrip(b" "))
            if leading:
                kept = self.keep_first and (position == 0 or start == 0)
                start = min(start + leading - kept, stop)
            if trailing and stop >= trailing:
                stop = max(stop - trailing, start)
            trimmed.append((start, stop))
        return trimmed


def build_trimming(state: Mapping[str, Any] | None) -> Trimming | None:
    """The trimming that a post-processor asks for, None for offsets as they are."""
    if state is None:
        return None
    if state["type"] == "Sequence":
        return next((t for t in map(build_trimming, state["processors"]) if t is not None), None)
    if state["type"] in {"ByteLevel", "RobertaProcessing"} and state.get("trim_offsets", True):
        return Trimming(bool(state.get("add_prefix_space", True)))
    return None


_CLEANED = (
    *((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m")),
    *((" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")),
)


def word_piece_text(tokens: Sequence[str], prefix: str, cleanup: bool) -> str:
    """WordPiece tokens as text: parts joined, words apart, no space before a full stop."""
    words = []
    for index, token in enumerate(tokens):
        word = token
        if index:
            word = token.removeprefix(prefix) if token.startswith(prefix) else " " + token
        if cleanup:
            for before, after in _CLEANED:
                word = word.replace(before, after)
        words.append(word)
    return "".join(words)
