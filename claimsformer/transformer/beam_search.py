"""Beam search: keep the n likeliest beginnings instead of one, and choose among the finished.

A hypothesis that ends takes its place in the beam with it: n − 1 go on. So a beam of one is greedy search, and a beam
as wide as the tree is exhaustive search.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .sampling import adjusted, log_softmax
from .stepper import Stepper

if TYPE_CHECKING:
    from .generation import GenerationOptions

__all__ = ["beam_search"]

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Finished = list[tuple[float, float, Ids]]  # score, log-probability, ids


def beam_search(stepper: Stepper, options: GenerationOptions, ends: Callable[[Ids], bool]) -> tuple[Ids, Ids, Floats]:
    """The best new ids `(B, N)` of each prompt, their lengths and log-probabilities."""
    assert options.n_beams is not None
    prompts, n = stepper.rows, options.n_beams
    stepper.reorder(np.repeat(np.arange(prompts), n))
    ids = np.empty((prompts, n, 0), np.int64)
    scores = np.full((prompts, n), -np.inf)
    scores[:, 0] = 0.0  # the n rows of a prompt are equal at first: only one of them may go on
    finished: list[Finished] = [[] for _ in range(prompts)]
    for step in range(options.max_new_tokens):
        logits = stepper.next_logits(ids[:, :, -1].reshape(-1) if step else None)
        if options.adjust is not None:
            logits = adjusted(options.adjust, ids.reshape(prompts * n, step), logits, np.isfinite(scores).reshape(-1))
        parents, tokens, scores = _best_continuations(scores, log_softmax(logits).reshape(prompts, n, -1))
        rows = np.arange(prompts)[:, None]
        ids = np.concatenate([ids[rows, parents], tokens[:, :, None]], axis=2)
        stepper.reorder((rows * n + parents).reshape(-1))
        _retire(ids, scores, finished, n, options.length_penalty, ends)
        if not np.isfinite(scores).any():
            break
    for i in range(prompts):  # what is still running at the limit of tokens counts as it is
        finished[i] += [
            _hypothesis(scores[i, j], ids[i, j], options.length_penalty) for j in np.flatnonzero(scores[i] > -np.inf)
        ]
    return _collect(finished, getattr(ends, "pad_id", 0))


def _best_continuations(scores: Floats, log_probs: Floats) -> tuple[Ids, Ids, Floats]:
    """The n best of all one-token continuations of a prompt's n hypotheses: whose, by which token, and their scores."""
    prompts, n, vocabulary = log_probs.shape
    totals = (scores[:, :, None] + log_probs).reshape(prompts, n * vocabulary)
    best = np.argsort(-totals, axis=1, kind="stable")[:, :n]
    return best // vocabulary, best % vocabulary, np.take_along_axis(totals, best, 1)


def _retire(
    ids: Ids, scores: Floats, finished: list[Finished], n: int, penalty: float, ends: Callable[[Ids], bool]
) -> None:
    """Move what is complete out of the beam; `scores` of what may not go on become −inf."""
    for i, done in enumerate(finished):
        places = n - len(done)
        scores[i, places:] = -np.inf
        for j in np.flatnonzero(scores[i] > -np.inf):
            if ends(ids[i, j]):
                done.append(_hypothesis(scores[i, j], ids[i, j], penalty))
                scores[i, j] = -np.inf


def _hypothesis(log_prob: float, ids: Ids, penalty: float) -> tuple[float, float, Ids]:
    return float(log_prob) / len(ids) ** penalty, float(log_prob), ids


def _collect(finished: list[Finished], pad_id: int) -> tuple[Ids, Ids, Floats]:
    best = [max(done, key=lambda h: h[0]) for done in finished]
    lengths = np.array([len(ids) for _, _, ids in best], np.int64)
    out = np.full((len(best), int(lengths.max())), pad_id, np.int64)
    for i, (_, _, ids) in enumerate(best):
        out[i, : len(ids)] = ids
    return out, lengths, np.array([log_prob for _, log_prob, _ in best])
