"""Writing: one token at a time, each chosen from the scores that the model gives after all tokens before it.

    result = generate(model, [[5, 3, 8], [2]], max_new_tokens=20, temperature=0.8, top_p=0.95, seed=0)
    result.sequences()  # two arrays of new ids

Greedy by default (`temperature=0`); sampling with temperature, top-k and top-p; beam search with `n_beams`. Prompts of
different lengths are padded on the left, so that every row's last token stands in the last column.
What it does not do: speculative decoding, or stopping on text (give ids, or a function of ids).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from tensorlite import Tensor

from .beam_search import beam_search
from .evaluation import evaluating
from .sampling import adjusted, draw, keep_top_k, keep_top_p, log_softmax
from .stepper import Stepper

if TYPE_CHECKING:
    from .model import Transformer

__all__ = ["Generation", "GenerationOptions", "generate", "left_pad"]

Ids = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Stop = Callable[[Ids], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationOptions:
    """How to choose tokens and when to stop.

    max_new_tokens: at most so many. temperature: 0 takes the most likely token; otherwise logits are divided by it and
        a token is drawn. top_k, top_p: draw only from the k likeliest, or from the fewest that reach probability p.
    n_beams: beam search of that width instead; the result with the highest log-probability / length ** length_penalty.
    eos_id, pad_id, bos_id: None takes the model's; `stop`: sequences of ids, or functions of the new ids, that end a row.
    adjust: a function of (new ids (B, N), logits (B, V)) that returns other logits, for rules about what may follow.
    seed: row i draws from a stream of its own, made of (seed, i). use_cache: keep keys and values between tokens.
    """

    max_new_tokens: int = 32
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    n_beams: int | None = None
    length_penalty: float = 1.0
    eos_id: int | None = None
    pad_id: int | None = None
    bos_id: int | None = None
    stop: Sequence[Sequence[int] | Stop] = ()
    adjust: Callable[[Ids, Floats], Floats] | None = None
    seed: int = 0
    use_cache: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.max_new_tokens, int) or self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be a whole number, at least 1, got {self.max_new_tokens}")
        for stop in self.stop:
            if not callable(stop) and not np.size(stop) * np.ndim(stop):
                raise ValueError(f"stop holds sequences of ids or functions, got {stop!r}; one id is a sequence [id]")
        if not math.isfinite(self.length_penalty):
            raise ValueError(f"length_penalty must be finite, got {self.length_penalty}")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 (greedy) or positive, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if self.n_beams is not None and self.n_beams < 1:
            raise ValueError(f"n_beams must be at least 1, got {self.n_beams}")
        draws = self.temperature > 0
        if not draws and (self.top_k is not None or self.top_p is not None):
            raise ValueError(
                "top_k and top_p choose what to draw from: give temperature=1.0 too; temperature 0 is greedy"
            )
        if self.n_beams is not None and draws:
            raise ValueError("n_beams and temperature exclude each other: beam search does not draw")


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """New tokens `ids (B, N)`, padded behind the end of each; `lengths (B,)`, and the sum of the tokens' log-probabilities."""

    ids: Ids
    lengths: Ids
    log_probs: Floats

    def sequences(self) -> list[Ids]:
        """The new ids of each row, without padding; with the token or sequence that ended it."""
        return [row[:n] for row, n in zip(self.ids, self.lengths, strict=True)]


def left_pad(sequences: Sequence[Sequence[int]], pad_id: int = 0) -> tuple[Ids, Bools]:
    """Ids `(B, T)` and mask `(B, T)` of sequences of different lengths, padding in front. Raises ValueError for an empty one."""
    if not sequences or min(map(len, sequences)) == 0:
        raise ValueError("every prompt needs at least one token; start an empty one with bos_id")
    longest = max(map(len, sequences))
    ids = np.full((len(sequences), longest), pad_id, np.int64)
    mask = np.zeros((len(sequences), longest), np.bool_)
    for i, sequence in enumerate(sequences):
        ids[i, longest - len(sequence) :] = np.asarray(sequence)
        mask[i, longest - len(sequence) :] = True
    return ids, mask


def generate(
    model: Transformer, ids: Any = None, *, attention_mask: Any = None, input_ids: Any = None, **options: Any
) -> Generation:
    """Continue the prompts `ids` (a decoder), or write what answers the sources `ids` (an encoder-decoder).

    `ids` is `(B, T)` with `attention_mask`, or a list of sequences of any lengths; `input_ids` is another name for it, so
    that a tokenizer's batch fits: `generate(model, **batch)`. See `GenerationOptions` for the rest. The model is put into evaluation mode meanwhile. Raises ValueError for options or prompts that make no sense, TypeError
    for an option that does not exist.
    """
    _check_names(options)
    if (ids is None) == (input_ids is None):
        raise ValueError("give the prompts once, as ids (B, T) or input_ids (B, T)")
    ids = input_ids if ids is None else ids
    chosen = _with_defaults(GenerationOptions(**options), model)
    prompt, mask = _prompt(ids, attention_mask, chosen.pad_id or 0, model.config.architecture)
    _check_length(model, prompt, chosen)
    with evaluating(model), tl.no_grad():
        stepper = Stepper(model, prompt, mask, chosen.bos_id, chosen.use_cache)
        if chosen.n_beams is not None:
            return Generation(*beam_search(stepper, chosen, _Ending(chosen)))
        return _one_by_one(stepper, chosen)


