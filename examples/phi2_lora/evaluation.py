"""What fine-tuning changed: loss on what was held out, facts answered exactly, and what else was forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .formatting import IGNORED, Example, prompt
from .pairs import GENERAL, Pair
from .recipe import Engine

__all__ = ["Evaluation", "evaluate", "general_examples", "right"]


class Evaluation(NamedTuple):
    """`loss` of a held-out label; `facts` of `asked` held-out questions answered with the right words; `general_loss` and
    `general_right` of the prompts that have nothing to do with claims; `answers` to the questions that are shown."""

    loss: float
    facts: int
    asked: int
    general_loss: float
    general_right: int
    answers: list[str]


def right(answer: str, fact: str) -> bool:
    """Whether the answer contains the fact, whatever the case."""
    return fact.lower() in answer.lower()


def general_examples(tokenizer: Any) -> list[Example]:
    """The general prompts; only their continuations count."""
    examples = []
    for start, end in GENERAL:
        encoding = tokenizer(start + end, return_offsets_mapping=True, add_special_tokens=False)
        ids = [int(i) for i in encoding["input_ids"]]
        ends = [int(e) for _, e in encoding["offset_mapping"]]
        labels = [i if e > len(start) else IGNORED for i, e in zip(ids, ends, strict=True)]
        examples.append(Example(ids, labels))
    return examples


def evaluate(
    engine: Engine, held_out: Sequence[Example], asked: Sequence[Pair], shown: Sequence[str], max_new_tokens: int = 40
) -> Evaluation:
    """Losses on `held_out`, greedy answers to `asked` judged by their facts, and greedy answers to `shown`."""
    answers = engine.answer([prompt(pair.instruction) for pair in asked], max_new_tokens)
    facts = sum(right(answer, pair.fact) for answer, pair in zip(answers, asked, strict=True))
    general = engine.answer([start for start, _ in GENERAL], 4)
    return Evaluation(
        loss=engine.loss(held_out),
        facts=facts,
        asked=len(asked),
        general_loss=engine.loss(general_examples(engine.tokenizer)),
        general_right=sum(right(a, end.strip()) for a, (_, end) in zip(general, GENERAL, strict=True)),
        answers=engine.answer([prompt(question) for question in shown], max_new_tokens),
    )
