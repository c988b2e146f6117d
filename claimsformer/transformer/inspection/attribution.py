"""Which tokens an output depends on: occlusion asks what changes without each of them, integrated gradients share a
change out among them.

Both take a score, one number a row, and know nothing of the model behind it; `score_of_tokens` and
`score_of_embeddings` make such functions of a Transformer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from tensorlite import Tensor

from ..evaluation import evaluating
from ..model import Transformer

__all__ = ["Attribution", "integrated_gradients", "occlusion", "score_of_embeddings", "score_of_tokens"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def occlusion(score: Callable[[Bools], Any], present: Any, batch: int = 64) -> Floats:
    """What the score loses when each token alone is hidden, `(T,)`; 0 for tokens that are not present.

    `score` gets `(N, T)` with True for tokens that may be seen and returns N numbers; `present (T,)` are the real tokens.
    """
    there = np.asarray(present).astype(np.bool_)
    places = np.flatnonzero(there)
    views = np.repeat(there[None], len(places) + 1, axis=0)  # row 0 sees everything
    views[np.arange(1, len(places) + 1), places] = False
    parts = [np.asarray(score(views[i : i + batch]), np.float64) for i in range(0, len(views), batch)]
    scores = np.concatenate(parts)
    if scores.shape != (len(views),):
        raise ValueError(f"score must return one number a row: expected shape ({len(views)},), got {scores.shape}")
    lost = np.zeros(len(there))
    lost[places] = scores[0] - scores[1:]
    return lost


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """`values (T,)`, the `change` of the score from baseline to input, and by how much their sum misses it (`gap`)."""

    values: Floats
    change: float
    gap: float


def integrated_gradients(
    score: Callable[[Tensor], Tensor], inputs: Any, baseline: Any = None, steps: int = 32, batch: int = 32
) -> Attribution:
    """Share of each token in score(inputs) − score(baseline) (Sundararajan et al. 2017).

    The gradient is averaged on the straight line from `baseline` (default: zeros) to `inputs (T, D)`, at the `steps`
    points of a Gauss-Legendre rule, and multiplied by the difference. `score` maps `(N, T, D)` to N numbers. Where the
    first thing a model does is a norm, zeros are a bad baseline: the norm jumps there, and `gap` shows it. The mean
    embedding is better.
    """
    x = np.asarray(inputs.detach().numpy() if isinstance(inputs, Tensor) else inputs)
    start = np.zeros_like(x) if baseline is None else np.asarray(baseline, x.dtype)
    points, weights = np.polynomial.legendre.leggauss(steps)
    points, weights = (points + 1) / 2, weights / 2  # from [−1, 1] to [0, 1]
    mean = np.zeros(x.shape, np.float64)
    for i in range(0, steps, batch):
        along = points[i : i + batch].reshape(-1, *[1] * x.ndim)
        path = tl.from_numpy((start + along * (x - start)).astype(x.dtype)).requires_grad_()
        (gradient,) = tl.autograd.grad(score(path).sum(), [path])
        mean += np.tensordot(weights[i : i + batch], gradient.numpy().astype(np.float64), 1)
    values: Floats = (mean * (x - start)).sum(-1)
    with tl.no_grad():
        low, high = score(tl.from_numpy(np.stack([start, x]))).numpy().astype(np.float64)
    return Attribution(values, float(high - low), float(values.sum() - (high - low)))


def score_of_tokens(
    model: Transformer,
    ids: Any,
    target: int,
    position: int = -1,
    target_ids: Any = None,
    replacement: int | None = None,
) -> Callable[[Bools], Floats]:
    """The log-probability of id `target` at `position`, as a function of which tokens of `ids (T,)` may be seen.

    A hidden token is one that no other may attend to; positions stay as they are. The token at `position` itself reaches
    the output without attention, through the residual stream, and so cannot be hidden that way: give the id of a
    `replacement` (such as [MASK]) to put in the place of hidden tokens instead. An encoder-decoder also needs what it
    has written, `target_ids`; the tokens hidden are those of its source.
    """
    row, written = np.asarray(ids), None if target_ids is None else np.asarray(target_ids)

    def score(views: Bools) -> Floats:
        tokens = np.repeat(row[None], len(views), 0)
        options: dict[str, Any] = {"positions": np.arange(len(row))}
        if replacement is None:
            options["attention_mask"] = views
        else:
            tokens = np.where(views, tokens, replacement)
        with evaluating(model), tl.no_grad():
            if written is None:
                logits = model(tokens, **options)
            else:
                logits = model(tokens, np.repeat(written[None], len(views), 0), **options)
            result: Floats = logits[:, position].log_softmax(-1).numpy()[:, target]
        return result

    return score


def score_of_embeddings(model: Transformer, target: int, position: int = -1) -> Callable[[Tensor], Tensor]:
    """The log-probability of id `target` at `position`, as a function of the embeddings `(N, T, D)` of an encoder or decoder."""

    def score(embeddings: Tensor) -> Tensor:
        with evaluating(model):
            result: Tensor = model(embeddings=embeddings)[:, position].log_softmax(-1)[:, target]
        return result

    return score