def _one_by_one(stepper: Stepper, options: GenerationOptions) -> Generation:
    rows = stepper.rows
    streams = [np.random.default_rng([options.seed, i]) for i in range(rows)]
    ends = _Ending(options)
    ids = np.full((rows, options.max_new_tokens), ends.pad_id, np.int64)
    lengths = np.zeros(rows, np.int64)
    totals = np.zeros(rows)
    alive = np.ones(rows, np.bool_)
    n = 0
    while n < options.max_new_tokens and alive.any():
        logits = stepper.next_logits(ids[:, n - 1] if n else None)
        if options.adjust is not None:
            logits = adjusted(options.adjust, ids[:, :n], logits, alive)
        tokens = _choose(logits, options, streams)
        ids[alive, n] = tokens[alive]
        totals[alive] += log_softmax(logits)[alive, tokens[alive]]
        lengths[alive] += 1
        n += 1
        for row in np.flatnonzero(alive):
            alive[row] = not ends(ids[row, :n])
    return Generation(ids[:, :n], lengths, totals)


def _choose(logits: Floats, options: GenerationOptions, streams: list[np.random.Generator]) -> Ids:
    if options.temperature == 0:
        best: Ids = logits.argmax(-1)
        return best
    with np.errstate(over="ignore"):
        logits = (logits - logits.max(-1, keepdims=True)) / options.temperature  # the best stays 0, however low it is
    if options.top_k is not None:
        logits = keep_top_k(logits, options.top_k)
    if options.top_p is not None:
        logits = keep_top_p(logits, options.top_p)
    return draw(logits, streams)


class _Ending:
    """Whether the new ids of a row are complete."""

    def __init__(self, options: GenerationOptions) -> None:
        self.eos_id = options.eos_id
        self.pad_id = next((i for i in (options.pad_id, options.eos_id) if i is not None), 0)
        self.functions = [s for s in options.stop if callable(s)]
        self.sequences = [np.asarray(s, np.int64) for s in options.stop if not callable(s)]

    def __call__(self, ids: Ids) -> bool:
        if self.eos_id is not None and ids[-1] == self.eos_id:
            return True
        if any(len(s) <= len(ids) and (ids[len(ids) - len(s) :] == s).all() for s in self.sequences):
            return True
        return any(function(ids) for function in self.functions)


def _with_defaults(options: GenerationOptions, model: Transformer) -> GenerationOptions:
    config = model.config
    return replace(
        options,
        eos_id=config.eos_id if options.eos_id is None else options.eos_id,
        pad_id=config.pad_id if options.pad_id is None else options.pad_id,
        bos_id=config.bos_id if options.bos_id is None else options.bos_id,
    )


#: Options of transformers' `generate` and what says the same here.
_ELSEWHERE = {
    "do_sample": "temperature above 0 draws, 0 is greedy",
    "num_beams": "give n_beams",
    "max_length": "max_new_tokens counts new tokens alone",
    "eos_token_id": "give eos_id",
    "bos_token_id": "give bos_id",
    "decoder_start_token_id": "give bos_id",
    "pad_token_id": "give pad_id",
    "stop_strings": "stop holds sequences of ids, or functions of the new ids",
    "logits_processor": "give adjust",
    "repetition_penalty": "adjust takes a function that lowers logits",
}


def _check_names(options: dict[str, Any]) -> None:
    known = [field.name for field in fields(GenerationOptions)]
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            way = _ELSEWHERE.get(name) or (f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}")
            raise TypeError(f"generate has no option {name!r}: {way}")


def _prompt(ids: Any, mask: Any, pad_id: int, architecture: str) -> tuple[Ids, Bools | None]:
    if isinstance(ids, Tensor):
        ids = ids.numpy()
    if mask is None and not isinstance(ids, np.ndarray):
        if len(ids) and all(np.ndim(row) == 0 for row in ids):
            raise ValueError("prompts must be a list of sequences of ids; one prompt is [[...]]")
        ids, mask = left_pad([_whole(row).tolist() for row in ids], pad_id)
    ids = np.asarray(ids)
    if ids.ndim != 2 or 0 in ids.shape or ids.dtype.kind not in "iu":
        raise ValueError(f"prompts must be integer ids (B, T) with at least one token, got {ids.dtype} {ids.shape}")
    if mask is None:
        return ids.astype(np.int64), None
    real = np.asarray(mask.numpy() if isinstance(mask, Tensor) else mask)
    if real.shape != ids.shape:
        raise ValueError(f"attention_mask must be {ids.shape} like ids, got {real.shape}")
    if not ((real == 0) | (real == 1)).all():
        raise ValueError("attention_mask must be 1 or 0: 1 for real tokens, 0 for padding")
    real = real.astype(np.bool_)
    if architecture == "decoder" and not real[:, -1].all():
        raise ValueError(
            "prompts must be padded on the left, so that the last column holds real tokens; "
            "see left_pad, or a tokenizer's padding_side='left'"
        )
    return ids.astype(np.int64), real


def _whole(row: Any) -> Ids:
    ids = np.asarray(row)
    if ids.size and (ids.ndim != 1 or ids.dtype.kind not in "iu"):
        raise ValueError(f"a prompt must be a sequence of integer ids, got {ids.dtype} {ids.shape}")
    return ids.astype(np.int64)


def _check_length(model: Transformer, prompt: Ids, options: GenerationOptions) -> None:
    config = model.config
    if config.architecture == "encoder":
        raise ValueError("an encoder cannot generate: it needs architecture 'decoder' or 'encoder-decoder'")
    if config.architecture == "encoder-decoder" and options.bos_id is None:
        raise ValueError("an encoder-decoder starts writing from bos_id: give it here or in the model's configuration")
    start = prompt.shape[1] if config.architecture == "decoder" else 1
    if config.position == "learned" and start + options.max_new_tokens - 1 > config.max_length:
        raise ValueError(
            f"{start} tokens and max_new_tokens={options.max_new_tokens} exceed the model's max_length={config.max_length}; "
            f"at most {config.max_length - start + 1} new tokens fit"
        )
