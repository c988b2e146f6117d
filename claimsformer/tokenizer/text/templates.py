"""Where the special tokens go around one sequence or two, and how tokens become text again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from claimsformer.tokenizer.base import TokenizerError

__all__ = ["Template", "TemplatePart", "build_template", "trims_offsets", "word_piece_text"]


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
PLAIN = Template((_A,), (_A, _B._replace(type_id=0)))


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


def trims_offsets(state: Mapping[str, Any] | None) -> bool:
    """Whether a byte-level token's characters leave out the white space at its ends."""
    if state is None:
        return False
    if state["type"] == "Sequence":
        return any(trims_offsets(part) for part in state["processors"])
    return state["type"] in {"ByteLevel", "RobertaProcessing"} and bool(state.get("trim_offsets", True))


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
